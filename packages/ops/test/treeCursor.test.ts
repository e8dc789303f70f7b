import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TreeCursor from "../src/internal/tree/treeCursor.ts"

const Byte = Schema.Literals([0x2e, 0x35, 0x5c, 0x61, 0x66, 0x0a, 0xc3, 0xa9, 0xff])
const Name = Schema.NonEmptyArray(Byte)
const Place = {
  source: Schema.Natural,
  names: Schema.Array(Name),
  side: Schema.Literals(["leaf", "open", "rest", "close"])
}

const pathOf = (names: ReadonlyArray<ReadonlyArray<number>>): FilePath.FilePath =>
  names.map((name) => FilePath.fromBytes(Uint8Array.from(name)))
    .filter((name) => name !== "." && name !== "..")
    .reduce(FilePath.join, FilePath.empty)

describe("TreeCursor", () => {
  it.prop("reads back what it wrote, as text without loose surrogates", Place, ({ names, side, source }) => {
    const cursor: TreeCursor.TreeCursor = { source, path: pathOf(names), side }

    const text = TreeCursor.format(cursor)

    assert.isTrue(text.isWellFormed())
    assert.deepStrictEqual(TreeCursor.parse(text), Option.some(cursor))
  })

  it.prop("gives different places different texts", [Schema.Struct(Place), Schema.Struct(Place)], ([a, b]) => {
    const [x, y] = [a, b].map(({ names, side, source }) => ({ source, path: pathOf(names), side }))
    if (x === undefined || y === undefined) return

    const same = x.source === y.source && x.path === y.path && x.side === y.side
    assert.strictEqual(TreeCursor.format(x) === TreeCursor.format(y), same)
  })

  it("refuses what is no cursor", () => {
    for (const text of ["", "a", "/", "-1/a", "0a", "0///", "0/a//b", "0/../a", "0/./a", "x/0"]) {
      assert.isTrue(Option.isNone(TreeCursor.parse(text)), text)
    }
  })
})
