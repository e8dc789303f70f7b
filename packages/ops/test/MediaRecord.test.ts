import { assert, describe, it } from "@effect/vitest"
import { MediaRecord } from "@fanout/ops/MediaRecord"
import * as fs from "node:fs"
import * as path from "node:path"

describe("MediaRecord", () => {
  it("has the fields that its page tells of, in this order", () => {
    const page = fs.readFileSync(path.join(import.meta.dirname, "../../../docs/metadata.md"), "utf8")
    const table = page.slice(page.indexOf("## The record"), page.indexOf("Times are ISO 8601"))
    const cells = Array.from(table.matchAll(/^\| (`[^|]+`) +\|/gm), ([, cell = ""]) => cell)
    const named = cells.flatMap((cell) => Array.from(cell.matchAll(/`(\w+)`/g), ([, name]) => name))

    assert.deepStrictEqual(named, Object.keys(MediaRecord.fields))
  })
})
