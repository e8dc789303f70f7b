import { assert, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { setTimeout } from "node:timers/promises"
import { afterAll } from "vitest"
import { commandLine, runCommand, until, watched } from "./command.ts"

const home = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-schedule-"))
afterAll(() => fs.rmSync(home, { recursive: true, force: true }))

// Before the first command: Node asks once for the zone of a thread.
process.env["TZ"] = "Europe/Berlin"

const hasTerminal = spawnSync("script", ["--version"]).error === undefined

const second = 1000

/** Fields of lines of NDJSON that are looked at. */
interface Line {
  readonly id: string
  readonly state: string
  readonly isOwnerDead: boolean
  readonly schedule: string
  readonly tick: number
  readonly name: string
  readonly overlap: string
  readonly failures: number | null
  readonly priority: string
  readonly payload: unknown
  readonly next: ReadonlyArray<number>
  readonly pausedAt: number | null
  readonly pausedBy: string | null
  readonly last: { readonly state: string } | null
}

/** A folder of its own, with a database and what is to be copied. */
const place = (name: string, files = 3, bytes = 10) => {
  const folder = path.join(home, name)
  const from = path.join(folder, "from")
  const to = path.join(folder, "to")
  const db = path.join(folder, "jobs.db")
  fs.mkdirSync(from, { recursive: true })
  for (let n = 0; n < files; n++) fs.writeFileSync(path.join(from, `file-${n}`), Buffer.alloc(bytes, n))
  const env = { ...process.env, FANOUT_DB: db }
  const run = (...args: ReadonlyArray<string>) => runCommand(args, { env, folder })
  return {
    folder,
    from,
    to,
    run,
    /** Adds a schedule, which has to be right. */
    add: (...args: ReadonlyArray<string>) => {
      const { status, stderr, stdout } = run("schedule", "add", ...args)
      assert.strictEqual(status, 0, stderr)
      return stdout
    },
    json: (...args: ReadonlyArray<string>): ReadonlyArray<Line> =>
      run(...args, "--json").stdout.trim().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line)),
    /** A terminal so many columns wide. */
    wide: (columns: number, ...args: ReadonlyArray<string>) => {
      const line = `stty cols ${columns}; ${commandLine(args).flat().map((arg) => `'${arg}'`).join(" ")}`
      const { stdout } = spawnSync("script", ["-qec", line, "/dev/null"], { env, cwd: folder, encoding: "utf8" })
      return stdout.replaceAll("\r", "").trimEnd().split("\n")
    },
    /** Has the next tick of a schedule have been so long ago, as if the machine had been off. */
    miss: (name: string, millis: number) => {
      const opened = new DatabaseSync(db)
      const nextAt = Math.floor((Date.now() - millis) / second) * second
      opened.prepare(
        "update fanout_schedules set next_at = ?, schedule = json_set(schedule, '$.nextAt', ?) where name = ?"
      ).run(nextAt, nextAt, name)
      opened.close()
    },
    /** Runs what is due, in another folder than that which the schedules were added in. */
    work: () => watched(spawn(...commandLine(["jobs", "work"]), { env, cwd: "/", stdio: ["ignore", "pipe", "pipe"] }))
  }
}

type Place = ReturnType<typeof place>

/** Does something while a process runs what is due. */
const working = async (at: Place, during: () => Promise<void>) => {
  const work = at.work()
  try {
    await during()
  } finally {
    work.child.kill("SIGTERM")
    await work.ended
  }
}

const states = (at: Place, name: string): ReadonlyArray<string> =>
  at.json("jobs", "list", "--name", name).map(({ state }) => state)

