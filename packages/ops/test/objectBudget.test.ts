import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as World from "./objectHarness.ts"

const text = "x".repeat(5 * 2 ** 20)
/** More than there may be in memory. */
const names = Array.from({ length: 13 }, (_, n) => `f${n}`)

describe("Memory of objects", () => {
  it.effect("goes to pairs that have to be read, and never to one side alone", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld({ ...World.ofSmallParts, checksum: undefined }, "elsewhere")
      for (const folder of ["a", "b"]) for (const name of names) yield* World.put(world, `${folder}/${name}`, text)
      world.before = ({ call }) => call === "get" ? Effect.sleep("1 second") : Effect.void

      const { state } = yield* World.verify(world, "s3://bucket/a", "s3://bucket/b", { ignore: ["times"], atOnce: 16 })

      assert.strictEqual(state._tag, "Completed")
    }), 20_000)

  it.effect("is given back by objects that have grown, before more is asked for", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      for (const name of names) yield* World.put(world, `a/${name}`, text)
      let isGrown = false
      world.before = ({ call }) => {
        if (call !== "get" || isGrown) return Effect.void
        isGrown = true
        return Effect.forEach(names, (name) => World.put(world, `a/${name}`, `${text} more`)).pipe(
          Effect.orDie,
          Effect.asVoid
        )
      }

      const { state } = yield* World.copy(world, "s3://bucket/a", "/to/a", { atOnce: 16 })

      assert.strictEqual(state._tag, "Completed")
    }), 20_000)

  it.effect("is not asked for where the disk has no files without a name, and each object is read once", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      world.disk.takesUnnamed = false
      for (const name of names) yield* World.put(world, `a/${name}`, name)

      yield* World.copy(world, "s3://bucket/a", "/to/a")

      assert.strictEqual(world.requests.filter((one) => one.startsWith("get ")).length, names.length)
    }))
})
