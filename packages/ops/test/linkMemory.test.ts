import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import type * as Copy from "@fanout/ops/Copy"
import * as HardLinks from "@fanout/ops/HardLinks"
import type * as Move from "@fanout/ops/Move"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Harness from "./copyHarness.ts"

describe("HardLinks", () => {
  it("is required where links may be kept", () => {
    expectTypeOf<Extract<Layer.Services<typeof Copy.layer>, HardLinks.HardLinks>>()
      .toEqualTypeOf<HardLinks.HardLinks>()
    expectTypeOf<Extract<Layer.Services<typeof Move.layer>, HardLinks.HardLinks>>()
      .toEqualTypeOf<HardLinks.HardLinks>()
  })

  it.effect.each(
    [
      ["a copy that is to keep links", { preserve: ["links"] }],
      ["a move", { moves: true }]
    ] as const
  )("refuses %s where nothing remembers them, before anything is done", ([, options]) =>
    Effect.gen(function*() {
      const disk = Harness.plant()
      disk.hardLink("/from/a", "/from/again")
      const before = disk.see("/from")

      const { rows, state } = yield* Harness.copy(disk, { ...options, hardLinks: HardLinks.none })

      assert.deepStrictEqual([state, rows], ["Failed", []])
      assert.deepStrictEqual([disk.see("/from"), disk.see("/to/copy")], [before, undefined])
    }))

  it.effect("need not be remembered for what keeps none", () =>
    Effect.gen(function*() {
      const { state } = yield* Harness.copy(Harness.plant(), { hardLinks: HardLinks.none })
      assert.strictEqual(state, "Completed")
    }))
})
