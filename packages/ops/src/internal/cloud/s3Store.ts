/**
 * A bucket of S3, or of a service that speaks the protocol of S3.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import type {
  ObjectContent,
  ObjectInfo,
  ObjectRead,
  ObjectStore,
  ObjectStoreError,
  ReadOptions,
  StoredObject,
  WriteOptions
} from "../../ObjectStore.ts"
import { crc32Of } from "./crc32.ts"
import type { ConnectionLost, HttpAnswer } from "./httpTransport.ts"
import {
  copying,
  makeBucket,
  noSize,
  orWithout,
  resultOf,
  type S3Bucket,
  type S3BucketOptions,
  storedBy
} from "./s3Bucket.ts"
import { learnByPut, learnByRead } from "./s3Etags.ts"
import { reasonOf } from "./s3Failure.ts"
import { base64Of, conditionHeaders, infoOf, propertyHeaders, sourceHeaders } from "./s3Headers.ts"
import { listChildren, listObjects } from "./s3Listing.ts"
import { encodeKey, type S3Call } from "./s3Requests.ts"
import { makeUploads } from "./s3Uploads.ts"
import { elementsIn, escapeXml, textIn } from "./s3Xml.ts"

const modeHeaders = ({ capabilities }: S3Bucket): Readonly<Record<string, string>> =>
  capabilities.checksum === undefined ? {} : { "x-amz-checksum-mode": "ENABLED" }

const headOnce = (bucket: S3Bucket, key: string): Effect.Effect<Option.Option<ObjectInfo>, ObjectStoreError> =>
  bucket.requests.send({ call: "head", method: "HEAD", key, headers: modeHeaders(bucket) }).pipe(
    Effect.flatMap(({ headers, status }) => {
      const info = infoOf(key, headers, bucket)
      return Number.isNaN(info.sizeBytes) ? bucket.fail("head", key, noSize(status)) : Effect.succeedSome(info)
    }),
    Effect.catchIf(({ reason }) => reason._tag === "ObjectMissing", () => Effect.succeedNone)
  )

/** An answer to HEAD has no content, so it does not say why it refuses. A read of one byte does. */
const head = (bucket: S3Bucket, key: string): Effect.Effect<Option.Option<ObjectInfo>, ObjectStoreError> =>
  Effect.andThen(bucket.check("head", key), headOnce(bucket, key)).pipe(Effect.catchIf(
    ({ reason }) => (reason._tag === "Denied" || reason._tag === "Refused") && /^\d+$/.test(reason.code),
    () =>
      Effect.andThen(
        bucket.requests.send({ call: "head", method: "GET", key, headers: { range: "bytes=0-0" } }),
        headOnce(bucket, key)
      )
  ))

/** A read, by whatever makes its request. */
const reading = Effect.fnUntraced(function*<A extends HttpAnswer, R>(
  bucket: S3Bucket,
  key: string,
  { etag, range }: ReadOptions,
  request: (call: S3Call) => Effect.Effect<A, ObjectStoreError, R>
) {
  const { check, fail } = bucket
  yield* check("get", key)
  const answer = yield* request({
    call: "get",
    method: "GET",
    key,
    headers: {
      ...range === undefined ? modeHeaders(bucket) : { range: `bytes=${range.start}-${range.end - 1}` },
      ...etag === undefined ? {} : { "if-match": `"${etag}"` }
    }
  })
  if (range !== undefined && answer.status !== 206) {
    return yield* fail("get", key, { _tag: "Unsupported", what: "reads of a range" })
  }
  return answer
})

const read = Effect.fnUntraced(function*(
  bucket: S3Bucket,
  key: string,
  buffer: Uint8Array,
  options: ReadOptions = {}
) {
  const answer = yield* reading(bucket, key, options, (call) => bucket.requests.read(call, buffer))
  if (options.range === undefined) yield* learnByRead(bucket, key, answer)
  return {
    info: infoOf(key, answer.headers, bucket),
    length: Option.map(Option.fromUndefinedOr(answer.body), ({ length }) => length)
  } satisfies ObjectRead
})

const get = Effect.fnUntraced(function*(bucket: S3Bucket, key: string, options: ReadOptions = {}) {
  const { fail, requests } = bucket
  const answer = yield* reading(bucket, key, options, requests.open)
  const cut = ({ code }: ConnectionLost) => fail("get", key, { _tag: "Unreachable", code })
  return {
    info: infoOf(key, answer.headers, bucket),
    bytes: Stream.catch(answer.bytes, (error) => Stream.fromEffect(cut(error)))
  } satisfies ObjectContent
})

/**
 * A condition fails for the second attempt where the first one was done, and its answer was lost. Then the object has
 * what was put.
 */
const isOwn = (stored: ObjectInfo, bytes: Uint8Array, { metadata = {} }: WriteOptions): boolean => {
  const md5 = createHash("md5").update(bytes).digest("hex")
  return stored.sizeBytes === bytes.length &&
    stored.checksums.some(({ algorithm, digest }) =>
      (algorithm === "md5" && digest === md5) || (algorithm === "crc32" && digest === crc32Of(bytes).digest)
    ) &&
    Object.entries(metadata).every(([name, value]) => stored.metadata[name] === value)
}

