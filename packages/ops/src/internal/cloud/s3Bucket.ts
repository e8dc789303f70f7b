/**
 * What all calls to one bucket of S3 need: its settings, signed requests, and checks before them.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type {
  Capabilities,
  ObjectStoreError,
  StoreCall,
  StoredObject,
  StoreReason,
  UploadedPart,
  WriteOptions
} from "../../ObjectStore.ts"
import type { HttpTransport } from "./httpTransport.ts"
import type { CredentialSource } from "./s3Credentials.ts"
import { reasonOf } from "./s3Failure.ts"
import { checksumsOf, hexOf, unquoted } from "./s3Headers.ts"
import { makeRequests, type S3Requests, type TextAnswer } from "./s3Requests.ts"
import type { Settings } from "./s3Settings.ts"
import { type Element, parseRoot, textIn } from "./s3Xml.ts"
import { checkKey, checkProperties, failureOf } from "./storeFailure.ts"

const MiB = 2 ** 20
const GiB = 2 ** 30

/** What AWS documents. Services whose limits are lower are named in `docs/clouds.md`. */
const limits = {
  keyBytes: 1024,
  metadataBytes: 2048,
  putBytes: 5 * GiB,
  leastPartBytes: 5 * MiB,
  mostPartBytes: 5 * GiB,
  parts: 10_000,
  removedKeys: 1000
}

export interface S3BucketOptions {
  readonly name: string
  readonly settings: Settings
  readonly transport: HttpTransport
  readonly credentials: CredentialSource
}

export interface S3Bucket {
  readonly name: string
  readonly isAws: boolean
  readonly capabilities: Capabilities
  readonly requests: S3Requests
  readonly fail: (call: StoreCall, key: string, reason: StoreReason) => Effect.Effect<never, ObjectStoreError>
  /** Fails where no request is to be made. */
  readonly check: (
    call: StoreCall,
    key: string,
    options?: WriteOptions & { readonly obeys?: keyof Capabilities["conditions"] }
  ) => Effect.Effect<void, ObjectStoreError>
}

export const makeBucket = ({ credentials, name, settings, transport }: S3BucketOptions): S3Bucket => {
  const { checksums, isAws } = settings
  const failure = failureOf({ scheme: "s3", bucket: name })
  const fail: S3Bucket["fail"] = (call, key, reason) => Effect.fail(failure(call, key, reason))
  // Where a service does not know a condition, it overwrites. Nearly all know that of a put.
  const conditions = { put: true, complete: isAws, copy: isAws }
  return {
    name,
    isAws,
    capabilities: { checksum: checksums ? "crc32" : undefined, conditions, copies: true, limits },
    requests: makeRequests({ settings, transport, credentials, failure }),
    fail,
    check: (call, key, { condition, obeys, ...properties } = {}) => {
      if (condition !== undefined && obeys !== undefined && !conditions[obeys]) {
        return fail(call, key, { _tag: "Unsupported", what: "a condition" })
      }
      return Effect.andThen(
        checkKey(failure, limits, call, key),
        checkProperties(failure, limits, call, key, properties)
      )
    }
  }
}

/** The element in an answer that was a success by its status. An error may be in it all the same. */
export const resultOf = Effect.fnUntraced(function*(
  { fail }: S3Bucket,
  call: StoreCall,
  key: string,
  answer: TextAnswer
): Effect.fn.Return<Element, ObjectStoreError> {
  const parsed = parseRoot(answer.text)
  if (parsed !== undefined && parsed.name !== "Error") return parsed.root
  if (parsed === undefined) {
    return yield* fail(call, key, { _tag: "ServiceFailed", status: answer.status, code: "NoXML" })
  }
  // The status was sent before the work was done, so it says nothing.
  return yield* fail(call, key, reasonOf(call, { ...answer, status: 500 }, yield* Clock.currentTimeMillis))
})

const checksumNames = { ChecksumCRC32: "crc32", ChecksumCRC64NVME: "crc64nvme", ChecksumSHA256: "sha256" } as const

/** What a call that writes tells of the object, in headers or in its content. */
export const storedBy = ({ isAws }: S3Bucket, { headers }: TextAnswer, root?: Element): StoredObject => {
  if (root === undefined) return { etag: unquoted(headers.etag), checksums: checksumsOf(headers, isAws) }
  const etag = unquoted(textIn(root, "ETag"))
  const told = Object.entries(checksumNames).flatMap(([name, algorithm]) => {
    const text = textIn(root, name)
    return text === undefined ? [] : [[`x-amz-checksum-${algorithm}`, text] as const]
  })
  const type = textIn(root, "ChecksumType")
  const ofContent = { ...headers, etag, ...Object.fromEntries(told) }
  return {
    etag,
    checksums: checksumsOf({ ...ofContent, ...type === undefined ? {} : { "x-amz-checksum-type": type } }, isAws)
  }
}

/** A part as an element tells it, with the CRC-32 if that is to be used. */
export const partOf = (
  { capabilities }: S3Bucket,
  element: Element,
  { number, sizeBytes }: { readonly number: number; readonly sizeBytes: number }
): UploadedPart => {
  const part = { number, sizeBytes, etag: unquoted(textIn(element, "ETag")) }
  const text = textIn(element, "ChecksumCRC32")
  if (text === undefined || capabilities.checksum === undefined) return part
  return { ...part, checksum: { algorithm: "crc32", digest: hexOf(text) } }
}
