/**
 * Buckets in memory, which behave as those of S3 do: for tests, and the model that other backends are compared with.
 */
import {
  type Capabilities,
  type Checksum,
  type Condition,
  type CopySource,
  type ListedObject,
  type ObjectContent,
  type ObjectInfo,
  type ObjectStore,
  type ObjectStoreError,
  ObjectStores,
  type OpenUpload,
  type ReadOptions,
  type StoreCall,
  type StoredObject,
  type Upload,
  type UploadedPart,
  type Uploads,
  type WriteOptions
} from "@fanout/ops/ObjectStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { createHash, randomUUID } from "node:crypto"
import { crc32Of } from "../src/internal/cloud/crc32.ts"
import { type Failing, failingBy, failureOf, limits, refused } from "../src/internal/cloud/storeFailure.ts"

interface Entry {
  readonly info: ObjectInfo
  readonly bytes: Uint8Array
}

interface OpenParts {
  readonly open: OpenUpload
  readonly properties: Pick<ObjectInfo, "metadata" | "attributes">
  readonly parts: Map<number, { readonly part: UploadedPart; readonly bytes: Uint8Array }>
}

/** Objects and uploads of one bucket. */
interface Bucket {
  readonly objects: Map<string, Entry>
  readonly uploads: Map<string, OpenParts>
}

type Buckets = ReadonlyMap<string, Bucket>

const makeBuckets = (names: Iterable<string>): Buckets =>
  new Map(Array.from(names, (name) => [name, { objects: new Map(), uploads: new Map() }]))

export const memoryCapabilities: Capabilities = {
  checksum: "crc32",
  conditions: { put: true, complete: true, copy: true },
  copies: true,
  limits
}

const md5 = (...bytes: ReadonlyArray<Uint8Array>): Buffer => {
  const hash = createHash("md5")
  for (const one of bytes) hash.update(one)
  return hash.digest()
}

/** The order of keys is that of their bytes, and not of their UTF-16 units. */
const compareKeys = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** As many as S3 gives, so that a second page is asked for as there. */
const pageKeys = 1000

/** What all calls to one bucket need. */
interface Place extends Failing {
  readonly capabilities: Capabilities
  /** The bucket itself, or another one that a copy is made of. */
  readonly inBucket: (call: StoreCall, key: string, bucket?: string) => Effect.Effect<Bucket, ObjectStoreError>
}

const placeOf = (buckets: Buckets, name: string, capabilities: Capabilities): Place => {
  const failing = failingBy(failureOf({ scheme: "s3", bucket: name }), capabilities)
  return {
    ...failing,
    capabilities,
    inBucket: (call, key, bucket = name) =>
      Effect.suspend(() => {
        const found = buckets.get(bucket)
        return found === undefined ? failing.fail(call, key, { _tag: "BucketMissing" }) : Effect.succeed(found)
      })
  }
}

const holds = (condition: Condition | undefined, there: Entry | undefined): boolean => {
  if (condition === undefined) return true
  return condition._tag === "Absent" ? there === undefined : there?.info.etag === condition.etag
}

interface Written {
  readonly key: string
  readonly bytes: Uint8Array
  readonly etag: string
  /** Checksums that this way of writing gives, besides the one of the store. */
  readonly checksums: ReadonlyArray<Checksum>
}

const write = Effect.fnUntraced(function*(
  place: Place,
  call: "put" | "copy" | "completeUpload",
  { bytes, etag, key, ...written }: Written,
  options: WriteOptions = {}
): Effect.fn.Return<StoredObject, ObjectStoreError> {
  const { capabilities, check, fail, inBucket } = place
  yield* check(call, key, { ...options, obeys: call === "completeUpload" ? "complete" : call })
  const { objects } = yield* inBucket(call, key)
  const now = yield* Clock.currentTimeMillis
  if (!holds(options.condition, objects.get(key))) return yield* fail(call, key, { _tag: "PreconditionFailed" })
  const checksums = [...capabilities.checksum === undefined ? [] : [crc32Of(bytes)], ...written.checksums]
  const storedMillis = Math.floor(now / 1000) * 1000
  const { attributes = {}, metadata = {} } = options
  const info = { key, sizeBytes: bytes.length, etag, storedMillis, metadata, attributes, checksums }
  objects.set(key, { bytes, info })
  return { etag, checksums }
})

const writeWhole = (place: Place, call: "put" | "copy", key: string, bytes: Uint8Array, options?: WriteOptions) => {
  if (bytes.length > place.capabilities.limits.putBytes) {
    return place.fail(call, key, refused("EntityTooLarge", "the object is too large"))
  }
  const digest = md5(bytes).toString("hex")
  return write(place, call, { key, bytes, etag: digest, checksums: [{ algorithm: "md5", digest }] }, options)
}

