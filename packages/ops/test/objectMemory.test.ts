import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import { ObjectStores } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import { setTimeout } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as ObjectAccess from "../src/internal/objects/objectAccess.ts"
import * as World from "./objectHarness.ts"

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

describe("Memory of an upload", () => {
  it.effect("has the content of a file in memory once", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      const sizeBytes = 5 * 2 ** 20
      world.disk.file("/from/a", "x".repeat(sizeBytes))
      // What was freed is counted a moment later.
      const used = Effect.promise(async () => {
        for (let times = 0; times < 3; times++) {
          collectGarbage()
          await setTimeout(20)
        }
        return process.memoryUsage().arrayBuffers
      })
      let more = 0
      const before = yield* used
      const measure = Effect.map(used, (now) => void (more = now - before))
      world.before = ({ call }) => call === "put" ? measure : Effect.void

      yield* World.copy(world, "/from", "s3://bucket/copy")

      assert.isAbove(more, 0.5 * sizeBytes)
      assert.isBelow(more, 1.5 * sizeBytes)
    }))
})

describe("What listings tell", () => {
  it.effect("is kept of the last ones, however many nobody comes for", () =>
    Effect.gen(function*() {
      const { stores } = yield* World.makeWorld()
      const { known } = yield* Effect.provideService(
        ObjectAccess.make({ user: 0, denied: 0 }),
        ObjectStores,
        stores
      )
      const addressOf = (n: number) => FilePath.make(`s3://bucket/${n}`)
      let most = 0
      for (let n = 0; n < 1_000_000; n++) {
        known.set(addressOf(n), { _tag: "Absent" })
        most = Math.max(most, known.size)
      }

      assert.strictEqual(most, ObjectAccess.mostKnown)
      assert.isTrue(known.has(addressOf(999_999)))
      assert.isTrue(known.has(addressOf(1_000_000 - ObjectAccess.mostKnown / 2)))
    }))
})
