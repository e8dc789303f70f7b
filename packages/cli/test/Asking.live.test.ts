import { afterAll, assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { command } from "./command.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-asking-"))
afterAll(() => fs.rmSync(folder, { recursive: true }))

const hasTerminal = spawnSync("script", ["--version"]).error === undefined

let runs = 0

/** Copies two files on a terminal; one is there already, another one. */
const copyOnTerminal = (answer: string, ...options: ReadonlyArray<string>) => {
  const place = path.join(folder, String(runs++))
  const [source, target] = [path.join(place, "source"), path.join(place, "target")]
  for (const each of [source, target]) fs.mkdirSync(each, { recursive: true })
  fs.writeFileSync(path.join(source, "a"), "new a")
  fs.writeFileSync(path.join(source, "b"), "new b")
  fs.writeFileSync(path.join(target, "a"), "the old one")
  const args = ["copy", ...options, "-T", source, target, "--db", path.join(place, "jobs.db")]
  const line = [process.execPath, ...command.slice(1), ...args].map((word) => `'${word}'`).join(" ")
  const { status, stdout } = spawnSync("script", ["-qec", line, "/dev/null"], { encoding: "utf8", input: answer })
  return { status, stdout, names: fs.readdirSync(target), text: fs.readFileSync(path.join(target, "a"), "utf8") }
}

describe.skipIf(!hasTerminal)("fanout copy on a terminal", () => {
  it("asks what is to be done with files that are in the way, and does it", () => {
    const skipped = copyOnTerminal("skip\n")
    assert.match(skipped.stdout, /A file is in the way.*\[changed\/overwrite\/skip\/rename\/error\]/)
    assert.deepStrictEqual([skipped.status, skipped.text, skipped.names], [0, "the old one", ["a", "b"]])
    const replaced = copyOnTerminal("c\n")
    assert.deepStrictEqual([replaced.status, replaced.text], [0, "new a"])
    const renamed = copyOnTerminal("rename\n")
    assert.deepStrictEqual([renamed.status, renamed.text, renamed.names], [0, "the old one", ["a", "a (1)", "b"]])
  })

  it("does nothing without an answer, and asks for none that it was given", () => {
    const none = copyOnTerminal("\n")
    assert.match(none.stdout, /Nothing was done\. --conflict/)
    assert.deepStrictEqual([none.status, none.text, none.names], [2, "the old one", ["a"]])
    const given = copyOnTerminal("", "--conflict", "overwrite")
    assert.notMatch(given.stdout, /in the way/)
    assert.deepStrictEqual([given.status, given.text], [0, "new a"])
  })
})
