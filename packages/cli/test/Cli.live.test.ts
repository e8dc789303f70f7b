import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { setTimeout } from "node:timers/promises"
import { startStopwatch } from "../../../test/stopwatch.ts"
import { command, commandLine, runCommand, watched } from "./command.ts"
import { hasStrace, isHeldUp, isRoot, nobody, slowly } from "./faults.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-cli-"))
const source = path.join(folder, "source")
const many = path.join(folder, "many")

const env = (db: string) => ({ ...process.env, FANOUT_DB: db, NO_COLOR: "1" })

let count = 0
/** A database and a destination that nothing else uses. */
const fresh = () => {
  const place = path.join(folder, `place-${count++}`)
  fs.mkdirSync(place)
  fs.chmodSync(place, 0o1777)
  return { db: path.join(place, "state/jobs.db"), destination: path.join(place, "destination"), place }
}

const run = (db: string, args: ReadonlyArray<string>, prefix: ReadonlyArray<string> = []) =>
  runCommand(args, { env: env(db), prefix })

const start = (db: string, args: ReadonlyArray<string>, prefix?: ReadonlyArray<string>) => {
  const { child, ended, output } = watched(
    spawn(...commandLine(args, prefix), { env: env(db), stdio: ["ignore", "pipe", "pipe"] })
  )
  const says = async (text: string) => {
    while (!output.stderr.includes(text)) {
      assert.isNull(child.exitCode, output.stderr)
      await setTimeout(5)
    }
  }
  return { child, ended, output, says }
}

/** Starts a copy that takes long, and waits until it is in its third folder. */
const startLong = async (
  db: string,
  destination: string,
  args: ReadonlyArray<string> = [many, destination],
  prefix = slowly("utimensat", "5ms")
) => {
  const copy = start(db, ["copy", "--concurrency", "1", ...args], prefix)
  while (!fs.existsSync(destination) || fs.readdirSync(destination).length < 3) {
    assert.isNull(copy.child.exitCode, "the copy ended too soon")
    await setTimeout(5)
  }
  return copy
}

/** Starts a copy that takes four seconds, and waits until it has begun. */
const startSlow = async () => {
  const { db, destination, place } = fresh()
  const file = path.join(place, "slow")
  fs.writeFileSync(file, Buffer.alloc(32 * 2 ** 20))
  fs.mkdirSync(destination)
  const copy = start(db, ["copy", "--bandwidth", "8MiB", file, destination])
  while (fs.readdirSync(destination).length === 0) {
    assert.isNull(copy.child.exitCode, "the copy ended too soon")
    await setTimeout(10)
  }
  return { copy, db }
}

/** Starts the same copy twice. The first one is held up, far shorter than its lease, until the second has found it. */
const startTwo = async (db: string, destination: string) => {
  const first = await startLong(db, destination)
  first.child.kill("SIGSTOP")
  const second = start(db, ["copy", "--concurrency", "1", many, destination], slowly("utimensat", "5ms"))
  await second.says("Going on with job")
  return { first, second }
}

const assertSame = (a: string, b: string) => {
  const { status, stdout } = spawnSync("diff", ["-r", "--no-dereference", a, b], { encoding: "utf8" })
  assert.deepStrictEqual({ status, stdout }, { status: 0, stdout: "" })
}

const jobsOf = (db: string): ReadonlyArray<Record<string, unknown>> =>
  run(db, ["jobs", "list", "--json"]).stdout.trim().split("\n").map((line) => JSON.parse(line))

const idOf = (db: string) => String(jobsOf(db)[0]?.["id"])

const makeTree = (root: string, folders: number, files: number) => {
  for (let i = 0; i < folders; i++) {
    fs.mkdirSync(path.join(root, `d${i}`), { recursive: true })
    for (let j = 0; j < files; j++) fs.writeFileSync(path.join(root, `d${i}/f${j}`), `${i}/${j}\n`.repeat(j % 50))
  }
}

beforeAll(() => {
  fs.chmodSync(folder, 0o755)
  makeTree(source, 5, 20)
  fs.mkdirSync(path.join(source, "empty"))
  fs.symlinkSync("d1/f1", path.join(source, "link"))
  fs.writeFileSync(path.join(source, "large"), Buffer.alloc(9 * 1024 * 1024, 7))
  if (isHeldUp) makeTree(many, 30, 20)
  else makeTree(many, 400, 50)
})

afterAll(() => fs.rmSync(folder, { recursive: true }))

