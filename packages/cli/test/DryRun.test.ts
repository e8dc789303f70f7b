import { assert, describe, it } from "@effect/vitest"
import type { Entry as CopyEntry } from "@fanout/ops/CopyPreview"
import type { Entry as DeleteEntry } from "@fanout/ops/DeletePreview"
import * as FilePath from "@fanout/ops/FilePath"
import * as DryRun from "../src/output/DryRun.ts"

const copied = (action: CopyEntry["action"], target: string, fields?: Partial<CopyEntry>): CopyEntry => ({
  action,
  kind: "file",
  source: FilePath.make("/s"),
  target: FilePath.make(target),
  sizeBytes: 1024,
  why: "",
  ...fields
})

describe("DryRun of a copy", () => {
  const dry = DryRun.copy("copy")

  it("names what would be done on one line each, so that no name can be taken for another", () => {
    assert.deepStrictEqual(
      [
        copied("Create", "/a\n\u001b\udcff"),
        copied("RenameTo", "/a\\n"),
        copied("Create", "/folder", { kind: "folder" }),
        copied("Merge", "/there", { kind: "folder" }),
        copied("Refuse", "/b", { why: "no\n" })
      ].map(dry.line),
      ["create   /a\\n\\x1b\\xff", "create   /a\\\\n", "create   /folder/", "", "refuse   /b: no\\n"]
    )
  })

  it("sums up", () => {
    const totals = [copied("Create", "/a"), copied("Replace", "/b"), copied("Unchanged", "/c")].reduce(
      dry.add,
      dry.none
    )
    assert.strictEqual(
      dry.sentence(totals),
      "Nothing was done. 1 would be created, 1 would be replaced, 1 would be left as is, 2 KiB would be written."
    )
    assert.isFalse(dry.isIncomplete(totals))
    assert.isTrue(dry.isIncomplete(dry.add(totals, copied("Fail", "/d"))))
    assert.strictEqual(dry.sentence(dry.none), "Nothing was done. Nothing would be.")
  })
})

const deleted = (action: DeleteEntry["action"], path: string, fields?: Partial<DeleteEntry>): DeleteEntry => ({
  action,
  kind: "file",
  path: FilePath.make(path),
  why: "",
  ...fields
})

describe("DryRun of a deletion", () => {
  const dry = DryRun.remove

  it("names what would go on one line each, so that no name can be taken for another", () => {
    assert.deepStrictEqual(
      [
        deleted("Delete", "/a\n\u001b\udcff"),
        deleted("Delete", "/folder", { kind: "folder" }),
        deleted("Trash", "/a\\n"),
        deleted("Leave", "/b", { why: "no\n" })
      ].map(dry.line),
      ["delete  /a\\n\\x1b\\xff", "delete  /folder/", "trash   /a\\\\n", "leave   /b: no\\n"]
    )
  })

  it("sums up", () => {
    const totals = [
      deleted("Delete", "/a"),
      deleted("Delete", "/b", { kind: "folder" }),
      deleted("Trash", "/c", { kind: "folder" }),
      deleted("Leave", "/d"),
      deleted("Fail", "/e")
    ].reduce(dry.add, dry.none)
    assert.strictEqual(
      dry.sentence(totals),
      "Nothing was done. 1 file and 1 folder would be deleted, 1 would go to the trash, 1 would stay, 1 would fail."
    )
    assert.strictEqual(dry.sentence(dry.none), "Nothing was done. Nothing would be.")
  })
})
