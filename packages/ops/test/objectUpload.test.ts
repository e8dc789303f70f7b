import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as World from "./objectHarness.ts"

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

/** Number of the first request that begins so. */
const numberOf = ({ requests }: World.World, begin: string): number =>
  requests.findIndex((request) => request.startsWith(begin)) + 1

describe("Upload of a file", () => {
  it.effect("drops no upload that another program has begun", () =>
    Effect.gen(function*() {
      const plain = yield* World.makeWorld(World.ofSmallParts)
      plain.disk.file("/from/large", World.long(2))
      yield* World.copy(plain, "/from", "s3://bucket/copy")
      const at = numberOf(plain, "beginUpload")

      const world = yield* World.makeWorld(World.ofSmallParts)
      world.disk.file("/from/large", World.long(2))
      const theirs = yield* world.store.uploads.begin("copy/large")
      const { isKilled, state } = yield* World.copy(world, "/from", "s3://bucket/copy", { kill: { at, when: "after" } })

      assert.deepStrictEqual([isKilled, state._tag], [true, "Completed"])
      assert.strictEqual(world.requests.filter((request) => request.startsWith("beginUpload")).length, 2)
      assert.deepStrictEqual((yield* World.openUploads(world)).map(({ id }) => id), [theirs.id])
    }))

  it.effect.each(["error", "rename"] as const)(
    "takes an object for its own whose PUT was answered by a 503 (%s)",
    (conflict) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld({ ...World.ofSmallParts, checksum: undefined })
        world.disk.file("/from/a", "text")
        world.after = ({ call }) => {
          if (call !== "put") return Effect.void
          world.after = () => Effect.void
          return Effect.fail(World.failure({ _tag: "Throttled", code: "503" }))
        }

        const { rows, state } = yield* World.copy(world, "/from", "s3://bucket/copy", { conflict })

        assert.deepStrictEqual([state._tag, rows], ["Completed", []])
        assert.deepStrictEqual(yield* World.keys(world), ["copy/a"])
        assert.strictEqual(world.requests.filter((request) => request === "put copy/a").length, 2)
      })
  )

  it.effect("keeps each piece of a file that is put by one request", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      const text = World.long(3)
      world.disk.file("/from/a", text)

      yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.isTrue((yield* World.read(world, "copy/a")).text === text)
    }))

  it.effect("has the content of a file in memory once", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      const sizeBytes = 2 ** 24
      world.disk.file("/from/a", "x".repeat(sizeBytes))
      const used = () => {
        collectGarbage()
        return process.memoryUsage().arrayBuffers
      }
      let more = 0
      const before = used()
      world.before = ({ call }) => Effect.sync(() => void (call === "put" && (more = used() - before)))

      yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.isAbove(more, sizeBytes - 1)
      assert.isBelow(more, 1.5 * sizeBytes)
    }))
})