describe("fanout copy", () => {
  it.skipIf(!hasStrace)("reaches files by descriptor, and gives new ones their names last", () => {
    const { db, destination, place } = fresh()
    const trace = path.join(place, "trace")
    const options = ["-f", "-qq", "-e", "trace=openat,openat2,linkat,renameat2", "-e", "signal=none", "-o", trace]
    const callsOf = (...args: ReadonlyArray<string>): string => {
      const { status, stderr } = run(db, ["copy", ...args], ["strace", ...options])
      assert.strictEqual(status, 0, stderr)
      return fs.readFileSync(trace, "latin1")
    }
    // Names in the draft are numbers.
    const folders = callsOf(source, destination)
    assert.match(folders, /openat2\(AT_FDCWD, "[^"]*\/d1", \{[^}]*RESOLVE_NO_SYMLINKS/)
    assert.match(folders, /renameat2\(\d+, "\d+", \d+, "d1", RENAME_NOREPLACE/)
    const calls = callsOf("-T", path.join(source, "d1"), `${destination} of files`)
    assert.match(calls, /openat\(\d+, "\d+", [^)]*O_CREAT\|O_EXCL/)
    assert.match(calls, /renameat2\(\d+, "\d+", \d+, "f1", RENAME_NOREPLACE/)
    assert.notMatch(folders, /"\/proc\/self\/fd\/\d+\//)
    assert.notMatch(calls, /"\/proc\/self\/fd\/\d+\//)
  })

  it("copies a tree, and jobs tell of it", () => {
    const { db, destination } = fresh()
    const { status, stderr, stdout } = run(db, ["copy", source, destination])
    assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
    assertSame(source, destination)
    const id = idOf(db)
    assert.include(stdout, `Job ${id} (copy) is done: `)
    const list = run(db, ["jobs", "list"])
    assert.match(list.stdout, new RegExp(`${id} +done .* copy `))
    const show = run(db, ["jobs", "show", id.slice(0, 6)])
    assert.strictEqual(show.status, 0)
    assert.include(show.stdout, `copies    "${source}" to "${destination}", with --conflict changed\n`)
    // The large one; which way that is depends on the file system.
    assert.match(show.stdout, /^ways {6}1 (by|in) /m)
    const [shown = ""] = run(db, ["jobs", "show", "--json", id]).stdout.split("\n")
    assert.nestedPropertyVal(JSON.parse(shown), "payload.request.destination", destination)
    assert.strictEqual(run(db, ["jobs", "watch", id]).status, 0)
    assert.include(run(db, ["jobs", "logs", id]).stdout, "\n")
    assert.include(run(db, ["jobs", "prune", "--older-than", "0s"]).stdout, "Removed 1 job.")
    assert.include(run(db, ["jobs", "list"]).stdout, "There are no jobs yet")
  })

  it("lists a job whose row can't be read beside the others, and says so of it alone", () => {
    const { db, destination } = fresh()
    for (const name of ["one", "other"]) run(db, ["copy", path.join(source, "large"), `${destination} ${name}`])
    const [other = "", one = ""] = jobsOf(db).map(({ id }) => String(id))
    const database = new DatabaseSync(db)
    database.prepare("update fanout_jobs set limits = '{\"concurrency\":0}' where id = ?").run(one)
    database.close()

    const list = run(db, ["jobs", "list"])
    assert.match(list.stdout, new RegExp(`^${other} +done .* copy `, "m"))
    assert.match(list.stdout, new RegExp(`^${one}  can't be read: Expected .*concurrency`, "m"))
    assert.deepInclude(jobsOf(db)[1], { v: 1, type: "unreadable", id: one })
    const show = run(db, ["jobs", "show", one])
    assert.strictEqual(show.status, 3)
    assert.match(show.stderr, new RegExp(`failed to read job ${one}: .*concurrency`))
  })

  it("tells what happens in lines of JSON", () => {
    const { db, destination } = fresh()
    const { status, stdout } = run(db, ["copy", "--json", source, destination])
    assert.strictEqual(status, 0)
    const lines: ReadonlyArray<Record<string, unknown>> = stdout.trim().split("\n").map((line) => JSON.parse(line))
    assert.isTrue(lines.every(({ type, v }) => v === 1 && typeof type === "string"))
    assert.deepInclude(lines.at(-1), { type: "summary", state: "Completed", failed: 0, code: 0 })
  })

  it("is quiet when told so", () => {
    const { db, destination } = fresh()
    assert.deepStrictEqual(run(db, ["copy", "-q", source, destination]), { status: 0, stderr: "", stdout: "" })
  })

  it("does nothing in a dry run", () => {
    const { db, destination } = fresh()
    const { status, stdout } = run(db, ["copy", "--dry-run", source, destination])
    assert.strictEqual(status, 0)
    assert.include(stdout, "f1")
    assert.isFalse(fs.existsSync(destination))
  })

  it("leaves out what is excluded, and its dry run says nothing of that", () => {
    const { db, destination, place } = fresh()
    const rules = path.join(place, "rules")
    fs.writeFileSync(rules, Buffer.from("# of a file\r\n\r\n/d[1-3]/\r\nf1*\r\n\xff\r\n", "latin1"))
    const root = path.join(place, "source")
    makeTree(root, 5, 20)
    fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff])]), "x")
    const args = [
      "copy",
      "--include",
      "f12",
      "--exclude",
      "f2",
      "--exclude=-*",
      "--exclude-from",
      rules,
      root,
      destination
    ]
    const left = [0, 4].flatMap((folder) =>
      [...Array(20).keys()].filter((n) => n !== 1 && n !== 2 && (n < 10 || n === 12)).map((n) => `d${folder}/f${n}`)
    )

    const dry = run(db, [...args, "--dry-run", "--json"])
    const copied = run(db, args)

    assert.strictEqual(dry.status, 0, dry.stderr)
    const lines: ReadonlyArray<Record<string, unknown>> = dry.stdout.trim().split("\n").map((line) => JSON.parse(line))
    const files = lines.flatMap(({ kind, source }) => kind === "file" ? [path.relative(root, String(source))] : [])
    assert.sameMembers(files, left)
    assert.deepStrictEqual([copied.status, copied.stderr], [0, ""])
    const found = fs.readdirSync(destination, { recursive: true, encoding: "utf8" })
    assert.sameMembers(found, ["d0", "d4", ...left])
    assert.include(run(db, ["jobs", "show", idOf(db)]).stdout, "--conflict changed, filtered by 6 rules\n")

    // The other commands leave out the same.
    const excluded = args.slice(1, -2)
    const verified = run(db, ["verify", ...excluded, root, destination])
    assert.deepStrictEqual([verified.status, verified.stdout], [0, ""], verified.stderr)
    const hashed = run(db, ["hash", ...excluded, root])
    const named = hashed.stdout.trim().split("\n").map((line) => line.slice(line.indexOf(root) + root.length + 1))
    assert.sameMembers(named, left)
    const whole = fs.readdirSync(root, { recursive: true, encoding: "utf8" })
    const deleted = run(db, ["delete", ...excluded, root])
    assert.deepStrictEqual([deleted.status, deleted.stderr], [0, ""])
    const there = fs.readdirSync(root, { recursive: true, encoding: "utf8" })
    assert.sameMembers(there, whole.filter((name) => !left.includes(name)))
  })

  it("takes a file of patterns of which some can never match, and says so once", () => {
    const { db, destination, place } = fresh()
    const tree = path.join(place, "tree")
    fs.mkdirSync(path.join(tree, "auto"), { recursive: true })
    for (const file of ["auto/a.el", "b.aux", "c"]) fs.writeFileSync(path.join(tree, file), "")
    const patterns = path.join(place, "TeX.gitignore")
    fs.writeFileSync(patterns, "# Emacs\n./auto/*\n*.el\n!\n*.aux\n")

    const { status, stderr } = run(db, ["copy", "--json", "--exclude-from", patterns, tree, destination])

    assert.deepStrictEqual({ status, stderr }, {
      status: 0,
      stderr:
        `warning  Line 2 of "${patterns}" is left out: "./auto/*" is no rule: it has a dot, two dots or nothing ` +
        "between its slashes, and no path below a source has; 1 more line is left out\n"
    })
    assert.deepStrictEqual(fs.globSync("**/*", { cwd: destination }).toSorted(), ["auto", "c"])
  })

  it("copies a source that is named, whatever is excluded, and reads patterns from a pipe", () => {
    const { db, destination } = fresh()
    const file = path.join(source, "d1/f1")
    fs.mkdirSync(destination)
    const args = commandLine(["copy", "--exclude-from", "-", file, path.join(source, "d2"), destination])
    const script = ["-c", `echo '*' | "$@"`, "sh", ...args.flat()]
    const { status, stderr } = spawnSync("sh", script, { encoding: "utf8", env: env(db) })
    assert.deepStrictEqual([status, stderr], [0, ""])
    assert.sameMembers(fs.readdirSync(destination, { recursive: true, encoding: "utf8" }), ["d2", "f1"])
  })

  it("the same command goes on with the same rules, and jobs resume does so without their file", async () => {
    for (const resumes of [false, true]) {
      const { db, destination, place } = fresh()
      const [rules, root] = [path.join(place, "rules"), path.join(place, "source")]
      if (isHeldUp) makeTree(root, 50, 20)
      else makeTree(root, 150, 50)
      fs.writeFileSync(rules, "f1*\n/d3?/\n")
      const args = ["--exclude-from", rules, "--exclude", "f4", root, destination]
      const { child, ended } = await startLong(db, destination, args)
      child.kill("SIGINT")
      await ended
      fs.writeFileSync(rules, "*\n")
      const other = run(db, ["copy", "--concurrency", "1", ...args])
      assert.strictEqual(other.status, 2, other.stdout)
      assert.include(other.stderr, idOf(db))
      if (!resumes) fs.writeFileSync(rules, "# The same rules\r\nf1*\n\n/d3?/")

      const again = run(db, resumes ? ["jobs", "resume", idOf(db)] : ["copy", "--concurrency", "1", ...args])

      assert.strictEqual(again.status, 0, again.stderr)
      assert.lengthOf(jobsOf(db), 1)
      const diff = ["-r", "-x", "f1*", "-x", "f4", "-x", "d3[0-9]", root, destination]
      assert.strictEqual(spawnSync("diff", diff, { encoding: "utf8" }).stdout, "")
      const names = fs.readdirSync(destination, { recursive: true, encoding: "utf8" })
      assert.deepStrictEqual(names.filter((name) => /(?:^|\/)(?:f1.*|f4|d3.)$/.test(name)), [])
    }
  })

  it("doesn't replace its own database, nor says that it would", () => {
    const { db, place } = fresh()
    const root = path.join(place, "source")
    fs.mkdirSync(path.join(root, "state"), { recursive: true })
    const names = ["jobs.db", "jobs.db-journal", "jobs.db-shm", "jobs.db-wal"]
    for (const name of names) fs.writeFileSync(path.join(root, "state", name), "not a database")
    const copy = ["copy", "-T", "--conflict", "overwrite", root, place]
    // In a dry run there is no database yet.
    for (const args of [[...copy, "--dry-run"], copy]) {
      const { status, stderr, stdout } = run(db, args)
      assert.strictEqual(status, 1, stderr)
      for (const name of names) assert.match(stdout + stderr, new RegExp(`state/${name}: .*database of this job`))
    }
    fs.linkSync(db, path.join(root, "link-to-it"))
    assert.strictEqual(run(db, copy).status, 1)
    assert.isFalse(fs.existsSync(path.join(place, "link-to-it")))
    assert.lengthOf(jobsOf(db), 2)
  })

  it("keeps names that are not UTF-8", () => {
    const { db, place } = fresh()
    const name = Buffer.concat([Buffer.from(`${place}/a`), Buffer.from([0xff])])
    fs.writeFileSync(name, "x")
    const script = `exec ${
      commandLine(["copy"]).flat().join(" ")
    } "$(printf '${place}/a\\377')" "$(printf '${place}/b\\376')"`
    const { status, stderr } = spawnSync("sh", ["-c", script], { encoding: "utf8", env: env(db) })
    assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
    const copied = Buffer.concat([Buffer.from(`${place}/b`), Buffer.from([0xfe])])
    assert.strictEqual(fs.readFileSync(copied, "utf8"), "x")
  })

  it.each([["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const)(
    "pauses at %s, says how to go on, and goes on",
    async (signal, expected) => {
      const { db, destination } = fresh()
      const { child, ended } = await startLong(db, destination)
      const elapsed = startStopwatch()
      child.kill(signal)
      const { code, stderr } = await ended
      assert.strictEqual(code, expected, stderr)
      assert.isBelow(elapsed(), 2000)
      const id = idOf(db)
      assert.include(stderr, `fanout jobs resume ${id}`)
      assert.strictEqual(jobsOf(db)[0]?.["state"], "Paused")
      const resumed = run(db, ["jobs", "resume", id])
      assert.strictEqual(resumed.status, 0, resumed.stderr)
      assertSame(many, destination)
      assert.lengthOf(jobsOf(db), 1)
    }
  )

  it("the same command again goes on after a kill", async () => {
    const { db, destination } = fresh()
    const { child, ended } = await startLong(db, destination)
    child.kill("SIGKILL")
    await ended
    const again = run(db, ["copy", "--concurrency", "1", many, destination])
    assert.strictEqual(again.status, 0, again.stderr)
    assert.include(again.stderr, `Going on with job ${idOf(db)}`)
    assertSame(many, destination)
    assert.lengthOf(jobsOf(db), 1)
  })

  it("tells of what vanishes while it copies", async () => {
    const { db, destination, place } = fresh()
    const root = path.join(place, "source")
    makeTree(root, 150, 50)
    const { child, ended, output } = await startLong(db, destination, ["--json", root, destination], [])
    // Held up so early that the last of many folders is known by its name alone.
    child.kill("SIGSTOP")
    fs.rmSync(path.join(root, "d99"), { recursive: true })
    child.kill("SIGCONT")
    const { code, stderr } = await ended
    assert.strictEqual(code, 0, stderr)
    const lines: ReadonlyArray<Record<string, unknown>> = output.stdout.trim().split("\n").map((line) =>
      JSON.parse(line)
    )
    const items = lines.filter(({ type }) => type === "item").map(({ key, outcome }) => ({ key, outcome }))
    assert.deepStrictEqual(items, [{ key: path.join(root, "d99"), outcome: "Vanished" }])
    assert.deepInclude(lines.at(-1), { type: "summary", failed: 0, vanished: 1 })
    const { stdout } = run(db, ["jobs", "show", idOf(db)])
    assert.match(stdout, /^progress .*, 1 vanished, /m)
    assert.match(stdout, /^skipped +1: it vanished$/m)
    assert.include(run(db, ["jobs", "show", "--all", idOf(db)]).stdout, `\nvanished ${path.join(root, "d99")}\n`)
    assert.match(run(db, ["jobs", "list"]).stdout, / 1 vanished/)
    assertSame(root, destination)
  })

  it("ends with 4 when paused from another terminal", async () => {
    const { db, destination } = fresh()
    const { ended, output } = await startLong(db, destination, ["--json", many, destination])
    const id = /"id":"(\w+)"/.exec(output.stdout)?.[1] ?? ""
    const paused = run(db, ["jobs", "pause", id])
    assert.include(paused.stdout, `Job ${id} is paused.`)
    const { code, stderr } = await ended
    assert.strictEqual(code, 4, stderr)
    assert.strictEqual(run(db, ["jobs", "cancel", id]).status, 0)
    assert.strictEqual(jobsOf(db)[0]?.["state"], "Cancelled")
  })

  it("a second one shows what the first one does, and leaves it alone", async () => {
    const { db, destination } = fresh()
    const { first, second } = await startTwo(db, destination)
    first.child.kill("SIGCONT")
    const codes = (await Promise.all([first.ended, second.ended])).map(({ code }) => code)
    assert.deepStrictEqual(codes, [0, 0])
    assert.lengthOf(jobsOf(db), 1)
    assertSame(many, destination)
  })

  it("a second one takes over when the first one is killed", async () => {
    const { db, destination } = fresh()
    const { first, second } = await startTwo(db, destination)
    first.child.kill("SIGKILL")
    const { code, stderr } = await second.ended
    assert.strictEqual(code, 0, stderr)
    assert.lengthOf(jobsOf(db), 1)
    assertSame(many, destination)
  })

  it("one that stood still past its lease says who has the job, and follows that one", async () => {
    const { db, destination } = fresh()
    const { first, second } = await startTwo(db, destination)
    const before = fs.readdirSync(destination).length
    while (fs.readdirSync(destination).length === before) {
      assert.isNull(second.child.exitCode, second.output.stderr)
      await setTimeout(10)
    }
    second.child.kill("SIGSTOP")
    first.child.kill("SIGCONT")
    await first.says(`taken over by another process, ${second.child.pid}, while this one stood still`)
    second.child.kill("SIGCONT")
    const [one, two] = await Promise.all([first.ended, second.ended])
    assert.deepStrictEqual([one.code, two.code], [0, 0], one.stderr)
    assert.match(one.stdout, /^Job \w+ \(copy\) is done: .*\n$/)
    assert.lengthOf(jobsOf(db), 1)
    assertSame(many, destination)
  })

  it("a second one that is stopped leaves the first one alone", async () => {
    const { db, destination } = fresh()
    const { first, second } = await startTwo(db, destination)
    await setTimeout(100)
    second.child.kill("SIGINT")
    const { code, stderr } = await second.ended
    assert.strictEqual(code, 130, stderr)
    assert.include(stderr, "goes on in another process")
    first.child.kill("SIGCONT")
    assert.strictEqual((await first.ended).code, 0)
    assertSame(many, destination)
  })

  it.skipIf(!isRoot)("says that the disk of its database is full, and goes on once it is not", async () => {
    const { db, destination, place } = fresh()
    const disk = path.join(place, "state")
    fs.mkdirSync(disk)
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk])
    if (mounted.status !== 0) return
    const fill = () => assert.notStrictEqual(spawnSync("dd", ["if=/dev/zero", `of=${disk}/fill`]).status, 0)
    const args = ["copy", "--concurrency", "1", many, destination]
    try {
      fill()
      const none = run(db, args)
      assert.strictEqual(none.status, 3, none.stderr)
      assert.include(none.stderr, `no space is left (${db}). Free space there`)
      fs.rmSync(`${disk}/fill`)

      const { ended } = await startLong(db, destination)
      fill()
      const { code, stderr } = await ended
      assert.strictEqual(code, 4, stderr)
      assert.include(stderr, `no space is left (${db}). Free space there`)
      assert.include(stderr, "the same command goes on")
      assert.notMatch(stderr, /^\s+at /m)
      fs.rmSync(`${disk}/fill`)

      const again = run(db, args)
      assert.strictEqual(again.status, 0, again.stderr)
      assertSame(many, destination)
      assert.lengthOf(jobsOf(db), 1)
    } finally {
      spawnSync("umount", [disk])
    }
  })

  it("refuses the same work with other options while it isn't over", async () => {
    const { db, destination } = fresh()
    const { child, ended } = await startLong(db, destination)
    child.kill("SIGINT")
    await ended
    const { status, stderr } = run(db, ["copy", "--conflict", "overwrite", many, destination])
    assert.strictEqual(status, 2)
    assert.include(stderr, idOf(db))
  })

  it.skipIf(!isRoot)("names what it may not read, and retry copies just that", () => {
    const { db, destination, place } = fresh()
    const root = path.join(place, "source")
    makeTree(root, 1, 40)
    const denied = ["f3", "f7", "f11"].map((name) => path.join(root, "d0", name))
    for (const file of denied) fs.chmodSync(file, 0o000)
    const first = run(db, ["copy", root, destination], nobody)
    assert.strictEqual(first.status, 1, first.stderr)
    for (const file of denied) assert.include(first.stderr, path.basename(file))
    const id = /fanout jobs retry (\w+)/.exec(first.stderr)?.[1] ?? ""
    const show = run(db, ["jobs", "show", id], nobody)
    assert.lengthOf(show.stdout.split("\n").filter((line) => line.startsWith("failed ")), 3)
    assert.include(show.stdout, "EACCES")
    for (const file of denied) fs.chmodSync(file, 0o644)
    const retried = run(db, ["jobs", "retry", id], nobody)
    assert.strictEqual(retried.status, 0, retried.stderr)
    assertSame(root, destination)
  })
})

