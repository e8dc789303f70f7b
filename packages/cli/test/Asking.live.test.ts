import { afterAll, assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { stripVTControlCharacters } from "node:util"
import { command } from "./command.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-asking-"))
afterAll(() => fs.rmSync(folder, { recursive: true }))

const hasTerminal = spawnSync("script", ["--version"]).error === undefined

let runs = 0

/** Runs the command on a terminal of so many columns. */
const onTerminal = (args: ReadonlyArray<string>, answer: string, columns = 200) => {
  const line = [process.execPath, ...command.slice(1), ...args].map((word) => `'${word}'`).join(" ")
  const options = { encoding: "utf8", input: answer } as const
  return spawnSync("script", ["-qec", `stty cols ${columns} && ${line}`, "/dev/null"], options)
}

/** Copies two files on a terminal; one is there already, another one. */
const copyOnTerminal = (answer: string, ...options: ReadonlyArray<string>) => {
  const place = path.join(folder, String(runs++))
  const [source, target] = [path.join(place, "source"), path.join(place, "target")]
  for (const each of [source, target]) fs.mkdirSync(each, { recursive: true })
  fs.writeFileSync(path.join(source, "a"), "new a")
  fs.writeFileSync(path.join(source, "b"), "new b")
  fs.writeFileSync(path.join(target, "a"), "the old one")
  const args = ["copy", ...options, "-T", source, target, "--db", path.join(place, "jobs.db")]
  const { status, stdout } = onTerminal(args, answer)
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

describe.skipIf(!hasTerminal)("fanout delete on a terminal", () => {
  it.each([
    [40, ["101 files and folders are in", "\"PLACE\". Delete them", "all? [y/N]"]],
    [80, ["101 files and folders are in \"PLACE\". Delete them all? [y/N]"]]
  ])("asks in %i columns whether all is to go, and leaves it without a yes", (columns, asked) => {
    const place = fs.mkdtempSync("/tmp/d-")
    for (let n = 0; n < 100; n++) fs.writeFileSync(path.join(place, `file-${n}`), "")
    const args = ["delete", place, "--db", path.join(folder, `jobs-${columns}.db`)]

    const left = onTerminal(args, "n\n", columns)
    const lines = stripVTControlCharacters(left.stdout).replaceAll(place, "PLACE").split(/\r?\n/)
    const first = lines.findIndex((line) => line.startsWith("101 "))
    assert.deepStrictEqual(lines.slice(first, first + asked.length).map((line) => line.replace(/\s+n?\s*$/, "")), asked)
    assert.match(left.stdout, /Nothing was deleted\./)
    assert.deepStrictEqual([left.status, fs.readdirSync(place).length], [1, 100])

    assert.strictEqual(onTerminal(args, "y\n", columns).status, 0)
    assert.isFalse(fs.existsSync(place))
  })
})
