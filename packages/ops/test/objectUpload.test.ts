import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as World from "./objectHarness.ts"

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
})