describe("fanout jobs", () => {
  it("works on what is queued until it is told to stop", async () => {
    const { db, destination } = fresh()
    const { child, ended } = await startLong(db, destination)
    child.kill("SIGKILL")
    await ended
    const worker = start(db, ["jobs", "work", "--json"])
    while (jobsOf(db)[0]?.["state"] !== "Completed") {
      assert.isNull(worker.child.exitCode)
      await setTimeout(50)
    }
    worker.child.kill("SIGTERM")
    assert.strictEqual((await worker.ended).code, 143)
    assertSame(many, destination)
  })

  it("cancels what a killed process has left, and sweeps it", async () => {
    const { db, destination } = fresh()
    const { child, ended } = await startLong(db, destination)
    child.kill("SIGKILL")
    await ended
    const id = idOf(db)
    const { status, stdout } = run(db, ["jobs", "cancel", id])
    assert.deepStrictEqual({ status, stdout }, { status: 0, stdout: `Job ${id} is cancelled.\n` })
    const again = run(db, ["jobs", "resume", id])
    assert.strictEqual(again.status, 2)
    assert.include(again.stderr, `Job ${id} is cancelled`)
  })

  it("asks all jobs that are named, also behind one that it can't be asked", async () => {
    const { copy, db } = await startSlow()
    const id = idOf(db)
    const { status, stderr, stdout } = run(db, ["jobs", "pause", "nope", id])
    assert.strictEqual(status, 2)
    assert.include(stderr, "\"nope\"")
    assert.include(stdout, `Job ${id} is paused`)
    assert.strictEqual((await copy.ended).code, 4)
  })

  it("asks for what only another program can run, and says so", async () => {
    const { copy, db } = await startSlow()
    const id = idOf(db)
    const call = (name: string) => {
      const database = new DatabaseSync(db)
      database.prepare("update fanout_jobs set name = ?").run(name)
      database.close()
    }
    const asked = (...args: ReadonlyArray<string>) => {
      const { status, stderr, stdout } = run(db, ["jobs", ...args, id])
      assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
      return stdout.trimEnd().split("\n").at(-1)
    }
    asked("pause")
    await copy.ended
    call("club/Mailing")
    const waits = "Its own program runs it: this command has no code for it."

    assert.strictEqual(asked("show"), `Let it go on with \`fanout jobs resume ${id}\`; its own program runs it then.`)
    assert.strictEqual(asked("resume"), `Job ${id} is queued, at most 8 MiB/s. ${waits}`)
    assert.strictEqual(asked("show"), waits)
    assert.strictEqual(
      asked("set", "--bandwidth", "off", "--priority", "high"),
      `Job ${id} is queued, high priority. ${waits}`
    )
    call("copy")
    assert.match(String(asked("resume")), /is done: 1 copied/)
  })

  it("has another program try again what failed of its job", () => {
    const { db, place } = fresh()
    const [left, right] = [path.join(place, "left"), path.join(place, "right")]
    for (const file of [left, right]) fs.writeFileSync(file, file)
    run(db, ["verify", left, right])
    const database = new DatabaseSync(db)
    database.exec("update fanout_jobs set name = 'club/Mailing'")
    database.close()
    const id = idOf(db)

    const { stdout } = run(db, ["jobs", "show", id])
    const retried = run(db, ["jobs", "retry", id])

    assert.include(stdout, `Have what failed tried again with \`fanout jobs retry ${id}\`; its own program does that.`)
    assert.deepStrictEqual(retried, {
      status: 0,
      stdout: `Job ${id} is queued. Its own program runs it: this command has no code for it.\n`,
      stderr: ""
    })
  })

  it("leaves what it has no code for to be cleaned up after by its own program", () => {
    const { db, destination } = fresh()
    run(db, ["copy", source, destination])
    const database = new DatabaseSync(db)
    database.exec("update fanout_jobs set name = 'other', tag = 'Failed', state = json_set(state, '$._tag', 'Failed')")
    database.close()
    const id = idOf(db)
    const asked = `Job ${id} is queued (cancelling). Its program cleans up after it when it runs next; ` +
      `if it is gone: fanout jobs cancel --force ${id}.\n`
    assert.deepInclude(run(db, ["jobs", "cancel", id]), { status: 0, stdout: asked })
    assert.include(run(db, ["jobs", "list"]).stdout, "cancelling")
    assert.deepStrictEqual(run(db, ["jobs", "cancel", "--force", id]), {
      status: 0,
      stdout: `Job ${id} is cancelled.\n`,
      stderr: `Nothing has cleaned up after job ${id}: its temporary files and unfinished uploads stay. ` +
        "The same work can be started anew.\n"
    })
    assert.include(run(db, ["jobs", "cancel", "--force", id]).stderr, "it can't be abandoned")
    assert.include(run(db, ["jobs", "prune", "--older-than", "0s"]).stdout, "Removed 1 job.")
  })
})

