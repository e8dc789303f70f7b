/**
 * Learns whether the ETags of a service are MD5s of its objects. Some look like one and are none: then no read has such
 * a checksum.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import type { HttpAnswer, WholeAnswer } from "./httpTransport.ts"
import type { S3Bucket } from "./s3Bucket.ts"
import { isMd5, unquoted } from "./s3Headers.ts"
import { listObjects } from "./s3Listing.ts"

/** Objects of a listing among which another one is looked for. */
const mostListed = 1000

/** Size of the largest object that is read for that. */
const mostBytes = 2 ** 20

/** Whether nobody knows yet, and an answer could tell. The ETag of no bytes may be a constant. */
const isOpen = (bucket: S3Bucket, { headers }: HttpAnswer, bytes: Uint8Array): boolean =>
  bucket.features.get("md5") === undefined && bytes.length > 0 && isMd5(headers, bucket)

const hasMd5 = ({ headers }: HttpAnswer, bytes: Uint8Array): boolean =>
  unquoted(headers.etag) === createHash("md5").update(bytes).digest("hex")

/** Learns by the answer to a put. */
export const learnByPut = (bucket: S3Bucket, answer: HttpAnswer, bytes: Uint8Array): void => {
  if (isOpen(bucket, answer, bytes)) bucket.features.set("md5", hasMd5(answer, bytes))
}

/** Learns from an object whose ETag is not its MD5, by a second read of it, and by a read of another one. */
const learnByOther = Effect.fnUntraced(function*(bucket: S3Bucket, key: string, body: Uint8Array) {
  const { features, requests } = bucket
  const readWhole = (key: string, sizeBytes: number) =>
    requests.read({ call: "get", method: "GET", key }, Buffer.allocUnsafe(sizeBytes))
  const again = yield* readWhole(key, body.length)
  if (again.body === undefined || Buffer.compare(again.body, body) !== 0) return
  const other = yield* listObjects(bucket, "", undefined).pipe(
    Stream.take(mostListed),
    Stream.filter((one) => one.key !== key && one.sizeBytes > 0 && one.sizeBytes <= mostBytes),
    Stream.runHead
  )
  if (Option.isNone(other)) return
  const beside = yield* readWhole(other.value.key, other.value.sizeBytes)
  if (beside.body !== undefined && isOpen(bucket, beside, beside.body)) {
    features.set("md5", hasMd5(beside, beside.body))
  }
})

/** Learns by the answer to a read of a whole object. One object alone may have rotted: that says nothing of others. */
export const learnByRead = (bucket: S3Bucket, key: string, answer: WholeAnswer): Effect.Effect<void> => {
  const { body } = answer
  if (body === undefined || !isOpen(bucket, answer, body)) return Effect.void
  if (!hasMd5(answer, body)) return Effect.ignore(learnByOther(bucket, key, body))
  bucket.features.set("md5", true)
  return Effect.void
}
