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
  UploadedPart
} from "../../ObjectStore.ts"
import type { HttpTransport } from "./httpTransport.ts"
import type { CredentialSource } from "./s3Credentials.ts"
import { reasonOf } from "./s3Failure.ts"
import { checksumsOf, hexOf, unquoted } from "./s3Headers.ts"
import { makeRequests, type S3Call, type S3Requests, type TextAnswer } from "./s3Requests.ts"
import type { Settings } from "./s3Settings.ts"
import { type Element, parseRoot, textIn } from "./s3Xml.ts"
import { type Failing, failingBy, failureOf, limits } from "./storeFailure.ts"

export interface S3BucketOptions {
  readonly name: string
  readonly settings: Settings
  readonly transport: HttpTransport
  readonly credentials: CredentialSource
}

/**
 * What most services have, and some do not: conditions of a put, copies, removals of several objects at once, and ETags
 * that are MD5s.
 */
const allFeatures = ["condition", "copy", "md5", "removal"] as const
type Feature = typeof allFeatures[number]

export interface S3Bucket extends Failing {
  readonly name: string
  readonly isAws: boolean
  readonly capabilities: Capabilities
  /** Whether the service has a feature, once that is known: of AWS from the start, of others by their first answer. */
  readonly features: Map<Feature, boolean>
  readonly requests: S3Requests
}

export const makeBucket = ({ credentials, name, settings, transport }: S3BucketOptions): S3Bucket => {
  const { checksums, isAws } = settings
  const failure = failureOf({ scheme: "s3", bucket: name })
  const features = new Map<Feature, boolean>(isAws ? allFeatures.map((one) => [one, true]) : [])
  const capabilities: Capabilities = {
    checksum: checksums ? "crc32" : undefined,
    conditions: {
      get put() {
        return features.get("condition") !== false
      },
      // Where a service does not know a condition, it overwrites. Most know that of a put, or refuse it.
      complete: isAws,
      copy: isAws
    },
    get copies() {
      return features.get("copy") !== false
    },
    limits
  }
  return {
    name,
    isAws,
    capabilities,
    features,
    requests: makeRequests({ settings, transport, credentials, failure }),
    ...failingBy(failure, capabilities)
  }
}

/** Whether a service may refuse a feature by this. A copy may be wrong by itself. */
const isRefusal = (feature: Feature, reason: StoreReason): boolean =>
  reason._tag === "Unsupported" || (feature !== "copy" && reason._tag === "Refused" && reason.status === 400)

/**
 * Makes a request that needs a feature, and what does without where the service refuses it. Where it has refused it
 * before, it is not asked again.
 */
export const orWithout = <A>(
  { features }: S3Bucket,
  feature: Feature,
  request: Effect.Effect<A, ObjectStoreError>,
  without: Effect.Effect<A, ObjectStoreError>
): Effect.Effect<A, ObjectStoreError> =>
  Effect.suspend(() => {
    if (features.get(feature) === false) return without
    return request.pipe(
      Effect.tap(() => Effect.sync(() => features.set(feature, true))),
      Effect.catchIf(
        ({ reason }) => features.get(feature) !== true && isRefusal(feature, reason),
        () => {
          features.set(feature, false)
          return without
        }
      )
    )
  })

/** Has the service copy, if it does. */
export const copying = (
  bucket: S3Bucket,
  what: S3Call & { readonly key: string }
): Effect.Effect<TextAnswer, ObjectStoreError> =>
  orWithout(
    bucket,
    "copy",
    bucket.requests.send(what),
    bucket.fail(what.call, what.key, { _tag: "Unsupported", what: "copies by the store" })
  )

/** Why an answer that was a success can't be used: it tells no size, or one that is none. */
export const noSize = (status: number): StoreReason => ({ _tag: "ServiceFailed", status, code: "NoSize" })

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
export const storedBy = (bucket: S3Bucket, { headers }: TextAnswer, root?: Element): StoredObject => {
  if (root === undefined) return { etag: unquoted(headers.etag), checksums: checksumsOf(headers, bucket) }
  const etag = unquoted(textIn(root, "ETag"))
  const told = Object.entries(checksumNames).flatMap(([name, algorithm]) => {
    const text = textIn(root, name)
    return text === undefined ? [] : [[`x-amz-checksum-${algorithm}`, text] as const]
  })
  const type = textIn(root, "ChecksumType")
  const ofContent = { ...headers, etag, ...Object.fromEntries(told) }
  return {
    etag,
    checksums: checksumsOf({ ...ofContent, ...type === undefined ? {} : { "x-amz-checksum-type": type } }, bucket)
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
