import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import { find } from "../src/internal/path/collidingNames.ts"

const twins = (...names: ReadonlyArray<string>): ReadonlyArray<string> =>
  Array.from(find(() => names.map(FilePath.make)), String).toSorted()

describe("twins", () => {
  it.each([
    [["a", "A"]],
    [["readme", "README", "ReadMe"]],
    [["\u00e9", "e\u0301", "\u00c9"]],
    [["\u00df", "SS", "ss"]],
    [["\u03c3", "\u03c2", "\u03a3"]],
    [["a", "a.", "a ", "A. ."]],
    [["a:b", "a_b", "A?b"]],
    [["\ufb01", "fi"]],
    [["\udce9", "\udcc9"]],
    [["a\u200db", "ab"]]
  ])("are %j", (names) => {
    assert.deepStrictEqual(twins("other", ...names, "more", "Third"), names.toSorted())
  })

  it("are looked for without keeping plain names: these are given once more where others are among them", () => {
    const timesGiven = (...names: ReadonlyArray<string>): number => {
      let times = 0
      find(() => {
        times++
        return names.map(FilePath.make)
      })
      return times
    }
    assert.deepStrictEqual([timesGiven("a", "b"), timesGiven("a", "B")], [1, 2])
  })

  it("are none where names differ in more, or there is one", () => {
    assert.deepStrictEqual(twins("a", "b", "B2", "a-b", "a.b", "a_b", "aa", "\u00e4", "\udcc0", "\u6587", "..."), [])
    assert.deepStrictEqual(twins("README"), [])
    assert.deepStrictEqual(twins(), [])
  })
})