describe("fanout schedule", () => {
  it("keeps a command, and tells when it runs", () => {
    const at = place("kept")
    assert.match(at.run("schedule", "list").stdout, /^There are no schedules\./)
    const added = at.add("nightly", "--cron", "0 3 * * *", "--jitter", "10m", "--", "copy", "-T", "from", "to")
    assert.match(added, /^Schedule "nightly" is added. It runs next at \d{4}-\d\d-\d\d 03:0\d/)
    const command = ["copy", "-T", "from", "to"]
    const again = at.add("nightly", "--cron", "@daily", "--failures", "2", "--priority", "low", "--", ...command)
    assert.match(again, /^Schedule "nightly" is replaced. It runs next at \d{4}-\d\d-\d\d 00:00, if/)
    at.add("sums", "--cron", "30 4 * * MON", "--tz", "UTC", "--overlap", "queue", "--", "hash", "from", "-o", "sums")
    const show = at.run("schedule", "show", "nightly", "--next", "5").stdout
    assert.include(show, `runs      copy -T from to, in "${at.folder}"`)
    assert.include(show, "times     @daily (Europe/Berlin)")
    assert.include(show, "priority  low\n")
    assert.lengthOf(show.match(/^next {6}\d{4}-\d\d-\d\d 00:00$/gm) ?? [], 5)
    const [nightly, sums] = at.json("schedule", "list")
    assert.deepInclude(nightly, { name: "nightly", failures: 2, priority: "low", overlap: "skip", last: null })
    assert.deepEqual(sums?.payload, { args: ["hash", "from", "-o", "sums"], folder: at.folder })
    assert.lengthOf(sums?.next ?? [], 1)
    assert.match(
      at.run("schedule", "remove", "sums").stdout,
      /^Schedule "sums" \(scheduled hash from .*\) is removed\./
    )
    assert.lengthOf(at.json("schedule", "list"), 1)
  })

  it.skipIf(!hasTerminal)("lists in 40, 80 and 120 columns", () => {
    const at = place("wide")
    at.add(
      "nightly",
      "--cron",
      "0 3 * * *",
      "--",
      "copy",
      "-T",
      "from",
      "a-folder-with-a-rather-long-name-for-a-copy-of-it"
    )
    at.run("schedule", "run", "nightly")
    for (const columns of [40, 80, 120]) {
      const [header = "", line = ""] = at.wide(columns, "schedule", "list")
      assert.isAtMost(Math.max(header.length, line.length), columns)
      assert.match(line, /^nightly {2}\d{4}-\d\d-\d\d 03:00 {2}.*copy -T/)
      assert.strictEqual(header.includes("LAST"), columns > 40)
    }
  })

  it("tells at once what is wrong with a command, and starts nothing", () => {
    const at = place("wrong")
    const why = (cron: string, ...args: ReadonlyArray<string>) => {
      const { status, stderr } = at.run("schedule", "add", "s", "--cron", cron, "--", ...args)
      assert.strictEqual(status, 2)
      return stderr
    }
    assert.include(why("61 * * * *", "copy", "from", "to"), "the minute is \"61\"")
    assert.include(why("@never", "copy", "from", "to"), "\"@never\" is none of @hourly")
    assert.include(why("@daily", "copy", "gone", "to"), `There is nothing at "${at.folder}/gone"`)
    assert.include(why("@daily", "cop", "from", "to"), "Did you mean this?")
    assert.include(why("@daily", "copy", "--cnflict", "skip", "from", "to"), "--conflict")
    assert.include(why("@daily", "jobs", "prune", "--older-than", "0s"), "Unknown subcommand \"jobs\"")
    assert.include(why("@daily", "delete", "from"), "add --yes")
    assert.include(why("@daily", "hash", "from"), "--output")
    assert.include(why("@daily", "copy", "--dry-run", "from", "to"), "--dry-run")
    assert.include(why("@daily", "copy", "--concurrency=2", "from", "to"), "--concurrency")
    assert.deepEqual(at.json("schedule", "list"), [])
    assert.deepEqual(at.json("jobs", "list"), [])
    const { status, stderr } = at.run("schedule", "pause", "nightli")
    assert.deepEqual([status, stderr.startsWith("There is no schedule \"nightli\". `fanout")], [2, true])
    at.add("nightly", "--cron", "@daily", "--", "delete", "--yes", "from")
    for (const what of ["show", "pause", "resume", "run", "remove"]) {
      const { status, stderr } = at.run("schedule", what, "nightli")
      assert.deepEqual([status, stderr.trim()], [2, "There is no schedule \"nightli\". Did you mean \"nightly\"?"])
    }
  })

  it("copies what there is at each of its times, in the folder that it was added in", async () => {
    const at = place("often")
    at.add("often", "--cron", "* * * * * *", "--", "copy", "-T", "from", "to")
    await working(at, async () => {
      await until(() => fs.existsSync(path.join(at.to, "file-0")))
      fs.writeFileSync(path.join(at.from, "new"), "new")
      await until(() => fs.existsSync(path.join(at.to, "new")))
      assert.match(
        at.run("schedule", "pause", "often").stdout,
        /starts nothing any more\. It is paused; .*resume often/
      )
      await until(() => !states(at, "scheduled").includes("Running"))
      const before = states(at, "scheduled").length
      await setTimeout(2.5 * second)
      assert.lengthOf(states(at, "scheduled"), before)
      assert.match(at.run("schedule", "list").stdout, /^often {2}paused {2}\d{4}-.* done {3}copy -T from to$/m)
      assert.match(at.run("schedule", "resume", "often").stdout, /goes on\. It runs next at /)
      await until(() => states(at, "scheduled").length > before)
    })
    const [job] = at.json("jobs", "list", "--name", "scheduled")
    assert.strictEqual(job?.schedule, "often")
    assert.strictEqual((job?.tick ?? 1) % second, 0)
  })

  it("starts at once what is not to wait, or says that nobody is there to run it", async () => {
    const at = place("now")
    at.add("sums", "--cron", "@yearly", "--priority", "high", "--", "hash", "from", "-o", "sums.b3")
    const { status, stdout } = at.run("schedule", "run", "sums")
    assert.strictEqual(status, 0)
    assert.match(stdout, /^Job (\w+) of schedule "sums" is started\. No process has taken it yet: `fanout jobs work`/)
    assert.match(at.run("schedule", "run", "sums").stdout, /is not over yet: no other one is started\./)
    const next = at.json("schedule", "show", "sums")[0]?.next
    await working(at, async () => {
      await until(() => states(at, "scheduled").includes("Completed"))
    })
    const jobs = at.json("jobs", "list").map(({ name, priority }) => [name, priority])
    assert.sameDeepMembers(jobs, [["hash", "high"], ["scheduled", "high"]])
    assert.lengthOf(fs.readFileSync(path.join(at.folder, "sums.b3"), "utf8").trim().split("\n"), 3)
    const [after] = at.json("schedule", "show", "sums")
    assert.deepEqual(after?.next, next)
    assert.strictEqual(after?.last?.state, "Completed")
    const [, id = ""] = /^Job (\w+)/.exec(stdout) ?? []
    const child = /^\w+ +done .*└ hash from$/m
    assert.match(at.run("jobs", "list").stdout, child)
    assert.match(at.run("jobs", "show", id).stdout, /^children {2}1 done\nID .*\n\w+ +done +3 .*hash from$/m)
    assert.strictEqual(at.run("hash", "--check", "sums.b3").status, 0)
  })

  it("makes up once for the times at which the machine was off", async () => {
    const at = place("missed")
    // None comes while the test runs.
    const hourly = `${(new Date().getMinutes() + 30) % 60} * * * *`
    at.add("off", "--cron", hourly, "--", "copy", "-T", "from", "to")
    at.add("skips", "--cron", hourly, "--missed", "skip", "--", "copy", "-T", "from", "other")
    for (const name of ["off", "skips"]) at.miss(name, 50 * 3600 * second)
    assert.match(at.run("schedule", "list").stdout, /^off {4}due now/m)
    await working(at, async () => {
      await until(() => states(at, "scheduled").includes("Completed"))
      await setTimeout(second)
    })
    assert.lengthOf(states(at, "scheduled"), 1)
    assert.isTrue(fs.existsSync(at.to))
    assert.isFalse(fs.existsSync(path.join(at.folder, "other")))
    assert.notMatch(at.run("schedule", "list").stdout, /due now/)
  })

  it("goes on with the copy of a process that was killed", async () => {
    const at = place("killed", 20, 100_000)
    at.add("slow", "--cron", "@yearly", "--", "copy", "-T", "from", "to", "--bandwidth", "200KB")
    at.run("schedule", "run", "slow")
    const work = at.work()
    await until(() => fs.existsSync(at.to) && fs.readdirSync(at.to).length > 2)
    work.child.kill("SIGKILL")
    await work.ended
    const [copy] = at.json("jobs", "list", "--name", "copy")
    assert.deepInclude(copy, { state: "Running", isOwnerDead: true })
    await working(at, async () => {
      await until(() => at.json("jobs", "list", "--name", "copy")[0]?.isOwnerDead === false)
      assert.strictEqual(at.run("jobs", "set", copy?.id ?? "", "--bandwidth", "off").status, 0)
      await until(() => states(at, "scheduled").includes("Completed"))
    })
    assert.deepEqual([states(at, "copy"), states(at, "scheduled")], [["Completed"], ["Completed"]])
    assert.lengthOf(fs.readdirSync(at.to), 20)
  })

  it("tries again what is chosen of the job that it has started", () => {
    const at = place("chosen", 4)
    fs.mkdirSync(at.to)
    for (const name of ["file-0", "file-1"]) fs.writeFileSync(path.join(at.to, name), "differs")
    at.add("each", "--cron", "@yearly", "--", "verify", "--ignore", "times", "from", "to")
    const [, id = ""] = /Job (\w+)/.exec(at.run("schedule", "run", "each").stdout) ?? []
    assert.strictEqual(at.run("jobs", "resume", id).status, 1)
    const [child] = at.json("jobs", "list", "--parent", id)
    const show = () => at.run("jobs", "show", child?.id ?? "").stdout
    assert.match(show(), new RegExp(`4 different\\n.*\`fanout jobs retry ${child?.id}\``, "s"))
    fs.cpSync(at.from, at.to, { recursive: true })
    const retried = at.run("jobs", "retry", child?.id ?? "", "--cause", "Missing")
    assert.strictEqual(retried.status, 1)
    assert.include(retried.stderr, `Job ${id} (scheduled) is done, but some of it failed.`)
    assert.match(show(), /2 same, 1 folder, 2 different, .*file-1: 10 bytes in A.*file-0: 10 bytes in A/s)
    assert.include(at.run("jobs", "logs", child?.id ?? "").stdout, "Retried what failed with Missing by its parent")
    assert.strictEqual(at.run("jobs", "retry", child?.id ?? "").status, 0)
    assert.include(show(), "4 same, 1 folder")
  })

  it("cancels the copy of an earlier time, where that is asked for, and begins anew", async () => {
    const at = place("cancels", 20, 100_000)
    const slow = ["--bandwidth", "100KB"]
    at.add("s", "--cron", "*/4 * * * * *", "--overlap", "cancel", "--", "copy", "-T", "from", "to", ...slow)
    await working(at, async () => {
      await until(() => states(at, "copy").filter((state) => state === "Cancelled").length > 1)
    })
    const active = (name: string) => states(at, name).filter((state) => state !== "Cancelled")
    for (const name of ["copy", "scheduled"]) assert.isAtMost(active(name).length, 1)
  })

  it("fails where the source is gone at its time, tells why, and pauses after so many failures", async () => {
    const at = place("gone")
    at.add("s", "--cron", "@yearly", "--failures", "2", "--", "copy", "-T", "from", "to")
    fs.rmSync(at.from, { recursive: true })
    await working(at, async () => {
      for (const n of [1, 2]) {
        at.run("schedule", "run", "s")
        await until(() => states(at, "scheduled").filter((state) => state === "Failed").length === n)
      }
      await until(() => at.json("schedule", "list")[0]?.pausedBy === "failures")
    })
    const show = at.run("schedule", "show", "s").stdout
    assert.match(show, /^state {5}paused: 2 failures, since /m)
    const why = `There is nothing at "${at.from}": check the spelling, or mount what it is on`
    assert.include(show, `reason    ${why}\n`)
    const { id = "" } = at.json("jobs", "list", "--name", "scheduled")[0] ?? {}
    assert.match(at.run("jobs", "show", id).stdout, /^schedule {2}s, \d{4}-\d\d-\d\d /m)
    assert.match(at.run("schedule", "list").stdout, /^s {5}paused: 2 failures {2}.* failed {2}copy/m)
    assert.strictEqual(at.run("schedule", "resume", "s").status, 0)
    assert.strictEqual(at.json("schedule", "list")[0]?.pausedAt, null)
  })
})