const put = Effect.fnUntraced(function*(
  bucket: S3Bucket,
  key: string,
  bytes: Uint8Array,
  options: WriteOptions = {}
): Effect.fn.Return<StoredObject, ObjectStoreError> {
  const { capabilities, check, fail, requests } = bucket
  yield* check("put", key, { ...options, obeys: "put" })
  const attempts = { count: 0 }
  const sent = requests.send({
    call: "put",
    method: "PUT",
    key,
    headers: {
      ...propertyHeaders(options),
      ...conditionHeaders(options.condition),
      ...capabilities.checksum === undefined ? {} : { "x-amz-checksum-crc32": base64Of(crc32Of(bytes)) }
    },
    body: bytes,
    attempts
  })
  const refused = fail("put", key, { _tag: "Unsupported", what: "a condition" })
  return yield* (options.condition === undefined ? sent : orWithout(bucket, "condition", sent, refused)).pipe(
    Effect.map((answer) => {
      learnByPut(bucket, answer, bytes)
      return storedBy(bucket, answer)
    }),
    Effect.catchIf(
      ({ reason }) => reason._tag === "PreconditionFailed" && attempts.count > 1,
      (error) =>
        Effect.flatMap(head(bucket, key), (found) =>
          Option.isSome(found) && isOwn(found.value, bytes, options)
            ? Effect.succeed({ etag: found.value.etag, checksums: found.value.checksums })
            : Effect.fail(error))
    )
  )
})

// oxlint-disable-next-line no-control-regex -- XML 1.0 can't write these, not even escaped
const unwritable = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/

/** So many objects are removed at the same time, each by itself. */
const removedAtOnce = 8

const removeEach = (
  { requests }: S3Bucket,
  keys: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<ObjectStoreError>> =>
  Effect.map(
    Effect.forEach(
      keys,
      (key) => Effect.option(Effect.flip(requests.send({ call: "remove", method: "DELETE", key }))),
      { concurrency: removedAtOnce }
    ),
    (failed) => failed.flatMap((error) => Option.toArray(error))
  )

const removeMany = Effect.fnUntraced(function*(
  bucket: S3Bucket,
  keys: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<ObjectStoreError>, ObjectStoreError> {
  const objects = keys.map((key) => `<Object><Key>${escapeXml(key)}</Key></Object>`).join("")
  const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
  const body = Buffer.from(`<Delete xmlns="${namespace}">${objects}<Quiet>true</Quiet></Delete>`)
  const answer = yield* bucket.requests.send({
    call: "remove",
    method: "POST",
    query: { delete: "" },
    headers: { "content-md5": createHash("md5").update(body).digest("base64") },
    body
  })
  const root = yield* resultOf(bucket, "remove", "", answer)
  const errorOf = (key: string, code: string, detail: string) => {
    // Each error is told as an answer of its own would be, but for its status.
    const text = `<Error><Code>${escapeXml(code)}</Code><Message>${escapeXml(detail)}</Message></Error>`
    const status = code === "InternalError" ? 500 : code === "ServiceUnavailable" ? 503 : 400
    return Effect.flip(bucket.fail("remove", key, reasonOf("remove", { status, headers: {}, text }, 0)))
  }
  return yield* Effect.forEach(
    elementsIn(root, "Error"),
    (item) => errorOf(textIn(item, "Key") ?? "", textIn(item, "Code") ?? "", textIn(item, "Message") ?? "")
  )
})

const remove = Effect.fnUntraced(function*(
  bucket: S3Bucket,
  keys: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<ObjectStoreError>, ObjectStoreError> {
  const { removedKeys } = bucket.capabilities.limits
  if (keys.length > removedKeys) {
    const detail = `there are more than ${removedKeys} keys`
    return yield* bucket.fail("remove", "", { _tag: "Refused", status: 400, code: "TooManyKeys", detail })
  }
  yield* Effect.forEach(keys, (key) => bucket.check("remove", key), { discard: true })
  const alone = yield* removeEach(bucket, keys.filter((key) => unwritable.test(key)))
  const many = keys.filter((key) => !unwritable.test(key))
  if (many.length === 0) return alone
  const others = yield* orWithout(bucket, "removal", removeMany(bucket, many), removeEach(bucket, many))
  return [...alone, ...others]
})

export const makeS3Store = (options: S3BucketOptions): ObjectStore => {
  const bucket = makeBucket(options)
  const { endpoint, profile } = options.settings
  // In the place of the bucket's own host, where the bucket is a part of that.
  const host = options.settings.isVirtual ? endpoint.hostname.slice(options.name.length + 1) : endpoint.hostname
  return {
    bucket: { scheme: "s3", bucket: options.name },
    provider: `s3 ${host}:${endpoint.port ?? ""} ${profile}`,
    capabilities: bucket.capabilities,
    list: (prefix, { after } = {}) => listObjects(bucket, prefix, after),
    children: (prefix, { after } = {}) => listChildren(bucket, prefix, after),
    head: (key) => head(bucket, key),
    get: (key, options) => get(bucket, key, options),
    read: (key, buffer, options) => read(bucket, key, buffer, options),
    put: (key, bytes, options) => put(bucket, key, bytes, options),
    copy: Effect.fnUntraced(function*(source, key, options = {}) {
      yield* bucket.check("copy", key, { ...options, obeys: "copy" })
      const answer = yield* copying(bucket, {
        call: "copy",
        method: "PUT",
        key,
        headers: {
          ...sourceHeaders(source, encodeKey),
          ...conditionHeaders(options.condition),
          ...options.metadata === undefined && options.attributes === undefined
            ? {}
            : { "x-amz-metadata-directive": "REPLACE" },
          ...propertyHeaders(options)
        }
      })
      return storedBy(bucket, answer, yield* resultOf(bucket, "copy", key, answer))
    }),
    remove: (keys) => remove(bucket, keys),
    uploads: makeUploads(bucket, (key) => head(bucket, key))
  }
}
