import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as World from "./objectHarness.ts"

const name = (n: number): string => `file-${String(n).padStart(5, "0")}`

/** How many pages of the listing of the target a copy to a bucket asks for, which has these files already. */
const pagesOf = Effect.fnUntraced(function*(inBucket: number, copied: ReadonlyArray<number>) {
  const world = yield* World.makeWorld()
  for (let n = 0; n < inBucket; n++) yield* World.put(world, `copy/${name(n)}`, "is there")
  for (const n of copied) world.disk.file(`/from/${name(n)}`, "is copied")
  const { tally } = yield* World.copy(world, "/from", "s3://bucket/copy", { conflict: "skip" })
  assert.strictEqual(tally.tags["Copied"], copied.filter((n) => n >= inBucket).length)
  return world.requests.filter((one) => one === "list copy/").length
})

describe("Targets of a copy", () => {
  it.effect("are listed page by page where most of them are looked for", () =>
    Effect.gen(function*() {
      const all = Array.from({ length: 3500 }, (_, n) => n)
      assert.isAtMost(yield* pagesOf(3400, all), 5)
    }))

  it.effect("are passed where nobody looks for them", () =>
    Effect.gen(function*() {
      assert.isAtMost(yield* pagesOf(8000, [100, 4100, 7900, 8100]), 4)
    }))
})
