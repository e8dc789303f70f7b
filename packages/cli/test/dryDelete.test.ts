import { assert, describe, it } from "@effect/vitest"
import type { Entry } from "@fanout/ops/DeletePreview"
import * as FilePath from "@fanout/ops/FilePath"
import * as dry from "../src/ui/dryDelete.ts"

const entry = (action: Entry["action"], path: string, fields?: Partial<Entry>): Entry => ({
  action,
  kind: "file",
  path: FilePath.make(path),
  why: "",
  ...fields
})

describe("dryDelete", () => {
  it("names what would go on one line each, so that no name can be taken for another", () => {
    assert.deepStrictEqual(
      [
        entry("Delete", "/a\n\u001b\udcff"),
        entry("Delete", "/folder", { kind: "folder" }),
        entry("Trash", "/a\\n"),
        entry("Leave", "/b", { why: "no\n" })
      ].map(dry.line),
      ["delete  /a\\n\\x1b\\xff", "delete  /folder/", "trash   /a\\\\n", "leave   /b: no\\n"]
    )
  })

  it("sums up", () => {
    const totals = [
      entry("Delete", "/a"),
      entry("Delete", "/b", { kind: "folder" }),
      entry("Trash", "/c", { kind: "folder" }),
      entry("Leave", "/d"),
      entry("Fail", "/e")
    ].reduce(dry.add, dry.none)
    assert.strictEqual(
      dry.sentence(totals),
      "Nothing was done. 1 file and 1 folder would be deleted, 1 would go to the trash, 1 would stay, 1 would fail."
    )
    assert.strictEqual(dry.sentence(dry.none), "Nothing was done. Nothing would be.")
  })
})
