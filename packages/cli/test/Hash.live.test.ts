import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { isLong } from "../../../test/effort.ts"
import { commandLine } from "./command.ts"
import { isHeldUp, slowly, works } from "./faults.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-hash-"))
const tree = path.join(folder, "tree")
const isInstalled = (program: string) => spawnSync(program, ["--version"]).error === undefined

/** `concurrency + flushEvery` of the hash, 256 files each: all that one kill may cause to be done again. */
const hashWindow = (16 + 16) * 256

/** So many that a command is not through with them before it can be stopped, and that a pipe can't hold their lines. */
const [folders, inFolder] = isHeldUp ? [16, 125] : [48, 250]
const fileCount = folders * inFolder

let count = 0
const database = () => path.join(folder, `state-${count++}`, "jobs.db")

const argv = (db: string, args: ReadonlyArray<string>, prefix?: ReadonlyArray<string>) =>
  commandLine(["--db", db, ...args], prefix)

const run = (db: string, args: ReadonlyArray<string>, prefix?: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(...argv(db, args, prefix), { cwd: folder, maxBuffer: 2 ** 26 })
  return { status, stderr: stderr.toString(), stdout }
}

/** Has the command be the first process of a namespace, as it is in a container. */
const first = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]

const kills = isLong ? 3 : 1

/** Runs a command that is killed so often, and then not. */
const survive = async (args: ReadonlyArray<string>): Promise<Buffer> => {
  const db = database()
  for (let killed = 0;; killed++) {
    const prefix = killed < kills ? slowly("openat", "5ms") : []
    const child = spawn(...argv(db, args, prefix), { cwd: folder, stdio: ["ignore", "pipe", "ignore"] })
    const chunks: Array<Buffer> = []
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
    const closed = once(child, "close")
    if (killed < kills) {
      // Right after its first lines, wherever it is by then.
      await Promise.race([once(child.stdout, "data"), closed])
      await setTimeout(killed * 30)
      child.kill("SIGKILL")
    }
    await closed
    if (child.signalCode === null) return Buffer.concat(chunks)
  }
}

/** Names that a line of text could be forged with, and one that is no text. */
const hostile = ["a\nb", "back\\slash", "-dash", "a  b", "\r", "\u001b[31m", " "].map((name) => Buffer.from(name))
  .concat([Buffer.from([0x66, 0xff, 0xfe])])

beforeAll(() => {
  for (let i = 0; i < folders; i++) {
    const inner = path.join(tree, `folder-${i}`)
    fs.mkdirSync(inner, { recursive: true })
    for (let j = 0; j < inFolder; j++) fs.writeFileSync(path.join(inner, `file-${j}`), `${i} ${j}\n`.repeat(1 + j * 5))
  }
  fs.symlinkSync("folder-0", path.join(tree, "link"))
  const odd = path.join(folder, "odd")
  fs.mkdirSync(odd)
  for (const name of hostile) fs.writeFileSync(Buffer.concat([Buffer.from(`${odd}/`), name]), name)
})

afterAll(() => fs.rmSync(folder, { recursive: true }))

