import { assert, describe, it } from "@effect/vitest"
import type { Entry } from "@fanout/ops/CopyPreview"
import * as FilePath from "@fanout/ops/FilePath"
import * as dry from "../src/ui/dryRun.ts"

const entry = (action: Entry["action"], target: string, fields?: Partial<Entry>): Entry => ({
  action,
  kind: "file",
  source: FilePath.make("/s"),
  target: FilePath.make(target),
  sizeBytes: 1024,
  why: "",
  ...fields
})

describe("dryRun", () => {
  it("names what would be done on one line each, so that no name can be taken for another", () => {
    assert.deepStrictEqual(
      [
        entry("Create", "/a\n\u001b\udcff"),
        entry("RenameTo", "/a\\n"),
        entry("Create", "/folder", { kind: "folder" }),
        entry("Merge", "/there", { kind: "folder" }),
        entry("Refuse", "/b", { why: "no\n" })
      ].map((entry) => dry.line(entry)),
      ["create   /a\\n\\x1b\\xff", "create   /a\\\\n", "create   /folder/", "", "refuse   /b: no\\n"]
    )
  })

  it("sums up", () => {
    const totals = [entry("Create", "/a"), entry("Replace", "/b"), entry("Unchanged", "/c")].reduce(dry.add, dry.none)
    assert.strictEqual(
      dry.sentence(totals, "copy"),
      "Nothing was done. 1 would be created, 1 would be replaced, 1 would be left as is, 2 KiB would be written."
    )
    assert.isFalse(dry.isIncomplete(totals))
    assert.isTrue(dry.isIncomplete(dry.add(totals, entry("Fail", "/d"))))
    assert.strictEqual(dry.sentence(dry.none, "copy"), "Nothing was done. Nothing would be.")
  })
})
