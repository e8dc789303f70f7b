import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

// The launcher beside a bundle that only tells what it was given.
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-launcher-"))
const launcher = path.join(folder, "bin/fanout.js")
const tooOld = path.join(folder, "too-old.cjs")

const launch = (...command: ReadonlyArray<string>) => {
  const [node = process.execPath, ...flags] = command
  const { status, stderr, stdout } = spawnSync(node, [...flags, launcher, "copy", "a"], { encoding: "utf8" })
  return { status, stderr, stdout }
}

const refusal = (version: string) => ({
  status: 2,
  stderr: `fanout needs Node.js 24 or newer; this is v${version}. Install it from https://nodejs.org, ` +
    "or run it with: npx -p node@24 fanout …\n",
  stdout: ""
})

/** Nodes on this machine that are too old. */
const oldNodes = (process.env["PATH"] ?? "").split(path.delimiter)
  .map((entry) => path.join(entry, "node"))
  .filter((node) => fs.existsSync(node))
  .map((node) => ({ node, version: spawnSync(node, ["--version"], { encoding: "utf8" }).stdout.trim().slice(1) }))
  .filter(({ version }) => Number(version.split(".")[0]) < 24)

beforeAll(() => {
  fs.cpSync(path.join(import.meta.dirname, "../bin"), path.join(folder, "bin"), { recursive: true })
  fs.mkdirSync(path.join(folder, "dist"))
  fs.writeFileSync(path.join(folder, "package.json"), `{ "type": "module" }`)
  fs.writeFileSync(tooOld, `Object.defineProperty(process, "versions", { value: { node: "22.23.1" } })`)
  fs.writeFileSync(path.join(folder, "dist/fanout.cjs"), `console.log(process.argv.slice(2).join())`)
})

afterAll(() => fs.rmSync(folder, { recursive: true }))

describe("Launcher", () => {
  it("hands its arguments to the bundle", () => {
    assert.deepStrictEqual(launch(), { status: 0, stderr: "", stdout: "copy,a\n" })
  })

  it("says what is missing under a Node that is too old", () => {
    assert.deepStrictEqual(launch(process.execPath, "--require", tooOld), refusal("22.23.1"))
  })

  it.each(oldNodes)("says so under $version", ({ node, version }) => {
    assert.deepStrictEqual(launch(node), refusal(version))
  })
})