const sourceOf = Effect.fnUntraced(function*(
  { capabilities, fail, inBucket }: Place,
  call: StoreCall,
  key: string,
  source: CopySource
): Effect.fn.Return<Entry, ObjectStoreError> {
  if (!capabilities.copies) return yield* fail(call, key, { _tag: "Unsupported", what: "copies by the store" })
  const entry = (yield* inBucket(call, key, source.bucket)).objects.get(source.key)
  if (entry === undefined) return yield* fail(call, key, { _tag: "ObjectMissing" })
  if (entry.info.etag !== source.etag) return yield* fail(call, key, { _tag: "PreconditionFailed" })
  return entry
})

const inUpload = (
  { fail, inBucket }: Place,
  call: StoreCall,
  { id, key }: Upload
): Effect.Effect<OpenParts, ObjectStoreError> =>
  Effect.flatMap(inBucket(call, key), ({ uploads }) => {
    const found = uploads.get(id)
    return found?.open.key === key ? Effect.succeed(found) : fail(call, key, { _tag: "UploadMissing" })
  })

const putPart = Effect.fnUntraced(function*(
  place: Place,
  call: StoreCall,
  upload: Upload,
  number: number,
  bytes: Uint8Array
): Effect.fn.Return<UploadedPart, ObjectStoreError> {
  const { checksum, limits } = place.capabilities
  const { parts } = yield* inUpload(place, call, upload)
  if (number < 1 || number > limits.parts || bytes.length > limits.mostPartBytes) {
    return yield* place.fail(call, upload.key, refused("InvalidArgument", "the part has a wrong number or size"))
  }
  const part = {
    number,
    sizeBytes: bytes.length,
    etag: md5(bytes).toString("hex"),
    ...checksum === undefined ? {} : { checksum: crc32Of(bytes) }
  }
  parts.set(number, { part, bytes })
  return part
})

const complete = Effect.fnUntraced(function*(
  place: Place,
  upload: Upload,
  parts: ReadonlyArray<UploadedPart>,
  options: Pick<WriteOptions, "condition"> = {}
): Effect.fn.Return<StoredObject, ObjectStoreError> {
  const { key } = upload
  const refuse = (code: string, detail: string) => place.fail("completeUpload", key, refused(code, detail))
  const { parts: there, properties } = yield* inUpload(place, "completeUpload", upload)
  const found = parts.flatMap(({ etag, number }) => {
    const one = there.get(number)
    return one?.part.etag === etag ? [one] : []
  })
  if (found.length === 0 || found.length < parts.length) {
    return yield* refuse("InvalidPart", "a part is missing or another one")
  }
  if (parts.some(({ number }, index) => index > 0 && number <= (parts[index - 1]?.number ?? 0))) {
    return yield* refuse("InvalidPartOrder", "the parts are not in the order of their numbers")
  }
  if (found.slice(0, -1).some(({ bytes }) => bytes.length < place.capabilities.limits.leastPartBytes)) {
    return yield* refuse("EntityTooSmall", "a part is too small")
  }
  const digest = md5(...found.map(({ part }) => Buffer.from(part.etag, "hex"))).toString("hex")
  const bytes = Buffer.concat(found.map(({ bytes }) => bytes))
  const written = { key, bytes, etag: `${digest}-${found.length}`, checksums: [] }
  const stored = yield* write(place, "completeUpload", written, { ...options, ...properties })
  const { uploads } = yield* place.inBucket("completeUpload", key)
  uploads.delete(upload.id)
  return stored
})

const uploadsOf = (place: Place): Uploads => {
  const { check, fail, inBucket } = place
  return {
    begin: Effect.fnUntraced(function*(key, { attributes = {}, metadata = {} } = {}) {
      yield* check("beginUpload", key, { attributes, metadata })
      const { uploads } = yield* inBucket("beginUpload", key)
      const id = randomUUID()
      const open = { key, id, begunMillis: yield* Clock.currentTimeMillis }
      uploads.set(id, { open, properties: { attributes, metadata }, parts: new Map() })
      return { key, id }
    }),
    put: (upload, number, bytes) =>
      Effect.suspend(() => putPart(place, "putPart", upload, number, new Uint8Array(bytes))),
    copy: (upload, number, source, { end, start }) =>
      Effect.flatMap(sourceOf(place, "copyPart", upload.key, source), ({ bytes }) =>
        end > bytes.length
          ? fail("copyPart", upload.key, refused("InvalidRange", "the range is behind the end"))
          : putPart(place, "copyPart", upload, number, bytes.slice(start, end))),
    parts: (upload) =>
      Stream.fromIterableEffect(
        Effect.map(inUpload(place, "listParts", upload), ({ parts }) =>
          Array.from(parts.values(), ({ part }) => part).toSorted((a, b) => a.number - b.number))
      ),
    complete: (upload, parts, options) => complete(place, upload, parts, options),
    abort: ({ id, key }) => Effect.map(inBucket("abortUpload", key), ({ uploads }) => void uploads.delete(id)),
    open: (prefix) =>
      Stream.fromIterableEffect(
        Effect.map(inBucket("listUploads", prefix), ({ uploads }) =>
          Array.from(uploads.values(), ({ open }) => open)
            .filter(({ key }) => key.startsWith(prefix))
            .toSorted((a, b) => compareKeys(a.key, b.key) || compareKeys(a.id, b.id)))
      )
  }
}

