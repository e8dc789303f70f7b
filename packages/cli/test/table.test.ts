import { assert, describe, it } from "@effect/vitest"
import { fit, table, width } from "../src/ui/table.ts"

describe("table", () => {
  it("aligns columns", () => {
    assert.deepStrictEqual(table(["ID", "NAME"], [["a", "x"], ["abc", "y"]], 80), ["ID   NAME", "a    x", "abc  y"])
  })

  it("fits the terminal", () => {
    const lines = table(["ID", "NAME"], [["abc", "a long name of a job"]], 12)
    assert.deepStrictEqual(lines, ["ID   NAME", "abc  a long…"])
  })

  it("counts cells, not characters", () => {
    assert.strictEqual(width("漢字"), 4)
    assert.strictEqual(width("e\u0301"), 1)
    assert.strictEqual(width("\u001b[31mred\u001b[0m"), 3)
    assert.strictEqual(fit("漢字漢字", 5), "漢字…")
  })
})
