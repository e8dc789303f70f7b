import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { setTimeout } from "node:timers/promises"
import { isLong } from "../../../test/effort.ts"
import { commandLine, runCommand, watched } from "./command.ts"
import { hasStrace, isHeldUp, meeting, slowly, told, works } from "./faults.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-verify-"))
const at = (name: string) => path.join(folder, name)

// Root may read everything, so what must not be readable is read as nobody.
const nobody = process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : []

let count = 0
const database = () => {
  const place = at(`state-${count++}`)
  fs.mkdirSync(place)
  fs.chmodSync(place, 0o1777)
  return path.join(place, "db/jobs.db")
}

const run = (db: string, args: ReadonlyArray<string>, prefix: ReadonlyArray<string> = []) =>
  runCommand(["--db", db, ...args], { folder, prefix })

const start = (db: string, args: ReadonlyArray<string>, prefix: ReadonlyArray<string>) =>
  watched(spawn(...commandLine(["--db", db, ...args], prefix), { cwd: folder, stdio: ["ignore", "pipe", "pipe"] }))

const states = (db: string): ReadonlyArray<unknown> =>
  records(run(db, ["jobs", "list", "--json"]).stdout).map(({ state }) => state)

const records = (text: string): ReadonlyArray<Record<string, unknown>> =>
  text.trimEnd().split("\n").filter((line) => line !== "").map((line): Record<string, unknown> => JSON.parse(line))

/** Starts a command, and gives it a signal some time after its first line. */
const interrupt = async (db: string, args: ReadonlyArray<string>, signal: NodeJS.Signals, millis = 0) => {
  const { child, ended } = start(db, args, slowly("openat", "5ms"))
  await Promise.race([once(child.stdout, "data"), ended])
  await setTimeout(millis)
  child.kill(signal)
  return await ended
}

/** Names that a line of text could be forged with, and some that are no text. */
const hostile = ["a\nmissing    b: x", "back\\slash", "-dash", "\r", "\u001b[31m", " ", "\u202e"]
  .map((name) => Buffer.from(name)).concat([Buffer.from([0x66, 0xff, 0xfe]), Buffer.from([0xc3, 0x28])])

const inFolder = (parent: string, name: Buffer) => Buffer.concat([Buffer.from(`${parent}/`), name])

/** So many that a command is not through with them before it can be stopped. */
const largeFolders = isHeldUp ? 16 : 48
const inLarge = isHeldUp ? 50 : 250

const makeLarge = () => {
  for (let i = 0; i < largeFolders; i++) {
    const inner = at(`large/folder-${i}`)
    fs.mkdirSync(inner, { recursive: true })
    for (let j = 0; j < inLarge; j++) fs.writeFileSync(path.join(inner, `file-${j}`), `${i} ${j}\n`.repeat(1 + j * 5))
  }
  fs.cpSync(at("large"), at("other"), { recursive: true, preserveTimestamps: true })
  for (let i = 0; i < largeFolders; i++) {
    const inner = at(`other/folder-${i}`)
    for (let j = i; j < inLarge; j += 9) fs.appendFileSync(path.join(inner, `file-${j}`), "more")
    for (let j = i + 1; j < inLarge; j += 50) fs.rmSync(path.join(inner, `file-${j}`))
    fs.writeFileSync(path.join(inner, "new"), "new")
    fs.chmodSync(path.join(inner, `file-${inLarge - 1}`), 0o600)
  }
}

beforeAll(() => {
  makeLarge()
  const odd = at("odd")
  fs.mkdirSync(path.join(odd, "empty/inner"), { recursive: true, mode: 0o700 })
  for (const name of hostile) fs.writeFileSync(inFolder(odd, name), name)
  fs.symlinkSync("../nowhere", path.join(odd, "link"))
  fs.writeFileSync(path.join(odd, "secret"), "secret", { mode: 0o400 })
  fs.writeFileSync(path.join(odd, "program"), "#!/bin/sh\n", { mode: 0o755 })
  spawnSync("mkfifo", [path.join(odd, "pipe")])
  fs.utimesSync(path.join(odd, "program"), 1_000_000_000.123_456, 1_000_000_000.123_456)
  fs.utimesSync(path.join(odd, "empty"), 5, 5)
})

afterAll(() => fs.rmSync(folder, { recursive: true }))

