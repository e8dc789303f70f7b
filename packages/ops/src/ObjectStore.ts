/**
 * The contract of object stores: what a bucket can do, how its objects are named, and how a call to it fails.
 *
 * An object is there whole or not at all. Keys are text whose order is that of their bytes in UTF-8, and no key is a
 * path: `..`, `//` and a slash at the end have no meaning. The backends are in `@fanout/ops/clouds`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"

/**
 * Schema for the place of a bucket, or of objects in it, as in `s3://bucket/prefix`.
 *
 * @category schemas
 */
export const CloudAddress = Schema.Struct({
  scheme: Schema.Literals(["s3"]),
  bucket: Schema.NonEmptyString,
  /** Key of an object, or what the keys of several objects begin with. Empty for all of the bucket. */
  key: Schema.String
})
export type CloudAddress = typeof CloudAddress.Type

/**
 * Error: the text begins as an address does, and is none. It has nothing of what stands before an `@`, which may be a
 * secret.
 *
 * @category errors
 */
export class CloudAddressError
  extends Schema.TaggedError<CloudAddressError>("@fanout/ops/ObjectStore/CloudAddressError")("CloudAddressError", {
    text: Schema.String,
    problem: Schema.String
  })
{
  constructor({ problem, text }: { readonly text: string; readonly problem: string }) {
    super({ problem, text: text.replace(/:\/\/.*@/s, "://…@") })
  }

  override get message(): string {
    return `"${this.text}" is no address of a cloud: ${this.problem}. An address is written as s3://bucket/prefix.`
  }
}

/**
 * Checks whether a text is meant as an address, and not as a path. A file with the name `s3:` is `./s3:`.
 *
 * @category predicates
 */
export const isCloudAddress = (text: string): boolean => /^[a-z][a-z0-9+.-]+:\/\//i.test(text)

/**
 * Reads an address. What stands behind the slash after the bucket is the key as it is: nothing in it is decoded.
 *
 * @category constructors
 */