describe("mistakes", () => {
  const corrupt = () => {
    const file = path.join(folder, "corrupt.db")
    fs.writeFileSync(file, "not a database, and longer than the head of one\n".repeat(100))
    return file
  }
  const newer = () => {
    const file = path.join(folder, "newer.db")
    run(file, ["jobs", "list"])
    const database = new DatabaseSync(file)
    database.exec("insert into fanout_migrations (migration_id, name) values (99, 'of tomorrow')")
    database.close()
    return file
  }
  const patterns = (text: string) => {
    const file = path.join(fresh().place, "patterns")
    fs.writeFileSync(file, text)
    return file
  }
  const table: ReadonlyArray<readonly [title: string, args: () => ReadonlyArray<string>, code: number, names: string]> =
    [
      ["an unknown flag", () => ["copy", "--nope", "a", "b"], 2, "--nope"],
      ["an unknown command", () => ["copi"], 2, "copi"],
      ["no destination", () => ["copy", "a"], 2, "\"a\""],
      ["nothing to copy", () => ["copy"], 2, "SRC... DEST"],
      ["an unknown conflict mode", () => ["copy", "--conflict", "ask", "a", "b"], 2, "ask"],
      ["no tasks at all", () => ["copy", "--concurrency", "0", "a", "b"], 2, "--concurrency"],
      ["nothing to exclude", () => ["copy", "--exclude", "", "a", "b"], 2, "--exclude: \"\" is no rule"],
      ["nothing to include", () => ["copy", "--exclude=a", "--include=", "a", "b"], 2, "--include: \"!\" is no rule"],
      ["an include alone", () => ["copy", "--include", "*.jpg", "a", "b"], 2, "--exclude '*'"],
      ["a comment to exclude", () => ["copy", "--exclude", "#a\u001b", "a", "b"], 2, "\\#"],
      ["patterns of no file", () => ["copy", "--exclude-from", "no-file", "a", "b"], 2, "no-file\": it does not exist"],
      ["patterns of a folder", () => ["copy", "--exclude-from", folder, "a", "b"], 2, `${folder}": it is a folder`],
      ["patterns without an end", () => ["copy", "--exclude-from", "/dev/zero", "a", "b"], 2, "1 MiB"],
      ["patterns of an object", () => ["copy", "--exclude-from", "s3://k:secret@b", "a", "b"], 2, "\"s3://…@b\" is an"],
      ["what is no text", () => ["copy", "--exclude-from", patterns("a\0"), "a", "b"], 2, "zero byte"],
      ["-T with two sources", () => ["copy", "-T", "a", "b", "c"], 2, "-T"],
      ["a missing source", () => ["copy", path.join(folder, "no\u001bne"), path.join(folder, "d")], 2, "no\\x1bne"],
      ["a copy into itself", () => ["copy", source, path.join(source, "d1")], 2, "d1"],
      ["a copy onto itself", () => ["copy", "-T", source, source], 2, "source"],
      ["an unknown job", () => ["jobs", "show", "nope"], 2, "fanout jobs list"],
      ["an unknown job to resume", () => ["jobs", "resume", "nope"], 2, "\"nope\""],
      ["a duration that is none", () => ["jobs", "prune", "--older-than", "soon"], 2, "30d"],
      ["a database without a name", () => ["jobs", "list", "--db", ""], 2, "--db"],
      ["a database that is none", () => ["jobs", "list", "--db", corrupt()], 3, "--db"],
      ["a newer database", () => ["jobs", "list", "--db", newer()], 3, "schema 99"],
      ["a database that is a folder", () => ["jobs", "list", "--db", folder], 3, "FANOUT_DB"],
      ["a database below a file", () => ["jobs", "list", "--db", path.join(corrupt(), "x/jobs.db")], 3, "FANOUT_DB"]
    ]

  it.each(table)("%s: a sentence and a code", (_, args, code, names) => {
    const { db } = fresh()
    const { status, stderr, stdout } = run(db, args())
    assert.deepStrictEqual({ status, stdout }, { status: code, stdout: "" }, stderr)
    assert.include(stderr, names)
    assert.notMatch(stderr, /^\s+at |\.ts:\d|Error:/m)
    assert.isAtMost(stderr.trim().split("\n").length, 4)
    assert.notInclude(stderr, "\u001b")
  })
})

