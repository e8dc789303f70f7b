import { assert, describe } from "@effect/vitest"
import type { ObjectStoreError } from "@fanout/ops/clouds"
import { type Attributes, type Checksum, type ObjectStore, ObjectStores } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { crc32 } from "node:zlib"

/** What a backend does in a way of its own. `capabilities` tell what else it can't do. */
export type Difference =
  /** Conditions of a put are refused, which shows once there is one. */
  | "conditions refused"
  /** A put replaces an object that has another ETag than it is to have. */
  | "replaced unchecked"
  /** A copy is made of a source that has another ETag by then. */
  | "sources unchecked"
  /** An upload that was completed still lists its parts. */
  | "parts kept"
  /** A part that is sent to an upload which is gone makes the service fail. */
  | "parts failing"
  /** Nothing tells when it was stored. */
  | "times untold"

/** A backend as the suite sees it. */
export interface Backend {
  /** Defines a test, whose stores are those of the backend. */
  readonly test: (
    name: string,
    body: Effect.Effect<void, unknown, ObjectStores | Scope.Scope>
  ) => void
  /** Two buckets of one provider. What others have in them does not matter. */
  readonly bucket: string
  readonly otherBucket: string
  /** Size of the parts of uploads: at least what the store demands. */
  readonly partBytes: number
  readonly differences?: ReadonlyArray<Difference>
}

const crcOf = (bytes: Uint8Array): Checksum => ({
  algorithm: "crc32",
  digest: crc32(bytes).toString(16).padStart(8, "0")
})

const attributes: Attributes = {
  "cache-control": "max-age=60, public",
  "content-disposition": "attachment; filename=\"a, b.html\"",
  "content-encoding": "gzip",
  "content-language": "de",
  "content-type": "text/html; charset=utf-8"
}

const encoder = new TextEncoder()
const bytesOf = (text: string): Uint8Array => encoder.encode(text)

/** Bytes that are the same for the same seed, and compress badly. */
const noise = (length: number, seed = 1): Uint8Array => {
  const bytes = new Uint8Array(length)
  let state = seed >>> 0 || 1
  for (let i = 0; i < length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = state
  }
  return bytes
}

const read = (store: ObjectStore, ...args: Parameters<ObjectStore["get"]>) =>
  Effect.scoped(
    Effect.flatMap(store.get(...args), ({ bytes, info }) =>
      Effect.map(Stream.runCollect(bytes), (chunks) => ({ info, bytes: Buffer.concat(chunks) })))
  )

const keysOf = (store: ObjectStore, prefix: string, after?: string) =>
  Effect.map(Stream.runCollect(store.list(prefix, { after })), (found) => found.map(({ key }) => key))

/** The reason for which a call fails. */
const reasonOf = <A, R>(call: Effect.Effect<A, ObjectStoreError, R>): Effect.Effect<string, A, R> =>
  Effect.map(Effect.flip(call), ({ reason }) => reason._tag)

/** Keys that are none of a path, or that others take for one. */
const oddKeys = [
  " leading and trailing ",
  "!'()*~",
  "%2F%20+",
  "../..",
  "./a",
  "/",
  "//",
  "<&>\"'",
  "a",
  "a b",
  "a/",
  "a//b",
  "a/../b",
  "a/b",
  "a?x=1&y#z",
  "a\\b",
  "\u00e9",
  "e\u0301",
  "\uffee",
  "\u{1f600}"
]