export const parseAddress = (text: string): Result.Result<CloudAddress, CloudAddressError> => {
  const fail = (problem: string) => Result.fail(new CloudAddressError({ text, problem }))
  const [, scheme = "", bucket = "", key = ""] = /^([a-z][a-z0-9+.-]+):\/\/([^/]*)\/?(.*)$/is.exec(text) ?? []
  if (scheme === "") return fail("it has no scheme")
  // Paths are compared as texts, so an address must not have two spellings.
  if (scheme !== "s3") return fail(`the scheme "${scheme}" is not known`)
  if (bucket === "") return fail("the name of the bucket is missing")
  // User information in an address would be a secret in an argument, which each user of the machine can read.
  if (/[@:?#\s]/.test(bucket)) return fail("the name of the bucket has a character that no bucket has")
  return Result.succeed({ scheme: "s3", bucket, key })
}

/**
 * Writes an address.
 *
 * @category mapping
 */
export const formatAddress = ({ bucket, key, scheme }: CloudAddress): string =>
  `${scheme}://${bucket}${key === "" ? "" : `/${key}`}`

/**
 * Schema for the algorithms of checksums that stores keep.
 *
 * @category schemas
 */
export const ChecksumAlgorithm = Schema.Literals(["crc32", "crc32c", "crc64nvme", "sha1", "sha256", "md5"])
export type ChecksumAlgorithm = typeof ChecksumAlgorithm.Type

/**
 * Schema for a checksum of bytes. `digest` is hexadecimal, in lower case.
 *
 * @category schemas
 */
export const Checksum = Schema.Struct({ algorithm: ChecksumAlgorithm, digest: Schema.String })
export type Checksum = typeof Checksum.Type

/**
 * What a store can do. Where a store can't do something, the call fails with the reason `Unsupported`.
 *
 * @category models
 */
export interface Capabilities {
  /** Checksum that the store checks at each upload and keeps of whole objects, also of those made of parts. */
  readonly checksum: "crc32" | undefined
  /**
   * Which calls obey a condition. Where a call does not, its condition fails as `Unsupported`. A store may find that
   * out by the first call with one.
   */
  readonly conditions: {
    readonly put: boolean
    readonly complete: boolean
    readonly copy: boolean
  }
  /** Whether objects, and parts of uploads, can be copied within the provider. A store may find out that they can't. */
  readonly copies: boolean
  readonly limits: Limits
}

/**
 * Bounds of a store. All sizes are in bytes.
 *
 * @category models
 */
export interface Limits {
  /** Longest key, in bytes of UTF-8. */
  readonly keyBytes: number
  /** Names and values of the metadata of an object together. */
  readonly metadataBytes: number
  /** Largest object that is put, or copied, by one call. */
  readonly putBytes: number
  /** Smallest part of an upload, except for the last one. */
  readonly leastPartBytes: number
  /** Largest part of an upload. */
  readonly mostPartBytes: number
  /** How many parts an upload has at most. */
  readonly parts: number
  /** How many keys one call removes. */
  readonly removedKeys: number
}

/**
 * What a listing tells of an object.
 *
 * @category models
 */
export interface ListedObject {
  /** Each byte that is not UTF-8 is a lone surrogate, as in a `FilePath`. Calls refuse such a key. */
  readonly key: string
  readonly sizeBytes: number
  /** Changes with the content. Its form is the store's own. */
  readonly etag: string
  /** When the object was put in its place, if the store tells that. */
  readonly storedMillis: number | undefined
}

/**
 * How readers of an object over HTTP are to take its content: the headers of these names that its answers have. Values
 * are of printable ASCII.
 *
 * @category models
 */
export type Attributes = {
  readonly [
    Name in
      | "cache-control"
      | "content-disposition"
      | "content-encoding"
      | "content-language"
      | "content-type"
  ]?: string
}

/**
 * What a store tells of an object.
 *
 * @category models
 */
export interface ObjectInfo extends ListedObject {
  /** By names in lower case. */
  readonly metadata: Readonly<Record<string, string>>
  readonly attributes: Attributes
  /** Checksums of the whole content. Those of parts are not among them, nor is an ETag that is no MD5. */
  readonly checksums: ReadonlyArray<Checksum>
}

/**
 * Content of an object that is being read.
 *
 * @category models
 */
export interface ObjectContent {
  /** Of the whole object, even where a range of it is read. A read of a range may tell fewer checksums. */
  readonly info: ObjectInfo
  /** The bytes, once. Fails as `Unreachable` if the connection ends before the last byte. */
  readonly bytes: Stream.Stream<Uint8Array, ObjectStoreError>
}

/**
 * What is to be read of an object: all of it, or a range, if the object has the ETag that is named.
 *
 * @category models
 */
export interface ReadOptions {
  readonly range?: ByteRange | undefined
  readonly etag?: string | undefined
}

/**
 * Object, or range of it, that was read into a buffer.
 *
 * @category models
 */
export interface ObjectRead extends Pick<ObjectContent, "info"> {
  /** How many bytes there were. `None` where they do not fit in. */
  readonly length: Option.Option<number>
}

/**
 * What an object that was written has got.
 *
 * @category models
 */
export interface StoredObject {
  readonly etag: string
  /** Checksums of the whole content that the store has told or checked. */
  readonly checksums: ReadonlyArray<Checksum>
}

/**
 * Bytes from `start` up to `end`, which is behind the last byte.
 *
 * @category models
 */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/**
 * What has to be at a key, so that it is written: nothing, or the object with this ETag.
 *
 * @category models
 */
export type Condition = { readonly _tag: "Absent" } | { readonly _tag: "Same"; readonly etag: string }

/**
 * How an object is written.
 *
 * @category models
 */
export interface WriteOptions {
  /** Names are of lower-case letters, digits and hyphens. Values are of printable ASCII. */
  readonly metadata?: Readonly<Record<string, string>>
  readonly attributes?: Attributes
  readonly condition?: Condition
}

/**
 * Object that the store itself copies, of any bucket of the same provider.
 *
 * @category models
 */
export interface CopySource {
  readonly bucket: string
  readonly key: string
  /** Fails as `PreconditionFailed` where the object has another ETag by now. */
  readonly etag: string
}

/**
 * Upload that was begun: its parts become one object once it is completed.
 *
 * @category models
 */
export interface Upload {
  readonly key: string
  readonly id: string
}

/**
 * Upload that nobody has completed or aborted yet.
 *
 * @category models
 */
export interface OpenUpload extends Upload {
  /** When it was begun, if the store tells that. */
  readonly begunMillis: number | undefined
}

/**
 * Schema for a part of an upload that the store has.
 *
 * @category schemas
 */
export const UploadedPart = Schema.Struct({
  /** From 1 on. */
  number: Schema.Natural,
  sizeBytes: Schema.Natural,
  etag: Schema.String,
  checksum: Schema.optionalKey(Checksum)
})
export type UploadedPart = typeof UploadedPart.Type

/**
 * Uploads in parts of one bucket. Nobody sees the object before the upload is completed.
 *
 * **Details**
 *
 * A call with an upload that is completed, aborted or was never begun fails as `UploadMissing`. To complete an upload
 * once more either fails so, or succeeds again.
 *
 * @category models
 */
export interface Uploads {
  /** Begins an upload. Metadata and attributes are those of the object. */
  readonly begin: (
    key: string,
    options?: Pick<WriteOptions, "metadata" | "attributes">
  ) => Effect.Effect<Upload, ObjectStoreError>

  /** Sends a part. A part of the same number is replaced. The bytes must not change until it returns. */
  readonly put: (upload: Upload, number: number, bytes: Uint8Array) => Effect.Effect<UploadedPart, ObjectStoreError>

  /** Has the store copy bytes of an object into a part. */
  readonly copy: (
    upload: Upload,
    number: number,
    source: CopySource,
    range: ByteRange
  ) => Effect.Effect<UploadedPart, ObjectStoreError>

  /** Parts that the store has, in the order of their numbers. */
  readonly parts: (upload: Upload) => Stream.Stream<UploadedPart, ObjectStoreError>

  /**
   * Makes an object of the parts, which are in the order of their numbers. Where each part has a checksum, the store
   * compares the checksum of the whole.
   */
  readonly complete: (
    upload: Upload,
    parts: ReadonlyArray<UploadedPart>,
    options?: Pick<WriteOptions, "condition">
  ) => Effect.Effect<StoredObject, ObjectStoreError>

  /** Drops an upload and its parts, if it is still there. */
  readonly abort: (upload: Upload) => Effect.Effect<void, ObjectStoreError>

  /** Uploads that were begun and not ended, by whomever, whose keys begin with the prefix. */
  readonly open: (prefix: string) => Stream.Stream<OpenUpload, ObjectStoreError>
}

/**
 * One bucket of a provider.
 *
 * **Details**
 *
 * A call that is interrupted ends its request. Nobody knows then whether the store has done it, nor after a call that
 * failed as `Unreachable`. Each call but `uploads.begin` and `uploads.complete` may be made again.
 *
 * A call is made again by the store itself, a few times, where the connection breaks or the service fails. `Throttled`
 * is told at once, so that who makes many calls can make fewer; listings alone wait and go on.
 *
 * @category models
 */
export interface ObjectStore {
  /** Scheme and name of the bucket. */
  readonly bucket: Pick<CloudAddress, "scheme" | "bucket">

  /** Names the provider and the account. Stores that have it in common copy from each other's buckets. */
  readonly provider: string

  readonly capabilities: Capabilities

  /**
   * Objects whose keys begin with the prefix, in the order of their keys, page by page. With `after`, only the keys
   * behind this one, whether or not that exists.
   */
  readonly list: (
    prefix: string,
    options?: { readonly after?: string | undefined }
  ) => Stream.Stream<ListedObject, ObjectStoreError>

  /**
   * What is in a folder: keys that begin with the prefix, cut behind the next slash, each once and in any order. With
   * `after`, only of keys behind this one, and maybe without the folder that it is in. They are the first ones, as
   * many as one request tells.
   */
  readonly children: (
    prefix: string,
    options?: { readonly after?: string | undefined }
  ) => Effect.Effect<ReadonlyArray<string>, ObjectStoreError>

  /** What is at a key. `None` where there is nothing, also if the bucket is gone: this request can't tell. */
  readonly head: (key: string) => Effect.Effect<Option.Option<ObjectInfo>, ObjectStoreError>

  /**
   * Opens an object to read it, or a range of it. With `etag`, fails as `PreconditionFailed` where the object has
   * another one by now. The request ends with the scope.
   */
  readonly get: (
    key: string,
    options?: ReadOptions
  ) => Effect.Effect<ObjectContent, ObjectStoreError, Scope.Scope>

  /**
   * Reads an object, or a range of it, into a buffer. It is what the service has sent: whether it is as long as it
   * should be is for the caller to see. Nobody else may use the buffer until it returns.
   */
  readonly read: (key: string, buffer: Uint8Array, options?: ReadOptions) => Effect.Effect<ObjectRead, ObjectStoreError>

  /** Writes an object of at most `putBytes` by one call. The bytes must not change until it returns. */
  readonly put: (
    key: string,
    bytes: Uint8Array,
    options?: WriteOptions
  ) => Effect.Effect<StoredObject, ObjectStoreError>

  /**
   * Has the store copy an object of at most `putBytes`, with its metadata and attributes. If either is given, the copy
   * has those alone that are given.
   */
  readonly copy: (
    source: CopySource,
    key: string,
    options?: WriteOptions
  ) => Effect.Effect<StoredObject, ObjectStoreError>

  /** Removes at most `removedKeys` objects, and tells which it could not. Removing what is not there succeeds. */
  readonly remove: (
    keys: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<ObjectStoreError>, ObjectStoreError>

  readonly uploads: Uploads
}

/**
 * Service that finds the store of an address.
 *
 * @category services
 */
export class ObjectStores extends Context.Service<ObjectStores, {
  /**
   * The store of the bucket, the same one each time. The first call for a bucket finds its configuration and
   * credentials, and makes no request to the bucket. Connections stay open until the layer closes.
   */
  readonly at: (
    address: Pick<CloudAddress, "scheme" | "bucket">
  ) => Effect.Effect<ObjectStore, ObjectStoreError>
}>()("@fanout/ops/ObjectStore/ObjectStores") {}

/**
 * Schema for the calls to a store.
 *
 * @category schemas
 */
export const StoreCall = Schema.Literals([
  "configure",
  "list",
  "head",
  "get",
  "put",
  "copy",
  "remove",
  "beginUpload",
  "putPart",
  "copyPart",
  "listParts",
  "completeUpload",
  "abortUpload",
  "listUploads"
])
export type StoreCall = typeof StoreCall.Type

/**
 * Schema for the reasons why a call to a store failed. `code` is the word of the service or of the system.
 *
 * @category schemas
 */
export const StoreReason = Schema.TaggedUnion({
  ObjectMissing: {},
  UploadMissing: {},
  BucketMissing: {},
  /** The condition of the call does not hold. */
  PreconditionFailed: {},
  /** The credentials are good, and don't allow this. */
  Denied: { code: Schema.String },
  /** No credentials were found, or what should give them failed. `detail` says what to do. */
  CredentialsMissing: { detail: Schema.String },
  CredentialsRefused: { code: Schema.String },
  CredentialsExpired: { code: Schema.String },
  /** The clock of this machine differs too much from that of the service. */
  ClockWrong: {},
  /** The service asks for fewer requests, and maybe for none before that many milliseconds have passed. */
  Throttled: { code: Schema.String, afterMillis: Schema.optionalKey(Schema.Natural) },
  /** No connection, or one that ended before the answer. The call may have been done. */
  Unreachable: { code: Schema.String },
  /** The service failed. The call may have been done. */
  ServiceFailed: { status: Schema.Natural, code: Schema.String },
  /** The bytes that came are not those that were sent. */
  Corrupt: { code: Schema.String },
  RegionWrong: { region: Schema.optionalKey(Schema.String) },
  /** The bucket, or all that its owner has, may not grow any more. */
  StoreFull: { code: Schema.String },
  /** The object is in an archive, and has to be restored first. */
  Archived: { code: Schema.String },
  /** The store has no such call. */
  Unsupported: { what: Schema.String },
  /** The configuration is contradictory or incomplete. */
  Misconfigured: { detail: Schema.String },
  /** The service takes the request for wrong. */
  Refused: { status: Schema.Natural, code: Schema.String, detail: Schema.String }
})
export type StoreReason = typeof StoreReason.Type

const verbs: Readonly<Record<StoreCall, string>> = {
  configure: "use",
  list: "list",
  head: "look at",
  get: "read",
  put: "write",
  copy: "copy to",
  remove: "remove",
  beginUpload: "begin an upload to",
  putPart: "upload a part of",
  copyPart: "copy a part of",
  listParts: "list the parts of",
  completeUpload: "complete the upload of",
  abortUpload: "abort the upload of",
  listUploads: "list the uploads to"
}

/** Rights that calls need, as S3 names them. A service that hides what is there denies a look at what is not. */
const rights: Readonly<Record<StoreCall, string>> = {
  configure: "s3:ListBucket",
  list: "s3:ListBucket",
  head: "s3:GetObject and s3:ListBucket",
  get: "s3:GetObject",
  put: "s3:PutObject",
  copy: "s3:PutObject, and s3:GetObject of the source",
  remove: "s3:DeleteObject",
  beginUpload: "s3:PutObject",
  putPart: "s3:PutObject",
  copyPart: "s3:PutObject, and s3:GetObject of the source",
  listParts: "s3:ListMultipartUploadParts",
  completeUpload: "s3:PutObject",
  abortUpload: "s3:AbortMultipartUpload",
  listUploads: "s3:ListBucketMultipartUploads"
}

/** What has happened, and what to do about it. */
const sentenceOf = StoreReason.match({
  ObjectMissing: () => "there is no such object. Another program may have removed it",
  UploadMissing: () => "the upload was completed or aborted by another program. Upload the object again",
  BucketMissing: () => "there is no such bucket. Check its name and the endpoint, or create it",
  PreconditionFailed: () => "another program has changed the object meanwhile. Look at it, then try again",
  Denied: ({ code }) => `permission denied (${code}). Have the owner of the bucket allow this for your credentials`,
  CredentialsMissing: ({ detail }) => `no credentials were found: ${detail}`,
  CredentialsRefused: ({ code }) =>
    `the service does not accept the credentials (${code}). Check the access key, its secret and the endpoint`,
  CredentialsExpired: ({ code }) => `the credentials have expired (${code}). Log in again, or renew them`,
  ClockWrong: () =>
    "the clock of this machine is wrong: it differs too much from that of the service. Set it, for example by NTP",
  Throttled: ({ code }) =>
    `the service asks for fewer requests (${code}). Try again later, with fewer at the same time`,
  Unreachable: ({ code }) => `the service can't be reached (${code}). Check the network, the endpoint and the proxy`,
  ServiceFailed: ({ code, status }) => `the service failed (${status} ${code}). Try again later`,
  Corrupt: ({ code }) => `bytes were changed on their way (${code}). Try again, and suspect the network or the memory`,
  RegionWrong: ({ region }) =>
    `the bucket is in ${region === undefined ? "another region" : `the region ${region}`}. Set AWS_REGION to it`,
  StoreFull: ({ code }) => `the store has no more room (${code}). Remove something, or have its quota raised`,
  Archived: ({ code }) => `the object is in an archive (${code}). Restore it at the provider first`,
  Unsupported: ({ what }) => `the store can't do this (${what})`,
  Misconfigured: ({ detail }) => detail,
  Refused: ({ code, detail, status }) => `the service refuses the request (${status} ${code}): ${detail}`
})

/**
 * Error of every call to a store. It holds no credentials, and no text that the service has made of them.
 *
 * @category errors
 */
export class ObjectStoreError
  extends Schema.TaggedError<ObjectStoreError>("@fanout/ops/ObjectStore/ObjectStoreError")("ObjectStoreError", {
    call: StoreCall,
    address: CloudAddress,
    reason: StoreReason
  })
{
  override get message(): string {
    const needed = this.reason._tag === "Denied" ? `: ${rights[this.call]}` : ""
    return `Could not ${verbs[this.call]} ${formatAddress(this.address)}: ${sentenceOf(this.reason)}${needed}.`
  }

  /**
   * Whether the same call may succeed later, with nothing changed: the network or the service has failed, or asks for
   * fewer requests.
   */
  get isTransient(): boolean {
    return StoreReason.isAnyOf(["Throttled", "Unreachable", "ServiceFailed", "Corrupt"])(this.reason)
  }
}