describe("the working folder", () => {
  it("is no folder of another name once it is gone", () => {
    const { db, place } = fresh()
    fs.mkdirSync(path.join(place, "gone (deleted)"))
    fs.writeFileSync(path.join(place, "gone (deleted)/x"), "of another folder")
    const gone = (...args: ReadonlyArray<string>) => {
      const script = "mkdir gone && cd gone && rmdir ../gone && exec \"$@\""
      return spawnSync("sh", ["-c", script, "sh", ...commandLine(args).flat()], {
        cwd: place,
        encoding: "utf8",
        env: env(db)
      })
    }
    const { status, stderr, stdout } = gone("hash", "x")
    assert.deepStrictEqual({ status, stdout }, { status: 2, stdout: "" }, stderr)
    assert.include(stderr, "is gone")
    assert.strictEqual(gone("hash", path.join(place, "gone (deleted)/x")).status, 0)
  })
})

describe("the database", () => {
  it("is found from where the command runs, and refused where its name is not UTF-8", () => {
    const { place } = fresh()
    const inFolder = (name: string) => {
      const script = `mkdir -p "$(printf '${name}')" && cd "$(printf '${name}')" && exec "$@"`
      const args = commandLine(["jobs", "list", "--db", "state/jobs.db"]).flat()
      const { status, stderr } = spawnSync("sh", ["-c", script, "sh", ...args], { cwd: place, encoding: "utf8" })
      return { status, stderr }
    }
    assert.deepStrictEqual(inFolder("a"), { status: 0, stderr: "" })
    assert.isTrue(fs.existsSync(path.join(place, "a/state/jobs.db")))
    const { status, stderr } = inFolder("b\\377")
    assert.strictEqual(status, 2)
    assert.include(stderr, `"${place}/b\\xff/state/jobs.db", is not UTF-8`)
    assert.lengthOf(fs.readdirSync(place), 2)
  })
})

