/**
 * Listings of a bucket, page by page. Objects are asked for in the encoding of URLs, since XML can't write all keys.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"
import type { ListedObject, ObjectStoreError, OpenUpload, StoreCall, Upload, UploadedPart } from "../../ObjectStore.ts"
import { noSize, partOf, resultOf, type S3Bucket } from "./s3Bucket.ts"
import { millisOf, unquoted, wholeOf } from "./s3Headers.ts"
import { type Element, elementsIn, textIn } from "./s3Xml.ts"

type Query = Readonly<Record<string, string>>

/** Follows the pages of a listing. `after` reads what the next page is asked for with. */
const pages = <A extends object>(
  bucket: S3Bucket,
  { call, key, query, ...path }: {
    readonly call: StoreCall
    readonly key: string
    readonly query: Query
    readonly path?: string
  },
  itemsOf: (root: Element) => ReadonlyArray<A>,
  nextOf: (root: Element) => Query
): Stream.Stream<A, ObjectStoreError> =>
  Stream.paginate<Query, A, ObjectStoreError>({}, (from) =>
    Effect.gen(function*() {
      const answer = yield* bucket.requests.send({
        call,
        method: "GET",
        ...path.path === undefined ? {} : { key: path.path },
        query: { ...query, ...from }
      })
      const root = yield* resultOf(bucket, call, key, answer)
      const next = nextOf(root)
      const isLast = textIn(root, "IsTruncated") !== "true"
      // A page that does not tell how to go on, or that tells the same again, would never end.
      if (!isLast && Object.entries(next).every(([name, value]) => value === "" || value === from[name])) {
        return yield* bucket.fail(call, key, { _tag: "ServiceFailed", status: answer.status, code: "EndlessListing" })
      }
      const items = itemsOf(root)
      // A number that is none would do its harm far from here.
      if (items.some((item) => Object.values(item).includes(Number.NaN))) {
        return yield* bucket.fail(call, key, noSize(answer.status))
      }
      return [items, isLast ? Option.none() : Option.some(next)] as const
    }))

/** Nobody makes services refuse keys that are not UTF-8. Their other bytes are kept as those of paths are. */
const decoded = (text: string): string =>
  FilePath.fromLatin1(
    Buffer.from(text.replaceAll("+", " ")).toString("latin1").replaceAll(
      /%([0-9a-f]{2})/gi,
      (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))
    )
  )

const decodedIn = (root: Element, item: Element, name: "Key" | "Prefix"): string => {
  const text = textIn(item, name) ?? ""
  return textIn(root, "EncodingType") === "url" ? decoded(text) : text
}

/** To the second, as all other answers tell it. */
const secondsOf = (text: string | undefined): number | undefined => {
  const millis = millisOf(text)
  return millis === undefined ? undefined : Math.floor(millis / 1000) * 1000
}

const objectQuery = (prefix: string, after = ""): Query => ({
  "list-type": "2",
  "encoding-type": "url",
  prefix,
  ...after === "" ? {} : { "start-after": after }
})

export const listObjects = (
  bucket: S3Bucket,
  prefix: string,
  after: string | undefined
): Stream.Stream<ListedObject, ObjectStoreError> =>
  pages(
    bucket,
    { call: "list", key: prefix, query: objectQuery(prefix, after) },
    (root) =>
      elementsIn(root, "Contents").map((item) => ({
        key: decodedIn(root, item, "Key"),
        sizeBytes: wholeOf(textIn(item, "Size")),
        etag: unquoted(textIn(item, "ETag")),
        storedMillis: secondsOf(textIn(item, "LastModified"))
      })),
    (root) => ({ "continuation-token": textIn(root, "NextContinuationToken") ?? "" })
  )

export const listChildren = Effect.fnUntraced(function*(bucket: S3Bucket, prefix: string, after: string | undefined) {
  const query = { ...objectQuery(prefix, after), delimiter: "/" }
  const root = yield* resultOf(
    bucket,
    "list",
    prefix,
    yield* bucket.requests.send({ call: "list", method: "GET", query })
  )
  return [
    ...elementsIn(root, "Contents").map((item) => decodedIn(root, item, "Key")),
    ...elementsIn(root, "CommonPrefixes").map((item) => decodedIn(root, item, "Prefix"))
  ]
})

export const listParts = (
  bucket: S3Bucket,
  { id, key }: Upload
): Stream.Stream<UploadedPart, ObjectStoreError> =>
  pages(
    bucket,
    { call: "listParts", key, path: key, query: { uploadId: id } },
    (root) =>
      elementsIn(root, "Part").map((item) =>
        partOf(bucket, item, { number: wholeOf(textIn(item, "PartNumber")), sizeBytes: wholeOf(textIn(item, "Size")) })
      ),
    (root) => ({ "part-number-marker": textIn(root, "NextPartNumberMarker") ?? "" })
  )

/** In plain XML: asked for keys in the encoding of URLs, Ceph does not tell that they are. */
export const listUploads = (bucket: S3Bucket, prefix: string): Stream.Stream<OpenUpload, ObjectStoreError> =>
  pages(
    bucket,
    { call: "listUploads", key: prefix, query: { uploads: "", prefix } },
    (root) =>
      elementsIn(root, "Upload").map((item) => ({
        key: textIn(item, "Key") ?? "",
        id: textIn(item, "UploadId") ?? "",
        begunMillis: millisOf(textIn(item, "Initiated"))
      })),
    (root) => ({
      "key-marker": textIn(root, "NextKeyMarker") ?? "",
      "upload-id-marker": textIn(root, "NextUploadIdMarker") ?? ""
    })
  )
