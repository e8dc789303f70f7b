import { assert, describe, it } from "@effect/vitest"
import type { ObjectStore } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import { stride } from "../../../test/effort.ts"
import * as World from "./objectHarness.ts"

const verify = { request: { verify: true } } as const

const plant = ({ disk }: World.World) => {
  disk.file("/from/small", "text of small", { mode: 0o640, modified: 1_700_000_000_123_456_789n })
  disk.file("/from/empty", "")
  disk.file("/from/large", World.long(20))
}

/** Has all jobs work with another store in the place of the bucket. */
const inPlace = (world: World.World, change: (store: ObjectStore) => Partial<ObjectStore>): void => {
  const { at } = world.stores
  Object.assign(world, {
    stores: {
      at: (...bucket: Parameters<typeof at>) => Effect.map(at(...bucket), (store) => ({ ...store, ...change(store) }))
    }
  })
}

const flipped = (bytes: Uint8Array): Uint8Array => {
  const copy = Uint8Array.from(bytes)
  copy[copy.length - 1] = (copy[copy.length - 1] ?? 0) ^ 1
  return copy
}

const gets = ({ requests }: World.World) => requests.filter((request) => request.startsWith("get"))

describe("Copy with --verify", () => {
  it.effect.each([undefined, "crc32"] as const)(
    "compares what a store answers to uploads (%s)",
    (checksum) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld({ ...World.ofSmallParts, checksum })
        plant(world)

        const { rows, units } = yield* World.copy(world, "/from", "s3://bucket/copy", verify)

        assert.deepStrictEqual(rows, [])
        assert.deepStrictEqual([units["verified"], units["comparedByChecksum"]], [3, 3])
        assert.deepStrictEqual(gets(world), [])
      })
  )

  it.effect("reads objects back of which the store tells nothing", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld({ ...World.ofSmallParts, checksum: undefined })
      plant(world)
      // As where a service has a key of its own, which ETags are made with.
      inPlace(world, ({ get, put, uploads }) => ({
        get: (key) => get(key),
        put: (...all) => Effect.as(put(...all), { etag: "opaque", checksums: [] }),
        uploads: {
          ...uploads,
          complete: (...all) => Effect.as(uploads.complete(...all), { etag: "opaque", checksums: [] })
        }
      }))

      const { rows, units } = yield* World.copy(world, "/from", "s3://bucket/copy", verify)

      assert.deepStrictEqual(rows, [])
      assert.deepStrictEqual([units["verified"], units["comparedByReading"]], [3, 3])
      assert.deepStrictEqual(gets(world).toSorted(), ["get copy/empty", "get copy/large", "get copy/small"])
    }))

  it.effect("fails an object that is not what was sent", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld({ ...World.ofSmallParts, checksum: undefined })
      plant(world)
      inPlace(world, ({ put, uploads }) => ({
        put: (key, bytes, options) => put(key, key.endsWith("small") ? flipped(bytes) : bytes, options),
        uploads: {
          ...uploads,
          put: (upload, number, bytes) => uploads.put(upload, number, number === 3 ? flipped(bytes) : bytes)
        }
      }))

      const { rows } = yield* World.copy(world, "/from", "s3://bucket/copy", verify)

      assert.strictEqual(rows.length, 2)
      for (const row of rows) assert.include(row, "is not what was written")
    }))

  it.effect("does not notice that without", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      plant(world)
      inPlace(world, ({ put }) => ({
        put: (key, bytes, options) => put(key, key.endsWith("small") ? flipped(bytes) : bytes, options)
      }))

      const { rows, units } = yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.deepStrictEqual([rows, units["verified"]], [[], undefined])
    }))

  it.effect("compares parts that an earlier process has sent, and goes on whenever it is killed", () =>
    Effect.gen(function*() {
      for (let at = 1, isKilled = true; isKilled; at += stride(3)) {
        const world = yield* World.makeWorld({ ...World.ofSmallParts, checksum: undefined })
        world.disk.file("/from/large", World.long(5))
        const result = yield* World.copy(world, "/from", "s3://bucket/copy", {
          ...verify,
          kill: { at, when: at % 2 === 0 ? "after" : "before" }
        })

        isKilled = result.isKilled
        assert.deepStrictEqual(result.rows, [])
        // An object that was whole before the process was killed is as it should be.
        assert.strictEqual(result.units["verified"] ?? result.tally.tags?.["Unchanged"], 1)
        assert.strictEqual((yield* World.read(world, "copy/large")).text, World.long(5))
        assert.deepStrictEqual(yield* World.openUploads(world), [])
      }
    }))

  it.effect("compares a large download with the checksum that the store keeps, and reads it back", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* World.put(world, "of/large", World.long(20))
      yield* World.put(world, "of/small", "text")

      const { rows, units } = yield* World.copy(world, "s3://bucket/of", "/to/of", verify)

      assert.deepStrictEqual(rows, [])
      assert.deepStrictEqual([units["verified"], units["comparedByChecksum"]], [2, 2])
    }))

  it.effect("fails a large download that is not what the store keeps", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* World.put(world, "of/large", World.long(20))
      inPlace(world, ({ read }) => ({
        read: (key, buffer, options) =>
          Effect.tap(read(key, buffer, options), () =>
            Effect.sync(() => {
              if (options?.range?.start === 15 * 2 ** 20) buffer.set(flipped(buffer.slice(0, 1)))
            }))
      }))

      const { rows } = yield* World.copy(world, "s3://bucket/of", "/to/of", verify)
      const without = yield* World.copy(world, "s3://bucket/of", "/to/without")

      assert.strictEqual(rows.length, 1)
      assert.include(rows[0], "has another md5 than its store tells")
      assert.notProperty(World.treeOf(world, "/to/of"), "large")
      assert.deepStrictEqual(without.rows, [])
    }))
})
