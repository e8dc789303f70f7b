import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { amountsOf, momentsOf } from "../page/axes.ts"

const Amount = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1e15 }))
const Span = Schema.Int.check(Schema.isBetween({ minimum: 1000, maximum: 1e11 }))

describe("axes", () => {
  it.prop("reach above the largest amount in a few even steps", { largest: Amount }, ({ largest }) => {
    for (const unit of ["bytes", "items"] as const) {
      const amounts = amountsOf(unit, largest)
      assert.strictEqual(amounts[0], 0)
      assert.isAtLeast(amounts.at(-1) ?? 0, largest)
      assert.isBelow(amounts.length, 11)
    }
  })

  it("have amounts that are easy to read", () => {
    assert.deepStrictEqual(amountsOf("items", 1700), [0, 500, 1000, 1500, 2000])
    assert.deepStrictEqual(amountsOf("bytes", 3.5 * 2 ** 20), [0, 1, 2, 3, 4].map((n) => n * 2 ** 20))
  })

  it.prop("have no more moments than there is room for", { span: Span }, ({ span }) => {
    const from = 1_795_978_472_709
    const moments = momentsOf(from, from + span, 8)
    assert.isAtMost(moments.length, 9)
    for (const at of moments) assert.isTrue(at >= from && at <= from + span)
  })
})
