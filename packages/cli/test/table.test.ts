import { assert, describe, it } from "@effect/vitest"
import { broken, fit, table, wrappedTable } from "../src/ui/table.ts"

describe("table", () => {
  it("aligns columns", () => {
    assert.deepStrictEqual(table(["ID", "NAME"], [["a", "x"], ["abc", "y"]], 80), ["ID   NAME", "a    x", "abc  y"])
  })

  it("fits the terminal", () => {
    const lines = table(["ID", "NAME"], [["abc", "a long name of a job"]], 12)
    assert.deepStrictEqual(lines, ["ID   NAME", "abc  a long…"])
  })

  it("leaves out columns that are expendable before it cuts the last one short", () => {
    const of = (columns: number) =>
      table(["ID", "AGE", "N", "WHAT"], [["abc", "5m", "1", "copy from → to/a/b/c"]], columns, ["N", "AGE"]).at(-1)
    assert.strictEqual(of(80), "abc  5m   1  copy from → to/a/b/c")
    assert.strictEqual(of(29), "abc  5m   1  copy from → to/…")
    assert.strictEqual(of(28), "abc  5m   copy from → to/a/…")
    assert.strictEqual(of(25), "abc  copy from → to/a/b/c")
    assert.strictEqual(of(12), "abc  copy f…")
  })

  it("counts cells, not characters", () => {
    const names = ["漢字", "e\u0301", "\u001b[31mred\u001b[0m", "👩‍👩‍👧", "🏳️‍🌈", "👍🏽", "🇨🇭", "1️⃣"]
    const cells = [4, 1, 3, 2, 2, 2, 2, 2]
    const [, ...lines] = table(["NAME", ""], names.map((name) => [name, "|"]), 80)
    assert.deepStrictEqual(lines, names.map((name, at) => `${name}${" ".repeat(6 - (cells[at] ?? 0))}|`))
    assert.strictEqual(fit("漢字漢字", 5), "漢字…")
    assert.strictEqual(fit("👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧", 5), "👩‍👩‍👧👩‍👩‍👧…")
  })

  it("breaks the last column between words, where nothing is to be cut", () => {
    assert.deepStrictEqual(wrappedTable(["", "FOUND"], [["ok", "a few words of text and averyveryverylongone"]], 20), [
      "    FOUND",
      "ok  a few words of",
      "    text and",
      "    averyveryverylongone"
    ])
  })
})

describe("broken", () => {
  it("breaks between words, and within no command", () => {
    const text = "failed   /a: no. Go on with `fanout jobs resume k1`, or with the same command again."
    assert.deepStrictEqual(broken(text, 40), [
      "failed   /a: no. Go on with",
      "`fanout jobs resume k1`, or with the",
      "same command again."
    ])
    assert.deepStrictEqual(broken("word longerthanthat x", 5), ["word", "longerthanthat", "x"])
    assert.deepStrictEqual(broken("", 5), [])
  })
})
