import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { isLong } from "../../../test/effort.ts"
import { commandLine, runCommand } from "./command.ts"
import { isHeldUp, slowly } from "./faults.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-checksums-"))
const at = (...names: ReadonlyArray<string>) => path.join(folder, ...names)
const isInstalled = (program: string) => spawnSync(program, ["--version"]).error === undefined

let count = 0
const argv = (db: string, args: ReadonlyArray<string>, prefix?: ReadonlyArray<string>) =>
  commandLine(["--db", db, ...args], prefix)
const database = () => at(`state-${count++}`, "jobs.db")
const run = (db: string, ...args: ReadonlyArray<string>) => runCommand(["--db", db, ...args], { folder })

/** Has a program of the system check a file of checksums, from where the command was given. */
const check = (program: string, file: string) => {
  const { status, stderr, stdout } = spawnSync(program, ["--check", "--quiet", file], { cwd: folder, encoding: "utf8" })
  return [status, stdout, stderr]
}
const isGood = [0, "", ""]

/** Lines of a file, which have no order. */
const linesOf = (file: string): ReadonlyArray<string> =>
  fs.readFileSync(at(file), "latin1").trimEnd().split("\n").toSorted()

/** How many entries there are in a tree by now, some of which may go while they are counted. */
const filesIn = (name: string): number =>
  spawnSync("find", [at(name)], { encoding: "utf8" }).stdout.split("\n").length - 1

const inFolder = isHeldUp ? 30 : 200
const fileCount = 20 * inFolder + 1

beforeAll(() => {
  for (let i = 0; i < 20; i++) {
    fs.mkdirSync(at("tree", `folder-${i}`), { recursive: true })
    for (let j = 0; j < inFolder; j++) fs.writeFileSync(at("tree", `folder-${i}`, `file-${j}`), `${i} ${j}\n`.repeat(j))
  }
  fs.writeFileSync(at("tree", "large"), Buffer.alloc(48 * 2 ** 20, "some of it, "))
  fs.symlinkSync("large", at("tree", "link"))
  fs.mkdirSync(at("odd"))
  for (const name of ["a\nb", "back\\slash", "-dash", "a  b", "\r", "\u001b[31m", " "]) {
    fs.writeFileSync(at("odd", name), name)
  }
  fs.writeFileSync(Buffer.concat([Buffer.from(`${at("odd")}/`), Buffer.from([0x66, 0xff, 0xfe])]), "no text")
})

afterAll(() => fs.rmSync(folder, { recursive: true }))

