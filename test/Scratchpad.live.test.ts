import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"

const root = path.dirname(import.meta.dirname)

describe("scratchpad", () => {
  const programs = fs.readdirSync(path.join(root, "scratchpad")).filter((name) => name.endsWith(".ts"))

  it.each(programs)("has a program %s that runs to its end", (name) => {
    const { status, stderr } = spawnSync(process.execPath, ["--conditions=@fanout/source", `scratchpad/${name}`], {
      cwd: root,
      encoding: "utf8"
    })
    assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
  })
})