describe("fanout verify", () => {
  it("says nothing of what `fanout copy` has made, whatever files are called", () => {
    const db = database()
    assert.strictEqual(run(db, ["copy", "-T", "odd", "copy"]).status, 0)
    const { status, stderr, stdout } = run(db, ["verify", "odd", "copy"])
    assert.deepStrictEqual([status, stdout], [0, ""], stderr)
    assert.match(stderr, /12 same, 3 folders, 1 skipped/)
    const quiet = run(db, ["verify", "--quiet", "odd", "copy"])
    assert.deepStrictEqual([quiet.status, quiet.stdout, quiet.stderr], [0, "", ""])
  })

  it("tells each difference on a line of its own, in the order of the walk, and ends with 1", () => {
    const db = database()
    fs.mkdirSync(at("one"))
    fs.mkdirSync(at("two"))
    for (const name of hostile) fs.writeFileSync(inFolder(at("one"), name), name)
    fs.mkdirSync(at("two/deep/er"), { recursive: true })
    fs.writeFileSync(at("two/deep/er/file"), "")
    fs.mkdirSync(at("one/kind"))
    fs.writeFileSync(at("two/kind"), "")
    fs.symlinkSync("x", at("one/link"))
    fs.symlinkSync("y", at("two/link"))
    fs.writeFileSync(at("one/mode"), "", { mode: 0o600 })
    fs.writeFileSync(at("two/mode"), "", { mode: 0o644 })
    fs.writeFileSync(at("one/text"), "some text")
    fs.writeFileSync(at("two/text"), "some Text")
    const args = ["verify", "one", "two", "--ignore", "times"]
    const { status, stderr, stdout } = run(db, args)
    assert.strictEqual(status, 1)
    assert.deepStrictEqual(stdout.split("\n"), [
      "missing     \\r: a file in A, nothing in B",
      "missing     \\x1b[31m: a file in A, nothing in B",
      "missing      : a file in A, nothing in B",
      "missing     -dash: a file in A, nothing in B",
      "missing     a\\nmissing    b: x: a file in A, nothing in B",
      "missing     back\\\\slash: a file in A, nothing in B",
      "extra       deep/: nothing in A, a folder with 2 entries in B",
      "missing     f\\xff\\xfe: a file in A, nothing in B",
      "different   kind: a folder in A, a file in B",
      `different   link: leads to "x" in A, to "y" in B`,
      "metadata    mode: mode 0600 in A, 0644 in B",
      "different   text: differs from byte 6 on",
      "missing     \\xc3(: a file in A, nothing in B",
      "missing     \\u202e: a file in A, nothing in B",
      ""
    ])
    assert.match(stderr, /not all is the same: 1 folder, 9 missing, 1 extra, 3 different, 1 with other metadata/)
    assert.notMatch(stderr, /failed/)

    const json = records(run(db, [...args, "--json"]).stdout)
    const found = json.filter(({ type }) => type === "difference")
    assert.deepStrictEqual(
      found.map(({ status }) => status),
      stdout.trimEnd().split("\n").map((line) => line.split(" ", 1)[0])
    )
    const of = (name: string) => found.find((one) => one["name"] === name)
    assert.deepInclude(of("text"), { property: "content", at: 5 })
    assert.deepInclude(of("deep"), { kind: "folder", entries: 2, isAll: true })
    assert.deepInclude(of("mode"), { properties: [{ name: "mode", a: "0600", b: "0644" }] })
    assert.deepInclude(json.at(-1), { code: 1, failures: { missing: 9, extra: 1, different: 3, metadata: 1 } })
  })

  it("tells what can't be read from what differs", () => {
    fs.mkdirSync(at("mine/folder"), { recursive: true })
    fs.writeFileSync(at("mine/file"), "text")
    fs.cpSync(at("mine"), at("yours"), { recursive: true })
    fs.chmodSync(folder, 0o755)
    fs.chmodSync(at("mine/file"), 0)
    fs.chmodSync(at("yours/folder"), 0)
    const { status, stdout } = run(database(), ["verify", "mine", "yours", "--ignore", "times"], nobody)
    assert.strictEqual(status, 1)
    assert.deepStrictEqual(stdout.split("\n"), [
      `unreadable  file: can't be read in A: Could not open "${at("mine/file")}": permission denied (EACCES)`,
      `unreadable  folder: can't be read in B: Could not list "${at("yours/folder")}": permission denied (EACCES)`,
      ""
    ])
  })

  it("ends with 2 and a sentence where there is nothing to compare", () => {
    fs.mkdirSync(at("x/in"), { recursive: true })
    fs.writeFileSync(at("x/file"), "")
    fs.linkSync(at("x/file"), at("x/same"))
    for (
      const [args, sentence] of [
        [[], /Missing required argument: A/],
        [["x"], /Missing required argument: B/],
        [["x", "odd", "copy"], /Unexpected positional argument: "copy"/],
        [["x", ""], /empty name/],
        [["x", "nowhere"], /There is nothing at ".*nowhere": check/],
        [["x", "x/../x"], /are the same folder/],
        [["x/file", "x/same"], /are the same file/],
        [["x", "x/in"], /is inside of/],
        [["x/file", "odd"], /is a file and .* is a folder: name two/],
        [["x", "odd", "--ignore", "names"], /ignore/]
      ] as const
    ) {
      const { status, stderr, stdout } = run(database(), ["verify", ...args])
      assert.deepStrictEqual([status, stdout], [2, ""], stderr)
      assert.match(stderr, sentence)
    }
  })

  it("leaves its own database out, on either side", () => {
    const inner = at("with-db")
    fs.cpSync(at("mine/folder"), inner, { recursive: true })
    fs.cpSync(inner, at("without-db"), { recursive: true })
    const { status, stderr, stdout } = run(path.join(inner, "jobs.db"), [
      "verify",
      "with-db",
      "without-db",
      "--ignore",
      "times",
      "--ignore",
      "mode"
    ])
    assert.deepStrictEqual([status, stdout], [0, ""], stderr)
    assert.match(stderr, /skipped/)
  })

  it("ends with the same lines after it was killed, and is in its middle then", async () => {
    const args = ["verify", "large", "other"]
    const expected = run(database(), args)
    assert.strictEqual(expected.status, 1)
    assert.isAbove(expected.stdout.split("\n").length, largeFolders * (isHeldUp ? 6 : 30))
    const db = database()
    const kills = isLong ? 3 : 1
    let unfinished = 0
    for (let killed = 0; killed < kills; killed++) {
      const { stdout } = await interrupt(db, args, "SIGKILL", killed * 30)
      assert.isTrue(expected.stdout.startsWith(stdout.slice(0, stdout.lastIndexOf("\n") + 1)))
      if (!states(db).includes("CompletedWithErrors")) unfinished++
    }
    const last = run(db, args)
    assert.deepStrictEqual([last.status, last.stdout], [1, expected.stdout])
    assert.isAbove(unfinished, 0)
    if (unfinished === kills) assert.match(last.stderr, /Going on with job/)
  })

  it("pauses at Ctrl-C, and goes on with the same command", async () => {
    const args = ["verify", "large", "other"]
    const expected = run(database(), args).stdout
    for (const millis of [0, 20, 50]) {
      const db = database()
      const { code, stderr, stdout } = await interrupt(db, args, "SIGINT", millis)
      if (code === 1) continue
      assert.strictEqual(code, 130, stderr)
      assert.match(stderr, /Go on with/)
      assert.isAbove(stdout.length, 0)
      const last = run(db, args)
      assert.deepStrictEqual([last.status, last.stdout], [1, expected], last.stderr)
      assert.deepStrictEqual(states(db), ["CompletedWithErrors"])
      return
    }
    assert.fail("it was never stopped in its middle")
  })

  it("compares what has failed again once that is mended, in folders that were missing, too", () => {
    const db = database()
    fs.cpSync(at("large/folder-3"), at("mended/a"), { recursive: true, preserveTimestamps: true })
    fs.cpSync(at("large/folder-4"), at("mended/b"), { recursive: true, preserveTimestamps: true })
    fs.cpSync(at("mended"), at("broken"), { recursive: true, preserveTimestamps: true })
    fs.rmSync(at("broken/a"), { recursive: true })
    fs.rmSync(at("broken/b/file-7"))
    fs.appendFileSync(at("broken/b/file-8"), "more")
    const args = ["verify", "mended", "broken", "--ignore", "times"]
    const { status, stdout } = run(db, args)
    assert.deepStrictEqual([status, stdout.split("\n").length], [1, 4])
    const [job] = records(run(db, ["jobs", "list", "--json"]).stdout)
    const id = String(job?.["id"])
    assert.match(run(db, ["jobs", "show", id]).stdout, /differs {2}.*file-8: \d+ bytes in A, \d+ bytes in B/)
    assert.match(
      run(db, ["jobs", "show", id]).stdout,
      /compares {2}".*mended" \(A\) with ".*broken" \(B\) --ignore times/
    )

    for (const name of ["b/file-7", "b/file-8"]) fs.copyFileSync(at(`mended/${name}`), at(`broken/${name}`))
    fs.cpSync(at("mended/a"), at("broken/a"), { recursive: true })
    fs.appendFileSync(at("broken/a/file-10"), "more")
    const again = run(db, ["jobs", "retry", id])
    assert.strictEqual(again.status, 1)
    assert.match(again.stderr, /a\/file-10: \d+ bytes in A/)
    fs.copyFileSync(at("mended/a/file-10"), at("broken/a/file-10"))
    const last = run(db, ["jobs", "retry", id])
    assert.strictEqual(last.status, 0, last.stderr)
    assert.match(last.stdout, new RegExp(`${2 * inLarge} same, 3 folders`))
  })

  it("compares again what failed with one cause, and nothing else", () => {
    const db = database()
    for (const side of ["kept", "lost"]) {
      fs.mkdirSync(at(side))
      for (const name of ["a", "b", "c"]) fs.writeFileSync(at(`${side}/${name}`), name)
    }
    fs.writeFileSync(at("lost/a"), "other")
    for (const name of ["b", "c"]) fs.rmSync(at(`lost/${name}`))
    assert.strictEqual(run(db, ["verify", "kept", "lost", "--ignore", "times"]).status, 1)
    const [job] = records(run(db, ["jobs", "list", "--json"]).stdout)
    const id = String(job?.["id"])
    for (const name of ["a", "b"]) fs.copyFileSync(at(`kept/${name}`), at(`lost/${name}`))

    const refused = run(db, ["jobs", "retry", id, "--cause", "Lost"])
    assert.strictEqual(refused.status, 2)
    assert.include(
      refused.stderr,
      `Job ${id} is not retried: no element failed with the cause "Lost". \`fanout jobs show`
    )
    assert.strictEqual(run(db, ["jobs", "retry", id, "--cause", "Missing"]).status, 1)
    const shown = run(db, ["jobs", "show", id]).stdout
    assert.match(shown, /lost\/a|kept\/a/, "it still counts as different")
    assert.match(shown, /kept\/c/)
    assert.notMatch(shown, /kept\/b/)
  })

  it("reads no holes that both files have", () => {
    const size = 10 * 2 ** 30
    for (const name of ["holes-a", "holes-b"]) {
      fs.writeFileSync(at(name), "at the beginning")
      fs.truncateSync(at(name), size)
      const middle = fs.openSync(at(name), "r+")
      fs.writeSync(middle, "in the middle", 2 ** 32)
      fs.closeSync(middle)
      fs.utimesSync(at(name), 1, 1)
    }
    const args = ["verify", "holes-a", "holes-b"]
    const trace = at("trace")
    const prefix = hasStrace ? meeting({ calls: ["pread64", "read"], paths: [at("holes-a")], trace }) : []
    const same = run(database(), [...args, "--json"], prefix)
    assert.strictEqual(same.status, 0, same.stderr)
    assert.deepStrictEqual(records(same.stdout).at(-1)?.["units"], { bytes: size })
    assert.isBelow(told(trace).split("\n").length, 100)

    const file = fs.openSync(at("holes-b"), "r+")
    fs.writeSync(file, "x", 2 ** 33)
    fs.closeSync(file)
    fs.utimesSync(at("holes-b"), 1, 1)
    const differs = run(database(), args)
    assert.strictEqual(differs.status, 1)
    assert.include(differs.stdout, `differs from byte ${2 ** 33 + 1} on`)
    for (const name of ["holes-a", "holes-b"]) fs.rmSync(at(name))
  })

  it.skipIf(!works("fallocate", "--version"))("goes on within a large file after a pause", async () => {
    const size = isHeldUp ? 2 ** 28 : 3 * 2 ** 31
    // One that takes its place on the disk is read, as if it held data.
    assert.isTrue(works("fallocate", "-l", `${size}`, at("huge-a")))
    fs.writeFileSync(at("huge-b"), "")
    fs.truncateSync(at("huge-b"), size)
    for (const name of ["huge-a", "huge-b"]) fs.utimesSync(at(name), 1, 1)
    const db = database()
    const args = ["verify", "huge-a", "huge-b", "--json"]
    const { child, ended } = start(db, args, slowly("pread64", "100ms", [at("huge-a")]))
    let seen = 0
    let isAsked = false
    child.stdout.on("data", (data: string) => {
      for (const [, bytes] of data.matchAll(/"units":\{"bytes":(\d+)\}/g)) seen = Math.max(seen, Number(bytes))
      // Once: a second one may meet a process that has said all and no longer listens, and end it as a signal does.
      if (seen > 2 ** 26 && !isAsked) isAsked = child.kill("SIGINT")
    })
    const { code, stdout } = await ended
    assert.strictEqual(code, 130, stdout)
    assert.isBelow(seen, size)
    const store = new DatabaseSync(db)
    const kept = JSON.stringify(store.prepare("select checkpoint from fanout_checkpoints").all())
    store.close()
    assert.match(kept, /bytes\W+\d{8,}/)
    const last = run(db, args)
    assert.strictEqual(last.status, 0, last.stdout)
    const [summary] = records(last.stdout).slice(-1)
    assert.deepStrictEqual(summary?.["units"], { bytes: size })
    fs.rmSync(at("huge-a"))
    fs.rmSync(at("huge-b"))
  })
})
