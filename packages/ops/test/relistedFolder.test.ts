import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Option from "effect/Option"
import { retryOf } from "../src/internal/hash/relistedFolder.ts"
import * as FileTree from "../src/internal/tree/fileTree.ts"
import * as TreeCursor from "../src/internal/tree/treeCursor.ts"
import * as FaultyFiles from "./FaultyFiles.ts"

const root = FilePath.make("/in")

/** What a retry lists of a folder whose rest, behind a place, could not be listed. */
const listsOf = (folder: string, place: Omit<TreeCursor.TreeCursor, "source" | "path">, at: string) => {
  const path = FilePath.make(folder)
  const cursor = TreeCursor.format({ source: 0, path: FilePath.make(at), ...place })
  const error = FaultyFiles.error("scandir", path, "EIO")
  const unreadable = FileTree.Element.cases.Unreadable.make({
    cursor: "0//",
    source: 0,
    path,
    error,
    retryAfter: Option.some(cursor)
  })
  return retryOf(unreadable, { root, algorithm: "blake3" }).retry?.payload
}

describe("relisting", () => {
  it.each(
    [
      ["a", "open", "a", undefined],
      ["a", "leaf", "a/b", "b"],
      ["a", "close", "a/b", "b"],
      ["", "close", "a", "a"],
      ["", "open", "", undefined],
      ["a", "close", "a/b/c", "b"]
    ] as const
  )("lists the rest of %j behind the %s of %j", (folder, side, at, after) => {
    assert.deepStrictEqual(listsOf(folder, { side }, at), {
      root,
      algorithm: "blake3",
      folders: [{ path: FilePath.make(folder), names: [] }],
      lists: after === undefined ? {} : { after: FilePath.make(after) }
    })
  })
})
