import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { run } from "./packed.ts"

const root = path.dirname(import.meta.dirname)
// What Node has compiled serves the next process, too.
process.env["NODE_COMPILE_CACHE"] = path.join(root, "node_modules/.cache/compiled")

describe.concurrent("scratchpad", () => {
  const programs = fs.readdirSync(path.join(root, "scratchpad")).filter((name) => name.endsWith(".ts"))

  it.each(programs)("has a program %s that runs to its end", async (name) => {
    const { status, stderr } = await run(root, process.execPath, "--conditions=@fanout/source", `scratchpad/${name}`)

    assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
  })
})
