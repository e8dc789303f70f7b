import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as World from "./objectHarness.ts"

describe("Names of objects", () => {
  it.effect("may be those of folders at the target, for one object alone", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* World.put(world, "x/a", "is a")
      yield* World.put({ store: world.other }, "y/a/b", "is b")
      const { rows } = yield* World.copy(world, "s3://bucket/x/a", "s3://other/y/a")
      assert.deepStrictEqual(rows, [])
    }))
  it.effect("may be those of folders at the target, after a broken connection", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      world.disk.file("/from/a", "is a")
      yield* World.put(world, "y/a/b", "is b")
      let isLost = false
      world.before = ({ call, key }) => {
        if (isLost || call !== "put" || key !== "y/a") return Effect.void
        isLost = true
        return Effect.fail(World.failure({ _tag: "Unreachable", code: "ECONNRESET" }))
      }
      const { rows } = yield* World.copy(world, "/from", "s3://bucket/y", { whenStopped: Effect.void })
      assert.deepStrictEqual(rows, [])
    }))
  it.effect.each(["changed", "overwrite"] as const)(
    "may be taken for one: the other is placed just before the look (%s)",
    (conflict) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld(World.ofSmallParts)
        world.disk.takes("/to", { fold: (stored) => stored.toLowerCase() })
        world.disk.folder("/to/x")
        yield* World.put(world, "x/Large", World.long(7))
        yield* World.put(world, "x/large", `${World.long(7)}more`)
        let looks = 0
        const isPlaced = () => Object.keys(world.disk.tree("/to/x")).includes("Large")
        const { rows, tally } = yield* World.move(world, "s3://bucket/x", "/to", {
          conflict,
          // The third look is that of the decision; those before it are for the spelling.
          files: (call, path) =>
            call === "lstat" && path === "/to/x/large" && ++looks === 3
              ? Effect.repeat(Effect.sleep("1 second"), { until: isPlaced })
              : Effect.void
        })
        const files = Object.values(world.disk.tree("/to/x")).filter(({ kind }) => kind === "file").length
        const left = yield* World.keys(world)
        assert.strictEqual(files + left.length, 2, JSON.stringify({ rows, tags: tally.tags, left }))
      })
  )
  it.effect("may be taken for one: both have one size and time", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      world.disk.takes("/to", { fold: (stored) => stored.toLowerCase() })
      yield* World.put(world, "x/A", "big A")
      for (let n = 0; n < 300; n++) yield* World.put(world, `x/M${n}`, "m")
      yield* World.put(world, "x/a", "sma a")
      const { rows } = yield* World.copy(world, "s3://bucket/x", "/to/y", { atOnce: 1 })
      assert.match(rows.join(), /takes both for one name/)
    }))
})
