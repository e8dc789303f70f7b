/**
 * Uploads in parts to a bucket of S3.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type {
  ObjectStore,
  ObjectStoreError,
  StoredObject,
  Upload,
  UploadedPart,
  Uploads,
  WriteOptions
} from "../../ObjectStore.ts"
import { crc32Of, crc32OfParts } from "./crc32.ts"
import { copying, partOf, resultOf, type S3Bucket, storedBy } from "./s3Bucket.ts"
import { base64Of, conditionHeaders, propertyHeaders, sourceHeaders, unquoted } from "./s3Headers.ts"
import { listParts, listUploads } from "./s3Listing.ts"
import { encodeKey } from "./s3Requests.ts"
import { escapeXml, textIn } from "./s3Xml.ts"

const partXml = ({ checksum, etag, number }: UploadedPart): string =>
  `<Part><PartNumber>${number}</PartNumber><ETag>"${escapeXml(etag)}"</ETag>${
    checksum === undefined ? "" : `<ChecksumCRC32>${base64Of(checksum)}</ChecksumCRC32>`
  }</Part>`

const completeXml = (parts: ReadonlyArray<UploadedPart>): Uint8Array =>
  Buffer.from(
    `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${
      parts.map(partXml).join("")
    }</CompleteMultipartUpload>`
  )

const wholeType = { "x-amz-checksum-type": "FULL_OBJECT" }

const hasChecksums = ({ capabilities }: S3Bucket): boolean => capabilities.checksum !== undefined

const complete = Effect.fnUntraced(function*(
  bucket: S3Bucket,
  head: ObjectStore["head"],
  { id, key }: Upload,
  parts: ReadonlyArray<UploadedPart>,
  options: Pick<WriteOptions, "condition"> = {}
): Effect.fn.Return<StoredObject, ObjectStoreError> {
  const call = "completeUpload"
  yield* bucket.check(call, key, { ...options, obeys: "complete" })
  const whole = hasChecksums(bucket) ? crc32OfParts(parts) : undefined
  const answer = yield* bucket.requests.send({
    call,
    method: "POST",
    key,
    query: { uploadId: id },
    headers: {
      ...conditionHeaders(options.condition),
      ...whole === undefined ? {} : { "x-amz-checksum-crc32": base64Of(whole), ...wholeType }
    },
    body: completeXml(parts)
  })
  const stored = storedBy(bucket, answer, yield* resultOf(bucket, call, key, answer))
  if (stored.etag !== "") return stored
  // The upload was completed before. Ceph says so by a success that tells no ETag.
  const found = yield* head(key)
  if (Option.isNone(found)) return yield* bucket.fail(call, key, { _tag: "UploadMissing" })
  return { etag: found.value.etag, checksums: found.value.checksums }
})

/** Ceph fails by itself where the upload is gone. Its list of parts tells. */
const orMissing = (bucket: S3Bucket, upload: Upload, error: ObjectStoreError): Effect.Effect<never, ObjectStoreError> =>
  Effect.matchEffect(Stream.runHead(listParts(bucket, upload)), {
    onFailure: ({ reason }) =>
      reason._tag === "UploadMissing" ? bucket.fail("completeUpload", upload.key, reason) : Effect.fail(error),
    onSuccess: () => Effect.fail(error)
  })

const begin = Effect.fnUntraced(function*(
  bucket: S3Bucket,
  key: string,
  options: Pick<WriteOptions, "metadata" | "attributes"> = {}
): Effect.fn.Return<Upload, ObjectStoreError> {
  const call = "beginUpload"
  yield* bucket.check(call, key, options)
  const answer = yield* bucket.requests.send({
    call,
    method: "POST",
    key,
    query: { uploads: "" },
    headers: {
      ...propertyHeaders(options),
      ...hasChecksums(bucket) ? { "x-amz-checksum-algorithm": "CRC32", ...wholeType } : {}
    }
  })
  const id = textIn(yield* resultOf(bucket, call, key, answer), "UploadId") ?? ""
  if (id !== "") return { key, id }
  return yield* bucket.fail(call, key, { _tag: "ServiceFailed", status: answer.status, code: "NoUploadId" })
})

export const makeUploads = (bucket: S3Bucket, head: ObjectStore["head"]): Uploads => {
  const { requests } = bucket
  return {
    begin: (key, options) => begin(bucket, key, options),
    put: Effect.fnUntraced(function*({ id, key }, number, bytes) {
      const checksum = hasChecksums(bucket) ? crc32Of(bytes) : undefined
      const { headers } = yield* requests.send({
        call: "putPart",
        method: "PUT",
        key,
        query: { partNumber: String(number), uploadId: id },
        headers: checksum === undefined ? {} : { "x-amz-checksum-crc32": base64Of(checksum) },
        body: bytes
      })
      const part = { number, sizeBytes: bytes.length, etag: unquoted(headers.etag) }
      return checksum === undefined ? part : { ...part, checksum }
    }),
    copy: Effect.fnUntraced(function*({ id, key }, number, source, { end, start }) {
      const call = "copyPart"
      const answer = yield* copying(bucket, {
        call,
        method: "PUT",
        key,
        query: { partNumber: String(number), uploadId: id },
        headers: { ...sourceHeaders(source, encodeKey), "x-amz-copy-source-range": `bytes=${start}-${end - 1}` }
      })
      const root = yield* resultOf(bucket, call, key, answer)
      return partOf(bucket, root, { number, sizeBytes: end - start })
    }),
    parts: (upload) => listParts(bucket, upload),
    complete: (upload, parts, options) =>
      complete(bucket, head, upload, parts, options).pipe(
        Effect.catchIf(({ reason }) => reason._tag === "ServiceFailed", (error) => orMissing(bucket, upload, error))
      ),
    abort: ({ id, key }) =>
      requests.send({ call: "abortUpload", method: "DELETE", key, query: { uploadId: id } }).pipe(
        Effect.asVoid,
        Effect.catchIf(({ reason }) => reason._tag === "UploadMissing", () => Effect.void)
      ),
    open: (prefix) => listUploads(bucket, prefix)
  }
}