describe("fanout hash", () => {
  it("writes a line for each file, in the order of the walk, and the same again", () => {
    const db = database()
    const first = run(db, ["hash", "--algo", "sha256", "tree"])
    assert.strictEqual(first.status, 0, first.stderr)
    const lines = first.stdout.toString().trimEnd().split("\n")
    const names = lines.map((line) => line.slice(66))
    assert.lengthOf(lines, fileCount)
    assert.deepStrictEqual(names, names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
    const sum = createHash("sha256").update(fs.readFileSync(path.join(folder, names[700] ?? ""))).digest("hex")
    assert.strictEqual(lines[700]?.slice(0, 64), sum)
    assert.match(first.stderr, new RegExp(`${fileCount.toLocaleString("en")} hashed`))

    const second = run(db, ["hash", "--algo", "sha256", "tree"])
    assert.isTrue(first.stdout.equals(second.stdout))
  })

  it("loses no line where the reader is slow", async () => {
    const db = database()
    const child = spawn(...argv(db, ["hash", "tree"]), {
      cwd: folder,
      stdio: ["ignore", "pipe", "ignore"]
    })
    // What is not read stays in the pipe, which holds a part of the lines.
    while (!/ done /.test(run(db, ["jobs", "list"]).stdout.toString())) await setTimeout(20)
    const chunks: Array<Buffer> = []
    for await (const chunk of child.stdout) chunks.push(chunk)
    assert.lengthOf(Buffer.concat(chunks).toString().trimEnd().split("\n"), fileCount)
  })

  it.skipIf(!isInstalled("b3sum"))("writes what b3sum checks", () => {
    const { stdout } = run(database(), ["hash", "tree"])
    fs.writeFileSync(path.join(folder, "sums"), stdout)
    const check = spawnSync("b3sum", ["--check", "--quiet", "sums"], { cwd: folder, encoding: "utf8" })
    assert.deepStrictEqual([check.status, check.stdout, check.stderr], [0, "", ""])
  })

  it.skipIf(!isInstalled("sha256sum"))("writes what sha256sum checks, whatever files are called", () => {
    for (const style of [[], ["--tag"]]) {
      const { status, stdout } = run(database(), ["hash", "--algo", "sha256", ...style, "odd"])
      assert.strictEqual(status, 0)
      fs.writeFileSync(path.join(folder, "sums"), stdout)
      const check = spawnSync("sha256sum", ["--check", "--strict", "sums"], { cwd: folder, encoding: "latin1" })
      assert.strictEqual(check.status, 0, check.stderr)
      assert.lengthOf(check.stdout.match(/: OK$/gm) ?? [], hostile.length)
    }
  })

  it("ends with the same lines after it was killed", async () => {
    const expected = run(database(), ["hash", "tree"]).stdout
    assert.isTrue((await survive(["hash", "tree"])).equals(expected))
  })

  it.skipIf(!isInstalled("strace"))("opens few files again after it was killed", async () => {
    const db = database()
    const trace = path.join(folder, "trace")
    const opened = new Map<string, number>()
    const traced = async (kill: boolean) => {
      const options = ["-f", "-qq", "-y", "-e", "trace=openat,openat2", "-e", "signal=none", "-o", trace]
      // There is no end to it before it is killed.
      const slow = kill ? ["-e", "inject=openat:delay_enter=2ms"] : []
      const child = spawn(...argv(db, ["hash", "tree"], ["strace", ...options, ...slow]), {
        cwd: folder,
        detached: true,
        stdio: ["ignore", "pipe", "ignore"]
      })
      const closed = once(child, "close")
      if (kill) {
        for (let lines = 0; lines < fileCount / 4;) {
          const [chunk]: ReadonlyArray<unknown> = await once(child.stdout, "data")
          lines += String(chunk).split("\n").length - 1
        }
        // strace and what it runs: the command would outlive it.
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
      } else child.stdout.resume()
      await closed
      for (
        const [, inner = "", file = ""] of fs.readFileSync(trace, "latin1").matchAll(
          /openat\(\d+<([^>]*)>, "(file-\d+)"/g
        )
      ) {
        opened.set(`${inner}/${file}`, (opened.get(`${inner}/${file}`) ?? 0) + 1)
      }
    }
    await traced(true)
    const before = opened.size
    await traced(false)
    const again = Array.from(opened.values()).reduce((sum, times) => sum + times - 1, 0)
    assert.isAbove(before, fileCount / 4)
    assert.strictEqual(opened.size, fileCount)
    assert.isAtMost(again, Math.min(hashWindow, before - 1), `of ${before}`)
  })

  it("puts all lines in place of a file at once, which is not hashed itself", async () => {
    const inner = path.join(folder, "whole")
    const output = path.join(inner, "sums")
    fs.cpSync(path.join(tree, "folder-3"), inner, { recursive: true })
    const expected = run(database(), ["hash", "whole"]).stdout
    const old = `${"0".repeat(64)}  old\n`
    fs.writeFileSync(output, old, { mode: 0o640 })
    const temporary = () => fs.readdirSync(inner).filter((name) => name.startsWith(".fanout-"))

    const db = database()
    const args = ["hash", "whole", "--output", "whole/sums"]
    const child = spawn(...argv(db, args, slowly("openat", "20ms")), { cwd: folder, stdio: "ignore" })
    const closed = once(child, "close")
    while (temporary().length === 0) await setTimeout(2)
    child.kill("SIGKILL")
    await closed
    assert.strictEqual(fs.readFileSync(output, "utf8"), old)
    assert.lengthOf(temporary(), 1)

    const { status, stderr, stdout } = run(db, args)
    assert.deepStrictEqual([status, stdout.length], [0, 0], stderr)
    assert.isTrue(fs.readFileSync(output).equals(expected))
    assert.strictEqual(fs.statSync(output).mode & 0o777, 0o640)
    assert.lengthOf(temporary(), 0)

    const some = run(database(), ["hash", "whole/file-1", "nowhere", "-o", "some"])
    assert.strictEqual(some.status, 1)
    assert.match(fs.readFileSync(path.join(folder, "some"), "utf8"), /^[0-9a-f]{64} {2}whole\/file-1\n$/)
  })

  it.skipIf(!works("unshare", ...first.slice(1), "true"))(
    "writes its file where a process of the same id was killed that wrote it",
    async () => {
      const inner = path.join(folder, "contained")
      fs.cpSync(path.join(tree, "folder-3"), inner, { recursive: true })
      const expected = run(database(), ["hash", "contained"]).stdout
      const db = database()
      const args = ["hash", "contained", "--output", "contained/sums"]
      const temporary = () => fs.readdirSync(inner).filter((name) => name.startsWith(".fanout-"))
      const child = spawn(...argv(db, args, [...first, ...slowly("openat", "20ms")]), { cwd: folder, stdio: "ignore" })
      const closed = once(child, "close")
      while (temporary().length === 0) await setTimeout(2)
      child.kill("SIGKILL")
      await closed
      assert.lengthOf(temporary(), 1)

      const { status, stderr } = run(db, args, first)

      assert.strictEqual(status, 0, stderr)
      assert.isTrue(fs.readFileSync(path.join(inner, "sums")).equals(expected))
      assert.lengthOf(temporary(), 0)
    }
  )

  it("puts lines in place of lines only, and never of what it hashes", () => {
    const at = (name: string) => path.join(folder, "kept", name)
    fs.mkdirSync(at("in"), { recursive: true })
    fs.writeFileSync(at("in/photo"), "photo")
    fs.writeFileSync(at("in/named"), `${"0".repeat(64)}  named\n`)
    fs.linkSync(at("in/photo"), at("hard"))
    fs.symlinkSync("in/photo", at("soft"))
    for (
      const [args, sentence] of [
        [["kept/in", "-o", "kept/in/photo"], /holds something else than lines of this command/],
        [["kept/in", "-o", "kept/soft"], /holds something else/],
        [["kept/hard", "-o", "kept/in/photo"], /is what the command reads/],
        [["kept/in/named", "-o", "kept/in/named"], /is what the command reads/]
      ] as const
    ) {
      const { status, stderr } = run(database(), ["hash", ...args])
      assert.strictEqual(status, 2, args.join(" "))
      assert.match(stderr, sentence)
      assert.strictEqual(fs.readFileSync(at("in/photo"), "utf8"), "photo")
      assert.match(fs.readFileSync(at("in/named"), "utf8"), /named/)
    }
    fs.writeFileSync(at("in/sums"), "")
    for (const style of [[], ["--json"], ["--sampled"], ["--tag"], []]) {
      const { status, stderr } = run(database(), ["hash", "kept/in", "-o", "kept/in/sums", ...style])
      assert.strictEqual(status, 0, stderr)
    }
    assert.match(fs.readFileSync(at("in/sums"), "utf8"), /^[0-9a-f]{64} {2}kept\/in\/named\n.*photo\n$/)
  })

  it("identifies files by samples, which nothing can be checked by", () => {
    const inner = path.join(folder, "samples")
    fs.mkdirSync(inner)
    fs.writeFileSync(path.join(inner, "large"), Uint8Array.from({ length: 1_048_576 }, (_, i) => i % 251))
    fs.writeFileSync(path.join(inner, "small"), Uint8Array.of(0))
    const db = database()
    const { status, stderr, stdout } = run(db, ["hash", "--sampled", "samples"])
    assert.strictEqual(status, 0, stderr)
    assert.strictEqual(stdout.toString(), "5aefa86eb26df03d  samples/large\n9b779f74b305adc3  samples/small\n")
    assert.match(stderr, /2 sampled, 56(\.0)? KiB/)
    const json = run(db, ["hash", "--sampled", "samples", "--json"]).stdout.toString()
    assert.match(json, /"contentId":"9b779f74b305adc3","sizeBytes":1/)

    fs.writeFileSync(path.join(folder, "ids"), stdout)
    const check = run(db, ["hash", "--check", "ids"])
    assert.strictEqual(check.status, 2)
    assert.match(check.stderr, /content ids of samples/)
  })

  it("fails what was named and is no file, and reads what the kernel says is empty", async () => {
    const pipe = path.join(folder, "pipe")
    spawnSync("mkfifo", [pipe])
    const server = net.createServer().listen(path.join(folder, "socket"))
    await once(server, "listening")
    const paths = ["pipe", "socket", "/dev/null", "/proc/version"]
    const { status, stderr, stdout } = run(database(), ["hash", "--algo", "sha256", ...paths])
    server.close()
    const sum = createHash("sha256").update(fs.readFileSync("/proc/version")).digest("hex")
    assert.deepStrictEqual([status, stdout.toString()], [1, `${sum}  /proc/version\n`], stderr)
    assert.match(stderr, /1 hashed, 3 failed/)
    for (const kind of ["FIFO", "socket", "device"]) assert.include(stderr, `: A ${kind} can't be read\n`)
  })

  it("says what could not be hashed, and does the rest", () => {
    const db = database()
    const { status, stderr, stdout } = run(db, ["hash", "tree/folder-0", "nowhere", "--json"])
    assert.strictEqual(status, 1)
    assert.strictEqual(stderr, "")
    const lines = stdout.toString().trimEnd().split("\n").map((line): Record<string, unknown> => JSON.parse(line))
    assert.lengthOf(lines.filter(({ type }) => type === "hash"), inFolder)
    const failed = lines.find(({ outcome }) => outcome === "Failed")
    assert.match(String(failed?.["message"]), /nowhere/)
    const shown = run(db, ["jobs", "list"])
    assert.match(shown.stdout.toString(), /hash/)
  })
})

describe("fanout hash --check", () => {
  const write = (name: string, text: string | Buffer) => fs.writeFileSync(path.join(folder, name), text)

  it("finds well what hash writes, whatever files are called, and goes on when it was killed", async () => {
    for (const flags of [[], ["--tag"], ["--algo", "sha512"]]) {
      write("sums", run(database(), ["hash", "tree/folder-1", "odd", ...flags]).stdout)
      const { status, stderr, stdout } = run(database(), ["hash", "--check", "sums"])
      assert.strictEqual(status, 0, stderr)
      assert.lengthOf(stdout.toString().match(/: OK$/gm) ?? [], inFolder + hostile.length)
      assert.match(stderr, new RegExp(`${inFolder + hostile.length} matched`))
    }
    write("sums", run(database(), ["hash", "tree"]).stdout)
    const lines = (await survive(["hash", "-c", "sums"])).toString().trimEnd().split("\n")
    assert.deepStrictEqual(lines.map((line) => line.replace(/: OK$/, "")), names("sums"))
  })

  const names = (file: string) =>
    fs.readFileSync(path.join(folder, file), "utf8").trimEnd().split("\n").map((line) => line.slice(66))

  it("tells what is not well, and ends with 1", () => {
    for (const name of ["good", "other"]) write(name, name)
    const sum = createHash("sha256").update("good").digest("hex")
    write("SHA256SUMS", ["good", "other", "absent", "tree"].map((name) => `${sum}  ${name}\n`).join("") + "junk\n")
    const db = database()
    const { status, stderr, stdout } = run(db, ["hash", "--check", "SHA256SUMS"])
    assert.strictEqual(status, 1)
    assert.deepStrictEqual(stdout.toString().split("\n"), [
      "good: OK",
      "other: FAILED (changed)",
      "absent: FAILED (missing)",
      "tree: FAILED (unreadable)",
      "line 5: FAILED (malformed)",
      ""
    ])
    assert.match(stderr, /other: it has another SHA256 or BLAKE3 digest/)

    const quiet = run(db, ["hash", "--check", "SHA256SUMS", "--quiet"])
    assert.strictEqual(quiet.stdout.toString(), stdout.toString().replace("good: OK\n", ""))
    const json = run(db, ["hash", "--check", "SHA256SUMS", "--json"]).stdout.toString().trimEnd().split("\n")
      .map((line): Record<string, unknown> => JSON.parse(line)).filter(({ type }) => type === "check")
    assert.deepStrictEqual(json.map(({ line, name, status }) => [line, name, status]), [
      [1, "good", "ok"],
      [2, "other", "changed"],
      [3, "absent", "missing"],
      [4, "tree", "unreadable"],
      [5, undefined, "malformed"]
    ])
  })

  it("checks what several files name, and ends with 1 where one of them is not well", () => {
    for (const name of ["one", "two"]) fs.writeFileSync(path.join(folder, name), name)
    for (const name of ["one", "two"]) run(database(), ["hash", name, "-o", `${name}.sums`])
    const check = () => run(database(), ["hash", "--check", "one.sums", "two.sums"])
    const well = check()
    assert.deepStrictEqual([well.status, well.stdout.toString()], [0, "one: OK\ntwo: OK\n"])
    fs.writeFileSync(path.join(folder, "one"), "other")
    const changed = check()
    assert.deepStrictEqual([changed.status, changed.stdout.toString()], [1, "one: FAILED (changed)\ntwo: OK\n"])
  })

  it("ends with 2 where there is nothing to check by", () => {
    write("junk", "junk\n")
    for (
      const [args, sentence] of [
        [["--check", "junk"], /No line of/],
        [["--check", "nowhere"], /does not exist/],
        [["--check", "tree"], /no file/],
        [["--check", "junk", "--tag"], /no meaning/],
        [["--check", "-"], /piped in/],
        [["--check", "junk", "--sampled"], /content ids of samples/],
        [["tree", "--sampled", "--algo", "blake3"], /no choice of --algo/],
        [["tree", "--sampled", "--tag"], /no choice/],
        [["tree", "--sampled", "--cache"], /samples of a file are read as fast/],
        [["--check", "junk", "--cache"], /a check is there to read/],
        [["tree", "--output", "odd"], /no file that lines could be written to: name another one/],
        [["tree", "--output", "nowhere/sums"], /does not exist/],
        [["tree", "--output", ""], /empty name/],
        [["--check", "junk", "--output", "sums"], /no lines for --output/],
        [["-"], /piped in/],
        [[""], /empty name/],
        [[], /What is to be hashed/]
      ] as const
    ) {
      const { status, stderr, stdout } = run(database(), ["hash", ...args])
      assert.deepStrictEqual([status, stdout.length], [2, 0], stderr)
      assert.match(stderr, sentence)
    }
  })
})
