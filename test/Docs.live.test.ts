import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

// The programs of the documentation: extracted from their page, type-checked, and run as a reader would run them.
const root = path.dirname(import.meta.dirname)
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-docs-"))
const page = fs.readFileSync(path.join(root, "docs/writing-a-job.md"), "utf8")

/** Blocks of code by the file that the comment before them names; those of one file follow one another. */
const filesOf = (page: string): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (const [, name = "", code = ""] of page.matchAll(/<!-- file: (\S+) -->\s*```ts\n([\s\S]*?)^```/gm)) {
    found.set(name, [...found.has(name) ? [found.get(name)] : [], code].join("\n"))
  }
  return found
}

const printed = /^```text\n([\s\S]*?)^```/m.exec(page)?.[1]
const node = ["--conditions=@fanout/source"]

beforeAll(() => {
  for (const [name, code] of filesOf(page)) fs.writeFileSync(path.join(folder, name), code)
  fs.writeFileSync(path.join(folder, "package.json"), `{ "private": true, "type": "module" }`)
  fs.symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"))
  const compilerOptions = {
    noEmit: true,
    composite: false,
    incremental: false,
    declarationMap: false,
    rewriteRelativeImportExtensions: false,
    allowImportingTsExtensions: true
  }
  const extended = { extends: path.join(root, "tsconfig.base.json"), include: ["*.ts"], compilerOptions }
  fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(extended))
})

afterAll(() => fs.rmSync(folder, { recursive: true }))

describe("docs/writing-a-job.md", () => {
  it("type-checks", () => {
    const tsc = path.join(root, "node_modules/typescript/bin/tsc")
    const { status, stdout } = spawnSync(process.execPath, [tsc, "--project", folder], { encoding: "utf8" })
    assert.deepStrictEqual({ status, stdout }, { status: 0, stdout: "" })
  })

  it("goes on after it was killed, and prints what the page says", async () => {
    const first = spawn(process.execPath, [...node, "main.ts"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] })
    const ended = once(first, "exit")
    const [started] = await Promise.race([once(first.stdout.setEncoding("utf8"), "data"), ended])
    first.kill("SIGKILL")
    await ended
    const { stderr, stdout } = spawnSync(process.execPath, [...node, "main.ts"], { cwd: folder, encoding: "utf8" })
    assert.deepStrictEqual({ started, stdout, stderr }, { started: "Started\n", stdout: printed, stderr: "" })
  })

  it("runs the program that has threads", () => {
    const { status, stderr, stdout } = spawnSync(process.execPath, [...node, "primesMain.ts"], {
      cwd: folder,
      encoding: "utf8"
    })
    assert.deepStrictEqual({ status, stderr, stdout }, { status: 0, stderr: "", stdout: "78498 primes\n" })
  })

  it("passes its own test", () => {
    const { status, stderr } = spawnSync(process.execPath, [...node, "check.ts"], { cwd: folder, encoding: "utf8" })
    assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
  })
})

describe("scratchpad", () => {
  const programs = fs.readdirSync(path.join(root, "scratchpad")).filter((name) => name.endsWith(".ts"))

  it.each(programs)("has a program %s that runs to its end", (name) => {
    const { status, stderr } = spawnSync(process.execPath, [...node, `scratchpad/${name}`], {
      cwd: root,
      encoding: "utf8"
    })
    assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
  })
})
