import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as NamesWorld from "./NamesWorld.ts"

const countOf = (all: ReadonlyArray<string>, one: string): number => all.filter((other) => other === one).length

describe("nothing is destroyed", () => {
  it.effect.prop(
    "however a destination takes names, times, modes and attributes, and wherever processes are killed",
    { world: NamesWorld.World },
    ({ world }) =>
      Effect.gen(function*() {
        const { before, from, isOver, tags, to } = yield* NamesWorld.run(world)
        assert.isTrue(isOver)
        for (const content of new Set(before)) {
          const [left, copies] = [countOf(from, content), countOf(to, content)]
          if (world.moves) assert.isAtLeast(left + copies, countOf(before, content), "each has a place of its own")
          else assert.strictEqual(left, countOf(before, content), "a copy leaves its sources")
        }
        // All of it may be one that is moved, by another name.
        if (tags["Moved"] === 1 && tags["FolderMade"] === undefined) return
        const places = to.filter((content) => before.includes(content)).length
        const { Copied = 0, Linked = 0, Moved = 0, Unchanged = 0 } = tags
        assert.strictEqual(Moved, before.length - from.length, "as many are gone as are told to be moved")
        assert.isAtMost(Copied + Linked + Moved, places, "as many are there as are told to be copied")
        // What has another size and time is taken for no copy, whoever has written it.
        const isShort = world.names.startsWith("cut")
        if (world.there.length === 0 && !isShort) {
          assert.isAtMost(Copied + Linked + Moved + Unchanged, places, "or to be there")
        }
      })
  )
})
