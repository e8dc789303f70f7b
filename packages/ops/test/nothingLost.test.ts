import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { runs } from "../../../test/effort.ts"
import * as TouchingTrees from "./TouchingTrees.ts"

describe("nothing is lost", { timeout: 600_000 }, () => {
  it.effect.prop(
    "however sources and targets touch, wherever processes are killed, and whatever is tidied up in between",
    { world: TouchingTrees.World },
    ({ world }) =>
      Effect.gen(function*() {
        const { isOver, lost } = yield* TouchingTrees.run(world)
        assert.deepStrictEqual([isOver, lost], [true, []])
      }),
    { arbitrary: { runs: runs(6000) } }
  )
})