const page = Effect.fnUntraced(function*(
  { inBucket }: Place,
  prefix: string,
  after: string | undefined
): Effect.fn.Return<readonly [ReadonlyArray<ListedObject>, Option.Option<string>], ObjectStoreError> {
  const { objects } = yield* inBucket("list", prefix)
  const keys = Array.from(objects.keys())
    .filter((key) => key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0))
    .toSorted(compareKeys)
  const found = keys.slice(0, pageKeys).flatMap((key) => objects.get(key)?.info ?? [])
  const listed = found.map(({ etag, key, sizeBytes, storedMillis }) => ({ key, sizeBytes, etag, storedMillis }))
  return [listed, Option.fromUndefinedOr(keys.length > pageKeys ? keys[pageKeys - 1] : undefined)]
})

const children = (
  { inBucket }: Place,
  prefix: string,
  after = ""
): Effect.Effect<ReadonlyArray<string>, ObjectStoreError> =>
  Effect.map(inBucket("list", prefix), ({ objects }) => {
    const keys = Array.from(objects.keys()).filter((key) => key.startsWith(prefix) && compareKeys(key, after) > 0)
    const cut = new Set(keys.map((key) => key.slice(0, key.indexOf("/", prefix.length) + 1) || key))
    return Array.from(cut).toSorted(compareKeys).slice(0, pageKeys)
  })

const get = Effect.fnUntraced(function*(
  { check, fail, inBucket }: Place,
  key: string,
  { etag, range }: ReadOptions = {}
): Effect.fn.Return<ObjectContent, ObjectStoreError> {
  yield* check("get", key)
  const entry = (yield* inBucket("get", key)).objects.get(key)
  if (entry === undefined) return yield* fail("get", key, { _tag: "ObjectMissing" })
  if (etag !== undefined && etag !== entry.info.etag) return yield* fail("get", key, { _tag: "PreconditionFailed" })
  if (range !== undefined && (range.start >= entry.bytes.length || range.end <= range.start)) {
    return yield* fail("get", key, refused("InvalidRange", "the range is behind the end"))
  }
  return { info: entry.info, bytes: Stream.make(entry.bytes.slice(range?.start, range?.end)) }
})

/** Reads into a buffer with the call that opens an object. */
export const readByGet = (get: ObjectStore["get"]): ObjectStore["read"] =>
  Effect.fnUntraced(function*(key, buffer, options) {
    const { bytes, info } = yield* get(key, options)
    let length = 0
    yield* Stream.runForEachWhile(bytes, (piece) =>
      Effect.sync(() => {
        if (length + piece.length <= buffer.length) buffer.set(piece, length)
        length += piece.length
        return length <= buffer.length
      }))
    return { info, length: length > buffer.length ? Option.none() : Option.some(length) }
  }, Effect.scoped)

const makeStore = (buckets: Buckets, name: string, capabilities = memoryCapabilities): ObjectStore => {
  const place = placeOf(buckets, name, capabilities)
  const { check, fail, inBucket } = place
  const { removedKeys } = capabilities.limits
  return {
    bucket: { scheme: "s3", bucket: name },
    provider: "memory",
    capabilities,
    list: (prefix, { after } = {}) => Stream.paginate(after, (after) => page(place, prefix, after)),
    children: (prefix, { after } = {}) => children(place, prefix, after),
    head: (key) =>
      Effect.andThen(
        check("head", key),
        Effect.sync(() => Option.fromUndefinedOr(buckets.get(name)?.objects.get(key)?.info))
      ),
    get: (key, options) => get(place, key, options),
    read: readByGet((key, options) => get(place, key, options)),
    put: (key, bytes, options) => Effect.suspend(() => writeWhole(place, "put", key, new Uint8Array(bytes), options)),
    copy: (source, key, options = {}) =>
      Effect.flatMap(
        sourceOf(place, "copy", key, source),
        ({ bytes, info: { attributes, metadata } }) => {
          const isReplaced = options.metadata !== undefined || options.attributes !== undefined
          return writeWhole(place, "copy", key, bytes, isReplaced ? options : { ...options, attributes, metadata })
        }
      ),
    remove: (keys) =>
      Effect.flatMap(inBucket("remove", ""), ({ objects }) => {
        if (keys.length > removedKeys) {
          return fail("remove", "", refused("MalformedXML", `there are more than ${removedKeys} keys`))
        }
        for (const key of keys) objects.delete(key)
        return Effect.succeed([])
      }),
    uploads: uploadsOf(place)
  }
}

/** Layer with these buckets, which are empty, and vanish with the layer. */
export const layer = (
  { buckets, capabilities }: { readonly buckets: ReadonlyArray<string>; readonly capabilities?: Capabilities }
): Layer.Layer<ObjectStores> =>
  Layer.sync(ObjectStores, () => {
    const kept = makeBuckets(buckets)
    return { at: ({ bucket }) => Effect.sync(() => makeStore(kept, bucket, capabilities)) }
  })
