import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Option from "effect/Option"
import { mayBeWhole, parts } from "../src/internal/copy/copyElements.ts"
import type { CopyEntry } from "../src/internal/copy/copyTask.ts"
import type { CopiedUnit } from "../src/internal/steps/unit.ts"
import * as TreeCursor from "../src/internal/tree/treeCursor.ts"

const names = Array.from({ length: 20 }, (_, n) => FilePath.make(`f${n}`))

const entry: CopyEntry["payloadSchema"]["Type"] = {
  source: FilePath.make("/from/a/b"),
  target: FilePath.make("/to/a/b"),
  conflict: "changed",
  kind: "folders",
  names,
  sizes: names.map((_, n) => n)
}

const cursorOf = (path: string): string => TreeCursor.format({ source: 0, path: FilePath.make(path), side: "close" })

const copied = (left: number): CopiedUnit => ({
  copied: 0,
  linked: 0,
  ended: 0,
  unchanged: 0,
  rest: [],
  skipped: [],
  bytes: 0,
  left,
  fewer: [],
  digests: [],
  unchangedDigests: []
})

const partsOf = (cursor: string, payload: typeof entry, left: number) =>
  (parts({ cursor, payload }, Option.some({ _tag: "Files", ...copied(left) })) ?? []).flatMap((part) =>
    part._tag === "Item" ? [part] : []
  )

describe("what is left of a piece", () => {
  it("is as many elements as it takes to have as many names in each as were got through", () => {
    const namesIn = (left: number) => partsOf(cursorOf("a/b/f19"), entry, left).map(({ payload }) => payload.names)
    assert.deepStrictEqual(namesIn(0), [])
    assert.deepStrictEqual(namesIn(2), [names.slice(18)])
    assert.deepStrictEqual(namesIn(13), [names.slice(7, 14), names.slice(14)])
    assert.deepStrictEqual(namesIn(20), [names])
    // Not one for each name.
    assert.lengthOf(namesIn(19), 7)
    assert.deepStrictEqual(namesIn(19).flat(), names.slice(1))
  })

  it("knows its sizes and the folder that it is in, however often it is left", () => {
    const [first, second] = partsOf(cursorOf("a/b/f19"), entry, 13)
    assert.deepStrictEqual([first?.cursor, second?.cursor], [cursorOf("a/b/f13"), cursorOf("a/b/f19")])
    assert.deepStrictEqual(second?.payload.sizes, [14, 15, 16, 17, 18, 19])
    const [again] = partsOf(second?.cursor ?? "", second?.payload ?? entry, 2)
    assert.strictEqual(again?.cursor, cursorOf("a/b/f19"))
    const rest = { path: FilePath.make("f19"), names: [FilePath.make("x")], folders: [], sizes: [] }
    const [open] = parts(
      { cursor: again?.cursor ?? "", payload: again?.payload ?? entry },
      Option.some({
        _tag: "Files",
        ...copied(0),
        rest: [rest]
      })
    ) ?? []
    assert.strictEqual(open?.cursor, TreeCursor.format({ source: 0, path: FilePath.make("a/b/f19"), side: "open" }))
  })
})

it("a folder may be copied whole if nothing that is left out is, or comes to be, in it", () => {
  const paths = ["/from/a/b/source", "/to/c/d/target"].map(FilePath.make)
  const [leftOut, output] = [paths.slice(0, 1), paths[1] ?? FilePath.empty]
  const transfers = [{ source: FilePath.make("/from"), target: FilePath.make("/to") }] as const
  const request = { conflict: "changed" } as const
  const whole = (folders: ReadonlyArray<string>, leaveOut: ReadonlyArray<FilePath.FilePath>, checksums = {}) => {
    const isWhole = mayBeWhole({ request: { ...request, ...checksums }, transfers, leaveOut })
    return folders.filter((path) => isWhole({ source: 0, path: FilePath.make(path) }))
  }
  const folders = ["a", "a/b", "a/b/c", "c", "c/d", "c/d/e"]
  assert.deepStrictEqual(whole(folders, []), folders)
  assert.deepStrictEqual(whole(folders, paths), ["a/b/c", "c/d/e"])
  assert.deepStrictEqual(whole(folders, leftOut, { checksums: { output } }), ["a/b/c", "c/d/e"])
})
