import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Filter from "@fanout/ops/Filter"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { runs } from "../../../test/effort.ts"

const filter = (...rules: ReadonlyArray<string>) => {
  const leavesOut = Filter.make(rules.map((rule) => Filter.Rule.make(rule)))
  return (path: string) => leavesOut(FilePath.make(path.replace(/\/$/, "")), path.endsWith("/"))
}

const collect = () => {
  setFlagsFromString("--expose-gc")
  runInNewContext("gc")()
}

/** Whether each path is left out by the rules: the one that ends with a slash is a folder. */
const table: ReadonlyArray<
  readonly [rules: ReadonlyArray<string>, out: ReadonlyArray<string>, kept: ReadonlyArray<string>]
> = [
  [[], [], ["a", "a/"]],
  [["a"], ["a", "a/", "b/a", "b/a/"], ["ab", "A"]],
  [["/a"], ["a", "a/"], ["b/a"]],
  [["a/"], ["a/", "b/a/"], ["a", "b/a"]],
  [["a/b"], ["a/b", "a/b/"], ["b", "c/a/b"]],
  [["**/a/b"], ["a/b", "c/d/a/b"], ["b"]],
  [["a/**"], ["a/b", "a/b/c"], ["a/", "a"]],
  [["*.log", "!keep.log"], ["x.log", "a/x.log"], ["keep.log", "a/keep.log"]],
  [["!keep.log", "*.log"], ["keep.log"], []],
  [["*", "!*/", "!*.jpg"], ["a.png", "b/a.png"], ["b/", "a.jpg", "b/a.jpg"]],
  [["a ", "b\\ "], ["a", "b "], ["a ", "b"]],
  [["\\!a", "\\#a"], ["!a", "#a"], ["a"]],
  [["!!a"], [], ["!a"]],
  [["a\\\\b"], ["a\\b"], ["a/b", "ab"]],
  [["..a", "...", ".a"], ["..a", "...", "b/...", ".a/"], ["a"]],
  [["a?b"], ["a\nb", "a\rb", "aéb", "a\udcffb"], ["a/b", "ab", "aéeb"]],
  [["[é-ü]"], ["ö"], ["o"]],
  [["*\udcff"], ["a\udcff"], ["a\udcfe", "aÿ", "a"]],
  [["a\r"], ["a\r"], ["a"]],
  [["\ufeffa"], ["\ufeffa"], ["a"]],
  [["a["], [], ["a[", "a"]],
  [["/[a//[ab]"], ["a", "b", "["], ["x"]],
  [["__proto__", "constructor"], ["__proto__", "constructor/"], ["toString"]]
]

const refused: ReadonlyArray<readonly [text: string, flaw: Filter.InvalidRule["flaw"]]> = [
  ["", "Empty"],
  ["  ", "Empty"],
  ["!", "Empty"],
  ["/", "Empty"],
  ["! ", "Empty"],
  ["#a", "Comment"],
  ["a\\", "OpenEnd"],
  ["a\\\\\\", "OpenEnd"],
  ["a\nb", "ManyLines"],
  ["a\0", "ManyLines"],
  ["./a", "NoName"],
  ["../a", "NoName"],
  ["/./a", "NoName"],
  ["a/..", "NoName"],
  [". ", "NoName"],
  ["a//b", "NoName"],
  ["a//[b]", "NoName"],
  ["\\[a//b]", "NoName"]
]

describe("Filter", () => {
  it.each(table)("%j leaves out %j", (rules, out, kept) => {
    const leavesOut = filter(...rules)
    assert.deepStrictEqual([...out, ...kept].filter(leavesOut), out)
  })

  it.effect.each(refused)("refuses %j", ([text, flaw]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Filter.parse(text))
      assert.deepInclude(error, { text, flaw })
      assert.notMatch(error.message, /[\n\0]/)
      assert.isBelow(error.message.length, 400)
      assert.isFalse(Schema.is(Filter.Rule)(text))
    }))

  it("reads the lines of a file, without blank ones and comments", () => {
    const rules = (...texts: ReadonlyArray<string>) => ({
      rules: texts.map((text) => Filter.Rule.make(text)),
      invalid: []
    })
    assert.deepStrictEqual(
      Filter.parseFile("\ufeff# all\r\n\r\n*.o\r\n  \n!a.o \n#\n\\#b\r\r\n\udcff"),
      rules("*.o", "!a.o ", "\\#b\r", "\udcff")
    )
    assert.deepStrictEqual(Filter.parseFile(""), rules())
    // As to git, the last line is one without its end, too.
    assert.deepStrictEqual(Filter.parseFile("*.o\r"), rules("*.o"))
  })

  it("keeps the other lines of a file in which some can never match, as git does", () => {
    const { invalid, rules } = Filter.parseFile("# Emacs\n./auto/*\n*.el\n\n!\na\\")

    assert.deepStrictEqual(rules, [Filter.Rule.make("*.el")])
    assert.deepStrictEqual(
      invalid.map(({ error: { flaw, text }, line }) => ({ flaw, line, text })),
      [
        { line: 2, text: "./auto/*", flaw: "NoName" },
        { line: 5, text: "!", flaw: "Empty" },
        { line: 6, text: "a\\", flaw: "OpenEnd" }
      ]
    )
  })

  it.prop(
    "can test any path by any rule",
    {
      text: Schema.Array(
        Schema.Literals([
          "a",
          "/",
          "*",
          "?",
          "[",
          "]",
          "!",
          "^",
          "-",
          "\\",
          "[:",
          ":]",
          "alpha",
          "(",
          ")",
          "{",
          "$",
          "\udcff"
        ])
      ),
      path: Schema.Array(Schema.Literals(["a", "/", "-", "\\", "\n", " ", ".", "[", "\ud83d\ude00", "\udcff"]))
    },
    ({ path, text }) => {
      const names = path.join("").split("/").filter((name) => !/^\.{0,2}$/.test(name))
      if (names.length === 0 || !Schema.is(Filter.Rule)(text.join(""))) return
      for (const end of ["", "/"]) assert.isBoolean(filter(text.join(""))(names.join("/") + end))
    },
    { arbitrary: { runs: runs(5000) } }
  )

  it.effect("refuses what is longer than any name, and tests by rules as long as they may be", () =>
    Effect.gen(function*() {
      assert.include(yield* Effect.flip(Filter.parse("a".repeat(4097))), { flaw: "TooLong" })
      for (const unit of ["?", "*a", "/**/a", "[!a]", "[[:alpha:]]", "\\a", "**/", "\udcff"]) {
        assert.isBoolean(filter(unit.repeat(4096 / unit.length))("a-/b".repeat(1000)), unit)
      }
    }))

  it("remembers only some of the paths that it was asked about", () => {
    const leavesOut = filter("*.log", "!a.log")
    const ask = (n: number) => leavesOut(`folder/${String(n).padStart(200, "x")}`)
    for (let n = 0; n < 10_000; n++) ask(n)
    collect()
    const before = process.memoryUsage().heapUsed

    for (let n = 10_000; n < 200_000; n++) ask(n)

    collect()
    assert.isBelow(process.memoryUsage().heapUsed - before, 8 * 2 ** 20)
  })

  it("tests paths of many folders, whether or not it was asked about these", () => {
    const path = "a/".repeat(12_000)
    assert.isFalse(filter("b")(path))
    assert.isTrue(filter("b")(`${path}b`))
  })
})