describe("fanout copy --checksums", () => {
  it.skipIf(!isInstalled("b3sum"))("writes what b3sum checks", () => {
    const { status, stderr, stdout } = run(database(), "copy", "--checksums", "sums", "tree", "copied")
    assert.strictEqual(status, 0, stderr)
    assert.match(stdout, new RegExp(`is done: ${fileCount.toLocaleString("en")} copied`))
    assert.lengthOf(linesOf("sums"), fileCount)
    assert.deepStrictEqual(check("b3sum", "sums"), isGood)
    fs.appendFileSync(at("copied", "folder-3", "file-7"), "more")
    assert.strictEqual(check("b3sum", "sums")[0], 1)
  })

  it.skipIf(!isInstalled("sha256sum"))("writes what sha256sum checks, whatever files are called", () => {
    fs.mkdirSync(at("into"))
    fs.symlinkSync("into", at("led"))
    for (const [to, first] of [["odd-copy", "odd-copy/"], ["into", "into/odd/"], ["./led/", "./led/odd/"]] as const) {
      const { status, stderr } = run(database(), "copy", "--checksums", "sums", "--algo", "sha256", "odd", to)
      assert.strictEqual(status, 0, stderr)
      const lines = linesOf("sums")
      assert.lengthOf(lines, 8)
      assert.isTrue(lines.every((line) => line.includes(`  ${first}`)), lines.join("\n"))
      assert.deepStrictEqual(check("sha256sum", "sums"), isGood)
    }
  })

  it("writes the names that copies of single files have got", () => {
    fs.writeFileSync(at("one"), "1")
    run(database(), "copy", "--checksums", "sums", "--algo", "md5", "one", "another")
    assert.deepStrictEqual(linesOf("sums"), ["c4ca4238a0b923820dcc509a6f75849b  another"])
    run(database(), "copy", "--checksums", "sums", "--algo", "md5", "--conflict", "rename", "one", "another")
    assert.deepStrictEqual(linesOf("sums"), ["c4ca4238a0b923820dcc509a6f75849b  another (1)"])
  })

  it("writes the same lines after it was killed, all at once", async () => {
    run(database(), "copy", "--checksums", "expected", "-T", "tree", "killed")
    const expected = linesOf("expected")
    for (const kills of isLong ? [1, 3] : [1]) {
      fs.rmSync(at("killed"), { recursive: true })
      fs.rmSync(at("killed.sums"), { force: true })
      const db = database()
      const args = ["copy", "--checksums", "killed.sums", "-T", "tree", "killed"]
      for (let killed = 0; killed < kills; killed++) {
        const child = spawn(...argv(db, args, slowly("utimensat", "5ms")), { cwd: folder, stdio: "ignore" })
        const closed = once(child, "close")
        // Somewhere in the middle of what is still to be copied.
        const [before, wanted] = [filesIn("killed"), fileCount / (kills + 1)]
        while (child.exitCode === null && filesIn("killed") < before + wanted) await setTimeout(1)
        child.kill("SIGKILL")
        await closed
        // It may have been over by then.
        if (fs.existsSync(at("killed.sums"))) assert.deepStrictEqual(linesOf("killed.sums"), expected)
        else assert.strictEqual(child.signalCode, "SIGKILL")
      }
      const { status, stderr } = run(db, ...args)
      assert.strictEqual(status, 0, stderr)
      assert.deepStrictEqual(linesOf("killed.sums"), expected)
      const all = spawnSync("find", [folder, "-name", ".fanout-*"], { encoding: "utf8" }).stdout
      assert.strictEqual(all, "")
    }
  })

  it("writes them by whatever lets the job go on, and tells where that can't be", async () => {
    const expected = linesOf("expected")
    fs.rmSync(at("killed"), { recursive: true, force: true })
    fs.rmSync(at("killed.sums"), { force: true })
    const db = database()
    const args = ["copy", "--checksums", "killed.sums", "-T", "tree", "killed"]
    const child = spawn(...argv(db, args, slowly("utimensat", "5ms")), { cwd: folder, stdio: "ignore" })
    const closed = once(child, "close")
    while (child.exitCode === null && filesIn("killed") < fileCount / 2) await setTimeout(1)
    child.kill("SIGKILL")
    await closed
    const { id }: { readonly id: string } = JSON.parse(run(db, "jobs", "list", "--json").stdout.split("\n")[0] ?? "")

    fs.mkdirSync(at("killed.sums"))
    const refused = run(db, "jobs", "resume", id)
    assert.strictEqual(refused.status, 3, refused.stderr)
    assert.match(refused.stderr, /killed\.sums" can't be written: .*it is a folder.*`fanout jobs retry/)

    fs.rmdirSync(at("killed.sums"))
    const retried = run(db, "jobs", "retry", id)
    assert.strictEqual(retried.status, 0, retried.stderr)
    assert.deepStrictEqual(linesOf("killed.sums"), expected)
    assert.strictEqual(spawnSync("find", [folder, "-name", ".fanout-*"], { encoding: "utf8" }).stdout, "")
  })

  it("leaves the file alone that it writes, wherever that is", () => {
    fs.writeFileSync(at("odd", "own sums"), `${"0".repeat(64)}  of before\n`)
    const inSource = run(database(), "copy", "--checksums", "odd/own sums", "-T", "odd", "left")
    assert.strictEqual(inSource.status, 0, inSource.stderr)
    assert.isFalse(fs.existsSync(at("left", "own sums")))
    assert.lengthOf(linesOf("odd/own sums"), 8)
    fs.rmSync(at("odd", "own sums"))
    // The folder is only made by the copy.
    const inCopy = run(database(), "copy", "--checksums", "new/sums", "-T", "odd", "new")
    assert.strictEqual(inCopy.status, 0, inCopy.stderr)
    assert.lengthOf(linesOf("new/sums"), 8)
  })

  it.each([
    ["the algorithm of nothing", ["--algo", "sha256"], /--algo has a meaning only with --checksums/],
    ["a source", ["--checksums", "odd/../odd"], /can't have the checksums/],
    ["the copy", ["--checksums", "refused"], /can't have the checksums/],
    ["a folder", ["--checksums", "tree"], /is no file/],
    ["a folder that is not there", ["--checksums", "nowhere/sums"], /does not exist/],
    ["the standard output", ["--checksums", "-"], /named \.\/-/]
  ])("refuses %s", (_, args, why) => {
    const { status, stderr } = run(database(), "copy", ...args, "odd", "refused")
    assert.strictEqual(status, 2)
    assert.match(stderr, why)
    assert.isFalse(fs.existsSync(at("refused")))
  })

  it.each(["copy", "move"])("takes no name that a %s writes to, or that has other content", (command) => {
    fs.mkdirSync(at("from"), { recursive: true })
    fs.writeFileSync(at("from", "a"), "a")
    fs.writeFileSync(at("from", "b"), `${"0".repeat(64)}  b\n`)
    fs.symlinkSync("from/a", at(`to-a-${command}`))
    for (
      const [output, why] of [
        ["from/a", command === "copy" ? /holds something else/ : /is moved/],
        [`to-a-${command}`, command === "copy" ? /holds something else/ : /is moved/],
        ["refused/b", /gets that name/]
      ] as const
    ) {
      const { status, stderr } = run(database(), command, "--checksums", output, "from", "refused")
      assert.strictEqual(status, 2, output)
      assert.match(stderr, why)
      assert.strictEqual(fs.readFileSync(at("from", "a"), "utf8"), "a")
      assert.isFalse(fs.existsSync(at("refused")))
    }
  })

  it("leaves what a link leads to that is followed", () => {
    fs.mkdirSync(at("linking"))
    fs.writeFileSync(at("far"), "far")
    fs.symlinkSync("../far", at("linking", "link"))
    const { status, stderr } = run(database(), "copy", "--dereference", "--checksums", "far", "linking", "followed")
    assert.strictEqual(status, 2)
    assert.match(stderr, /holds something else/)
    assert.strictEqual(fs.readFileSync(at("far"), "utf8"), "far")
  })

  it("writes nothing in a dry run, and prints as ever", () => {
    const dry = run(database(), "copy", "--dry-run", "--checksums", "dry", "odd", "refused")
    assert.strictEqual(dry.status, 0, dry.stderr)
    assert.isFalse(fs.existsSync(at("dry")))
    const quiet = run(database(), "copy", "--quiet", "--checksums", "quiet.sums", "odd", "quiet")
    assert.deepStrictEqual([quiet.status, quiet.stdout, quiet.stderr], [0, "", ""])
  })
})

describe("fanout move --checksums", () => {
  it.skipIf(!isInstalled("sha256sum"))("writes a line for each file, also where they get another name only", () => {
    fs.cpSync(at("odd"), at("leaving"), { recursive: true })
    const { status, stderr } = run(database(), "move", "--checksums", "sums", "--algo", "sha256", "leaving", "arrived")
    assert.strictEqual(status, 0, stderr)
    assert.isFalse(fs.existsSync(at("leaving")))
    assert.lengthOf(linesOf("sums"), 8)
    assert.deepStrictEqual(check("sha256sum", "sums"), isGood)
  })
})
