import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as PairCursor from "../src/internal/verify/pairCursor.ts"
import { Name } from "./pairHarness.ts"

const Side = Schema.Literals(["leaf", "open", "rest", "end"])

describe("PairCursor", () => {
  it.prop("reads what it has written, which is well-formed", {
    names: Schema.Array(Name),
    side: Side,
    apart: Schema.UndefinedOr(Schema.Natural)
  }, ({ apart, names, side }) => {
    const depth = apart === undefined ? undefined : Math.min(apart, side === "leaf" ? names.length - 1 : names.length)
    const cursor = {
      path: FilePath.make(names.join("/")),
      side,
      apart: depth === undefined || depth < 0
        ? Option.none()
        : Option.some(FilePath.make(names.slice(0, depth).join("/")))
    }
    const text = PairCursor.format(cursor)
    assert.isTrue(text.isWellFormed())
    assert.deepStrictEqual(PairCursor.parse(text), Option.some(cursor))
  })

  it("reads nothing else", () => {
    for (const text of ["", "x", "..", "/a", "a", "./a//b//c", "./a/./b", "./../a", ".///"]) {
      assert.deepStrictEqual(PairCursor.parse(text), Option.none(), text)
    }
  })

  it("puts a folder before what is in it, and its end behind", () => {
    const place = (path: string, side: PairCursor.Side = "leaf") => ({ path: FilePath.make(path), side })
    const ordered = [
      place("", "open"),
      place("a", "open"),
      place("a/b"),
      place("a/b", "end"),
      place("a", "end"),
      place("a.txt"),
      place("b"),
      place("", "end")
    ]
    for (const [i, one] of ordered.entries()) {
      for (const [j, other] of ordered.entries()) {
        assert.strictEqual(PairCursor.order(one, other), Math.sign(i - j), `${one.path} ${other.path}`)
      }
    }
  })
})