describe("fanout", () => {
  it("tells its version", () => {
    const { db } = fresh()
    assert.match(run(db, ["--version"]).stdout, /^fanout v\d+\.\d+\.\d+\n$/)
    assert.match(run(db, ["--version", "--db", db]).stdout, /^fanout v\d+\.\d+\.\d+\n$/)
  })

  it.each([["-v"], ["--version"], ["--completions", "bash"]])(
    "refuses %s beside a command, which it would leave out",
    (...flag) => {
      const { db, place } = fresh()
      const { status, stderr, stdout } = run(db, ["copy", ...flag, source, path.join(place, "copy")])
      assert.deepStrictEqual({ status, stdout }, { status: 2, stdout: "" })
      assert.include(stderr, `Unrecognized flag: ${flag[0]} in command fanout copy`)
    }
  )

  it("takes no name of a file for the value of a flag", () => {
    const { db, place } = fresh()
    for (const name of ["no", "1"]) fs.writeFileSync(path.join(place, name), name)
    const at = (...args: ReadonlyArray<string>) =>
      spawnSync(...commandLine(args), { cwd: place, encoding: "utf8", env: env(db) })
    assert.strictEqual(at("delete", "--dry-run", "no", "1").status, 0)
    assert.isTrue(fs.existsSync(path.join(place, "1")))
    assert.strictEqual(at("delete", "--quiet", "1", "no").status, 0)
    assert.isFalse(["1", "no"].some((name) => fs.existsSync(path.join(place, name))))
  })

  it("tells how it is used", () => {
    const { db } = fresh()
    const { status, stdout } = run(db, ["copy", "--help"])
    assert.strictEqual(status, 0)
    assert.include(stdout, "fanout copy Photos /mnt/backup")
    assert.include(stdout, "fanout/jobs.db in XDG_STATE_HOME or ~/.local/state")
    assert.include(run(db, ["hash", "--help"]).stdout, "Print nothing but checksums and what went wrong")
    assert.include(run(db, ["metadata", "--help"]).stdout, "Print nothing but records and what went wrong")
  })

  it("stops to show what nobody reads, while the work goes on", async () => {
    const { copy, db } = await startSlow()
    const watch = start(db, ["jobs", "watch", "--json", idOf(db).slice(0, 8)])
    watch.child.stdout.once("data", () => watch.child.stdout.destroy())
    const { code, stderr } = await watch.ended
    assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" })
    assert.isNull(copy.child.exitCode, "the copy ended too soon")
    assert.strictEqual((await copy.ended).code, 0)
  })

  it.skipIf(!fs.existsSync("/dev/full"))(
    "fails where its output can't be written, and not where nobody reads it",
    () => {
      const { db } = fresh()
      run(db, ["copy", source, path.join(path.dirname(db), "copy")])
      const to = (where: string) =>
        spawnSync("sh", ["-c", `{ "$@"; echo $? >&2; } ${where}`, "sh", ...commandLine(["jobs", "list"]).flat()], {
          encoding: "utf8",
          env: env(db)
        })
      assert.match(to("> /dev/full").stderr, /^fanout: the output can't be written: .*ENOSPC.*\n3\n$/)
      assert.strictEqual(to("| true").stderr, "0\n")
    }
  )

  it.each(["bash", "zsh", "fish"])("completes in %s", (shell) => {
    const { db } = fresh()
    assert.include(run(db, ["--completions", shell]).stdout, "--conflict".slice(2))
  })

  it.skipIf(spawnSync("bash", ["--version"]).status !== 0)("completes files and ids where these are expected", () => {
    const { db, place } = fresh()
    // Whoever completes has the command in PATH.
    fs.symlinkSync(command[1], path.join(place, "fanout"))
    const variables = { ...env(db), FANOUT_DB: db, PATH: `${place}:${process.env["PATH"]}` }
    fs.writeFileSync(path.join(place, "completions"), run(db, ["--completions", "bash"]).stdout)
    const complete = (...words: ReadonlyArray<string>) => {
      const script = `. ./completions; COMP_WORDS=(fanout "$@"); COMP_CWORD=$#; COMP_LINE="fanout $*"
        COMP_POINT=\${#COMP_LINE}; _fanout fanout "\${COMP_WORDS[$#]}" "\${COMP_WORDS[$#-1]}"; echo "\${COMPREPLY[*]}"`
      return spawnSync("bash", ["-c", script, "bash", ...words], { cwd: place, encoding: "utf8", env: variables })
        .stdout
        .trim()
    }
    assert.strictEqual(complete("copy", "com"), "completions")
    assert.strictEqual(complete("copy", "a", "com"), "completions")
    assert.strictEqual(complete("copy", "--db", "com"), "completions")
    assert.strictEqual(complete("copy", "--no"), "--no-target-directory")
    run(db, ["copy", path.join(place, "completions"), path.join(place, "copied")])
    const id = run(db, ["jobs", "list", "--ids"]).stdout.trim()
    assert.strictEqual(complete("jobs", "show", ""), id)
    assert.strictEqual(complete("jobs", "logs", id.slice(0, 3)), id)
    assert.strictEqual(complete("jobs", "pause", ""), "")
    assert.strictEqual(complete("jobs", "list", "--state", "que"), "queued")
  })
})