/** What every backend does. `capabilities` choose the cases. */
export const objectStoreContract = (
  name: string,
  { bucket, differences = [], otherBucket, partBytes, test }: Backend
): void => {
  const differs = (difference: Difference): boolean => differences.includes(difference)
  let count = 0
  const run = process.pid.toString(36) + process.hrtime.bigint().toString(36)

  /** Each case has keys of its own. They are left: a bucket that others use has more. */
  const withStore = (
    title: string,
    body: (store: ObjectStore, prefix: string) => Effect.Effect<void, unknown, ObjectStores | Scope.Scope>
  ): void => {
    const prefix = `${run}-${count++}/`
    test(
      title,
      Effect.flatMap(
        ObjectStores,
        (stores) => Effect.flatMap(stores.at({ scheme: "s3", bucket }), (store) => body(store, prefix))
      )
    )
  }

  describe(`ObjectStore: ${name}`, () => {
    withStore("gives back what was put, with its metadata", (store, prefix) =>
      Effect.gen(function*() {
        const key = `${prefix}object`
        const metadata = { mtime: "1764460800.123456789", "a-name": "a  value" }
        const stored = yield* store.put(key, bytesOf("content"), { metadata })
        const { bytes, info } = yield* read(store, key)
        assert.strictEqual(bytes.toString(), "content")
        assert.strictEqual(info.etag, stored.etag)
        assert.strictEqual(info.sizeBytes, 7)
        assert.deepStrictEqual<Readonly<Record<string, string>>>({ ...info.metadata }, metadata)
        assert.strictEqual(
          info.storedMillis === undefined ? undefined : info.storedMillis % 1000,
          differs("times untold") ? undefined : 0
        )
        assert.deepStrictEqual(yield* store.head(key), Option.some(info))
      }))

    withStore("gives back attributes of what was put, uploaded or copied", (store, prefix) =>
      Effect.gen(function*() {
        const [put, uploaded, copied] = [`${prefix}put`, `${prefix}uploaded`, `${prefix}copied`]
        const { etag } = yield* store.put(put, bytesOf("content"), { attributes })
        const upload = yield* store.uploads.begin(uploaded, { attributes })
        const part = yield* store.uploads.put(upload, 1, bytesOf("content"))
        // An answer may be lost, and then the upload is gone.
        yield* Effect.ignore(store.uploads.complete(upload, [part]))
        assert.deepStrictEqual((yield* read(store, put)).info.attributes, attributes)
        assert.deepStrictEqual(
          (yield* read(store, uploaded, { range: { start: 1, end: 3 } })).info.attributes,
          attributes
        )
        if (!store.capabilities.copies) return
        yield* store.copy({ bucket, key: put, etag }, copied)
        assert.deepStrictEqual((yield* read(store, copied)).info.attributes, attributes)
        const others = { "content-type": "text/plain" }
        yield* store.copy({ bucket, key: put, etag }, copied, { attributes: others })
        assert.deepStrictEqual((yield* read(store, copied)).info.attributes, others)
      }))

    withStore("gives back an empty object", (store, prefix) =>
      Effect.gen(function*() {
        yield* store.put(`${prefix}empty`, new Uint8Array())
        const { bytes, info } = yield* read(store, `${prefix}empty`)
        assert.deepStrictEqual([bytes.length, info.sizeBytes], [0, 0])
      }))

    withStore("keeps what was put, whatever becomes of the bytes", (store, prefix) =>
      Effect.gen(function*() {
        const key = `${prefix}object`
        const [whole, part] = [Buffer.from("content"), Buffer.from("content")]
        yield* store.put(key, whole)
        whole.fill(0)
        assert.strictEqual((yield* read(store, key)).bytes.toString(), "content")
        const upload = yield* store.uploads.begin(`${prefix}upload`)
        const sent = yield* store.uploads.put(upload, 1, part)
        part.fill(0)
        yield* store.uploads.complete(upload, [sent])
        assert.strictEqual((yield* read(store, upload.key)).bytes.toString(), "content")
      }))

    withStore("finds nothing where there is nothing", (store, prefix) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* store.head(`${prefix}none`), Option.none())
        assert.strictEqual(yield* reasonOf(read(store, `${prefix}none`)), "ObjectMissing")
        assert.deepStrictEqual(yield* keysOf(store, prefix), [])
      }))

    withStore("reads a range, and tells of the whole", (store, prefix) =>
      Effect.gen(function*() {
        const key = `${prefix}object`
        const { etag } = yield* store.put(key, bytesOf("0123456789"))
        const { bytes, info } = yield* read(store, key, { range: { start: 3, end: 6 }, etag })
        assert.strictEqual(bytes.toString(), "345")
        assert.strictEqual(info.sizeBytes, 10)
        const { checksums: _, ...facts } = Option.getOrThrow(yield* store.head(key))
        assert.deepInclude(info, facts)
        assert.strictEqual((yield* read(store, key, { range: { start: 8, end: 10 } })).bytes.toString(), "89")
      }))

    withStore("reads into a buffer, if what is read fits in", (store, prefix) =>
      Effect.gen(function*() {
        const key = `${prefix}object`
        const { etag } = yield* store.put(key, bytesOf("0123456789"))
        const buffer = Buffer.from("----------")
        const whole = yield* store.read(key, buffer)
        assert.deepStrictEqual([whole.length, whole.info.sizeBytes], [Option.some(10), 10])
        assert.strictEqual(buffer.toString(), "0123456789")
        const range = yield* store.read(key, buffer.subarray(1), { range: { start: 3, end: 6 }, etag })
        assert.deepStrictEqual([range.length, range.info.sizeBytes], [Option.some(3), 10])
        assert.strictEqual(buffer.toString(), "0345456789")
        const small = yield* store.read(key, Buffer.alloc(9))
        assert.deepStrictEqual([small.length, small.info.etag], [Option.none(), etag])
        assert.strictEqual(yield* reasonOf(store.read(`${prefix}none`, buffer)), "ObjectMissing")
        assert.strictEqual(yield* reasonOf(store.read(key, buffer, { etag: "other" })), "PreconditionFailed")
      }))

    withStore("refuses to read on where the object was replaced", (store, prefix) =>
      Effect.gen(function*() {
        const { etag } = yield* store.put(`${prefix}object`, bytesOf("old"))
        yield* store.put(`${prefix}object`, bytesOf("new"))
        assert.strictEqual(yield* reasonOf(read(store, `${prefix}object`, { etag })), "PreconditionFailed")
      }))

    withStore("writes on a condition, or does not write", (store, prefix) =>
      Effect.gen(function*() {
        const key = `${prefix}object`
        const absent = { condition: { _tag: "Absent" } } as const
        if (!store.capabilities.conditions.put || differs("conditions refused")) {
          assert.strictEqual(yield* reasonOf(store.put(key, bytesOf("1"), absent)), "Unsupported")
          assert.isFalse(store.capabilities.conditions.put)
          assert.deepStrictEqual(yield* store.head(key), Option.none())
          return
        }
        const { etag } = yield* store.put(key, bytesOf("1"), absent)
        assert.strictEqual(yield* reasonOf(store.put(key, bytesOf("2"), absent)), "PreconditionFailed")
        const same = { condition: { _tag: "Same", etag } } as const
        yield* store.put(key, bytesOf("3"), same)
        if (differs("replaced unchecked")) return
        assert.strictEqual(yield* reasonOf(store.put(key, bytesOf("4"), same)), "PreconditionFailed")
        assert.strictEqual((yield* read(store, key)).bytes.toString(), "3")
        assert.strictEqual(yield* reasonOf(store.put(`${prefix}none`, bytesOf("5"), same)), "PreconditionFailed")
      }))

    withStore(
      "lists all keys in the order of their bytes, from behind any of them",
      (store, prefix) =>
        Effect.gen(function*() {
          const keys = oddKeys.map((key) => prefix + key).toSorted((a, b) =>
            Buffer.compare(Buffer.from(a), Buffer.from(b))
          )
          yield* Effect.forEach(keys, (key) => store.put(key, bytesOf(key)), { concurrency: 4, discard: true })
          assert.deepStrictEqual(yield* keysOf(store, prefix), keys)
          yield* Effect.forEach(keys, (key, index) =>
            Effect.gen(function*() {
              assert.deepStrictEqual(yield* keysOf(store, prefix, key), keys.slice(index + 1))
              assert.strictEqual((yield* read(store, key)).bytes.toString(), key)
            }), { concurrency: 4, discard: true })
          assert.deepStrictEqual(
            yield* keysOf(store, prefix, `${prefix}a/0`),
            keys.filter((key) => key > `${prefix}a/0`)
          )
          assert.deepStrictEqual(
            yield* keysOf(store, `${prefix}a/`),
            keys.filter((key) => key.startsWith(`${prefix}a/`))
          )
        })
    )

    withStore("tells what is in a folder, from behind any key of it", (store, prefix) =>
      Effect.gen(function*() {
        const keys = [...oddKeys, "c", "d/1", "d/2", "d/e/3", "d.", "d/"].map((key) => prefix + key)
        yield* Effect.forEach(keys, (key) => store.put(key, bytesOf(key)), { concurrency: 4, discard: true })
        const inOrder = (texts: Iterable<string>) =>
          Array.from(new Set(texts)).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
        const isBehind = (key: string, after: string) => Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0
        yield* Effect.forEach([prefix, `${prefix}d/`, `${prefix}a`], (folder) =>
          Effect.gen(function*() {
            const children = inOrder(
              keys.filter((key) => key.startsWith(folder))
                .map((key) => key.slice(0, key.indexOf("/", folder.length) + 1) || key)
            )
            assert.deepStrictEqual(inOrder(yield* store.children(folder)), children)
            for (const after of [`${prefix}a/b`, `${prefix}d/1`, `${prefix}d/e/3`]) {
              const found = yield* store.children(folder, { after })
              assert.deepStrictEqual(
                inOrder(found.filter((child) => isBehind(child, after))),
                children.filter((child) => isBehind(child, after))
              )
            }
          }), { discard: true })
      }))

    withStore("lists what a page can't hold", (store, prefix) =>
      Effect.gen(function*() {
        const keys = Array.from({ length: 1002 }, (_, index) => `${prefix}${String(index).padStart(4, "0")}`)
        yield* Effect.forEach(keys, (key) => store.put(key, new Uint8Array()), { concurrency: 16, discard: true })
        const listed = yield* Stream.runCollect(store.list(prefix))
        assert.deepStrictEqual(listed.map(({ key }) => key), keys)
        const [first] = listed
        const info = Option.getOrThrow(yield* store.head(keys[0] ?? ""))
        assert.deepStrictEqual(first, {
          key: info.key,
          sizeBytes: 0,
          etag: info.etag,
          storedMillis: info.storedMillis
        })
        yield* store.remove(keys.slice(0, 1000))
        assert.deepStrictEqual(yield* keysOf(store, prefix), keys.slice(1000))
      }))

    withStore("removes objects with any key, and what is not there", (store, prefix) =>
      Effect.gen(function*() {
        const keys = oddKeys.map((key) => prefix + key)
        yield* Effect.forEach(keys, (key) => store.put(key, bytesOf(key)), { concurrency: 4, discard: true })
        assert.deepStrictEqual(yield* store.remove([...keys, `${prefix}none`]), [])
        assert.deepStrictEqual(yield* keysOf(store, prefix), [])
        assert.deepStrictEqual(yield* store.remove([]), [])
      }))

    withStore("keeps checksums of objects", (store, prefix) =>
      Effect.gen(function*() {
        const key = `${prefix}object`
        const { checksums } = yield* store.put(key, bytesOf("123456789"))
        const { info } = yield* read(store, key)
        assert.deepStrictEqual(info.checksums, checksums)
        assert.deepInclude(checksums, { algorithm: "md5", digest: "25f9e794323b453885f5181f1b624d0b" })
        const hasCrc = checksums.some(({ algorithm, digest }) => algorithm === "crc32" && digest === "cbf43926")
        assert.strictEqual(hasCrc, store.capabilities.checksum === "crc32")
      }))

    withStore("copies objects, with their metadata or others", (store, prefix) =>
      Effect.gen(function*() {
        const { at } = yield* ObjectStores
        const other = yield* at({ scheme: "s3", bucket: otherBucket })
        assert.strictEqual(other.provider, store.provider)
        const key = `${prefix}a b+%/\u00e9?`
        const { etag } = yield* store.put(key, bytesOf("content"), { metadata: { mtime: "1" } })
        const source = { bucket, key, etag }
        if (!store.capabilities.copies) {
          assert.strictEqual(yield* reasonOf(other.copy(source, key)), "Unsupported")
          return
        }
        yield* other.copy(source, key)
        yield* other.copy(source, `${key}2`, { metadata: { mtime: "2" } })
        const copies = [yield* read(other, key), yield* read(other, `${key}2`)]
        assert.deepStrictEqual(copies.map(({ bytes, info }) => [bytes.toString(), info.metadata["mtime"]]), [
          ["content", "1"],
          ["content", "2"]
        ])
        if (!differs("sources unchecked")) {
          assert.strictEqual(yield* reasonOf(other.copy({ ...source, etag: "0" }, key)), "PreconditionFailed")
        }
        assert.strictEqual(yield* reasonOf(other.copy({ ...source, key: `${prefix}none` }, key)), "ObjectMissing")
      }))

    withStore(
      "refuses keys and metadata that no object can have, before any request",
      (store, prefix) =>
        Effect.gen(function*() {
          const long = prefix.padEnd(store.capabilities.limits.keyBytes + 1, "k")
          yield* Effect.forEach(["", `${prefix}\ud800`, long], (key) =>
            Effect.gen(function*() {
              assert.strictEqual(yield* reasonOf(store.put(key, bytesOf("x"))), "Refused")
              assert.strictEqual(yield* reasonOf(read(store, key)), "Refused")
              assert.strictEqual(yield* reasonOf(store.uploads.begin(key)), "Refused")
            }))
          yield* store.put(long.slice(0, -1), bytesOf("x"))
          const split = { attributes: { "content-type": "a\r\nx-amz-acl: public-read" } }
          assert.strictEqual(yield* reasonOf(store.put(`${prefix}x`, bytesOf("x"), split)), "Refused")
          yield* Effect.forEach(
            [{ a: "b\r\nx-amz-acl: public-read" }, { A: "b" }, { a: "\u00e9" }, { a: " b" }],
            (metadata) =>
              Effect.gen(function*() {
                assert.strictEqual(yield* reasonOf(store.put(`${prefix}x`, bytesOf("x"), { metadata })), "Refused")
              })
          )
        })
    )

    withStore("tells that there is no bucket", (_, prefix) =>
      Effect.gen(function*() {
        const { at } = yield* ObjectStores
        const none = yield* at({ scheme: "s3", bucket: "no-bucket-of-this-name" })
        assert.strictEqual(yield* reasonOf(keysOf(none, prefix)), "BucketMissing")
        assert.strictEqual(yield* reasonOf(none.put(`${prefix}x`, bytesOf("x"))), "BucketMissing")
        assert.strictEqual(yield* reasonOf(read(none, `${prefix}x`)), "BucketMissing")
        assert.strictEqual(yield* reasonOf(none.uploads.begin(`${prefix}x`)), "BucketMissing")
      }))

    withStore("makes an object of parts, which nobody sees before", (store, prefix) =>
      Effect.gen(function*() {
        const key = `${prefix}object`
        const [one, two] = [noise(partBytes, 1), noise(100, 2)]
        const upload = yield* store.uploads.begin(key, { metadata: { mtime: "1" } })
        const second = yield* store.uploads.put(upload, 2, two)
        yield* store.uploads.put(upload, 1, noise(partBytes, 3))
        const first = yield* store.uploads.put(upload, 1, one)
        assert.deepStrictEqual(yield* store.head(key), Option.none())
        assert.deepStrictEqual(yield* Stream.runCollect(store.uploads.parts(upload)), [first, second])
        assert.deepStrictEqual([first.sizeBytes, second.sizeBytes], [partBytes, 100])
        const { checksums, etag } = yield* store.uploads.complete(upload, [first, second])
        const { bytes, info } = yield* read(store, key)
        assert.isTrue(bytes.equals(Buffer.concat([one, two])))
        assert.deepStrictEqual([info.etag, info.metadata["mtime"], info.checksums], [etag, "1", checksums])
        assert.deepStrictEqual(
          checksums,
          store.capabilities.checksum === undefined ? [] : [crcOf(Buffer.concat([one, two]))]
        )
        if (!differs("parts kept")) {
          assert.strictEqual(yield* reasonOf(Stream.runCollect(store.uploads.parts(upload))), "UploadMissing")
        }
        const again = yield* Effect.result(store.uploads.complete(upload, [first, second]))
        const isMissing = Result.isFailure(again) && again.failure.reason._tag === "UploadMissing"
        assert.isTrue(isMissing || (Result.isSuccess(again) && again.success.etag === etag))
      }))

    withStore("goes on with an upload by the parts that the store lists", (store, prefix) =>
      Effect.gen(function*() {
        const bytes = [noise(partBytes, 1), noise(partBytes, 2), noise(1, 3)]
        const upload = yield* store.uploads.begin(`${prefix}object`)
        yield* store.uploads.put(upload, 1, noise(partBytes, 1))
        yield* store.uploads.put(upload, 3, noise(1, 3))
        const listed = yield* Stream.runCollect(store.uploads.parts(upload))
        assert.deepStrictEqual(listed.map(({ number }) => number), [1, 3])
        const parts = [...listed, yield* store.uploads.put(upload, 2, noise(partBytes, 2))]
        yield* store.uploads.complete(upload, parts.toSorted((a, b) => a.number - b.number))
        assert.isTrue((yield* read(store, `${prefix}object`)).bytes.equals(Buffer.concat(bytes)))
      }))

    withStore("lists open uploads, and aborts them", (store, prefix) =>
      Effect.gen(function*() {
        const one = yield* store.uploads.begin(`${prefix}a`)
        const two = yield* store.uploads.begin(`${prefix}b/ é&`)
        const part = yield* store.uploads.put(two, 1, bytesOf("part"))
        const open = (yield* Stream.runCollect(store.uploads.open(prefix))).map(({ id, key }) => ({ id, key }))
        assert.deepStrictEqual(open, [one, two].map(({ id, key }) => ({ id, key })))
        yield* store.uploads.abort(one)
        yield* store.uploads.abort(two)
        yield* store.uploads.abort(two)
        assert.deepStrictEqual(yield* Stream.runCollect(store.uploads.open(prefix)), [])
        assert.deepStrictEqual(yield* keysOf(store, prefix), [])
        const sent = yield* reasonOf(store.uploads.put(two, 1, bytesOf("part")))
        assert.strictEqual(sent, differs("parts failing") ? "ServiceFailed" : "UploadMissing")
        assert.strictEqual(yield* reasonOf(store.uploads.complete(two, [part])), "UploadMissing")
      }))

    withStore("refuses to complete with parts that it does not have", (store, prefix) =>
      Effect.gen(function*() {
        const upload = yield* store.uploads.begin(`${prefix}object`)
        const part = yield* store.uploads.put(upload, 1, bytesOf("part"))
        assert.strictEqual(yield* reasonOf(store.uploads.complete(upload, [part, { ...part, number: 2 }])), "Refused")
        yield* store.uploads.abort(upload)
      }))

    withStore("completes on a condition, or says that it can't", (store, prefix) =>
      Effect.gen(function*() {
        const key = `${prefix}object`
        yield* store.put(key, bytesOf("there"))
        const upload = yield* store.uploads.begin(key)
        const part = yield* store.uploads.put(upload, 1, bytesOf("part"))
        const reason = yield* reasonOf(store.uploads.complete(upload, [part], { condition: { _tag: "Absent" } }))
        assert.strictEqual(reason, store.capabilities.conditions.complete ? "PreconditionFailed" : "Unsupported")
        assert.strictEqual((yield* read(store, key)).bytes.toString(), "there")
        yield* store.uploads.abort(upload)
      }))

    withStore("copies parts of objects into parts of an upload", (store, prefix) =>
      Effect.gen(function*() {
        const bytes = noise(partBytes + 10)
        const { etag } = yield* store.put(`${prefix}source`, bytes)
        const source = { bucket, key: `${prefix}source`, etag }
        const upload = yield* store.uploads.begin(`${prefix}copy`)
        const copyPart = store.uploads.copy(upload, 1, source, { start: 10, end: partBytes + 10 })
        if (!store.capabilities.copies) {
          assert.strictEqual(yield* reasonOf(copyPart), "Unsupported")
          return
        }
        const first = yield* copyPart
        const second = yield* store.uploads.put(upload, 2, bytesOf("end"))
        assert.strictEqual(first.sizeBytes, partBytes)
        yield* store.uploads.complete(upload, [first, second])
        const copied = yield* read(store, `${prefix}copy`)
        assert.isTrue(copied.bytes.equals(Buffer.concat([bytes.subarray(10), bytesOf("end")])))
      }))
  })
}
