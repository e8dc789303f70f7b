import { assert, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { afterAll } from "vitest"
import { command, commandLine, runCommand, until, watched } from "./command.ts"

const home = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-look-"))
afterAll(() => fs.rmSync(home, { recursive: true, force: true }))

const hasTerminal = spawnSync("script", ["--version"]).error === undefined

/** A folder of its own, with a database and what is to be copied. */
const place = (name: string, files: number, bytes: number) => {
  const folder = path.join(home, name)
  fs.mkdirSync(path.join(folder, "from"), { recursive: true })
  for (let n = 0; n < files; n++) fs.writeFileSync(path.join(folder, "from", `file-${n}`), Buffer.alloc(bytes, n))
  const env = { ...process.env, FANOUT_DB: path.join(folder, "jobs.db") }
  return {
    folder,
    from: path.join(folder, "from"),
    run: (...args: ReadonlyArray<string>) => runCommand(args, { env }),
    start: (...args: ReadonlyArray<string>) =>
      watched(spawn(...commandLine(args), { env, stdio: ["ignore", "pipe", "pipe"] }))
  }
}

/** Has a slow copy be under way, and gives its id. */
const copying = async ({ folder, from, run, start }: ReturnType<typeof place>, ...more: ReadonlyArray<string>) => {
  const copy = start("copy", from, path.join(folder, "to"), "--bandwidth", "100KB", ...more)
  const list = () => run("jobs", "list").stdout
  await until(() => list().includes("running"))
  return { copy, id: list().split("\n")[1]?.split(" ")[0] ?? "" }
}

describe("fanout jobs", () => {
  it("tells of a job whose process was killed, and does not wait for it", async () => {
    const at = place("killed", 20, 100_000)
    const { copy, id } = await copying(at)
    const watch = at.start("jobs", "watch", id)
    copy.child.kill("SIGKILL")
    await copy.ended
    assert.match(at.run("jobs", "list").stdout, new RegExp(`^${id} +process gone .*copy from → ${at.folder}/to$`, "m"))
    const show = at.run("jobs", "show", id).stdout
    assert.match(show, /^state {5}running, but its process is gone$/m)
    const way = `Go on with \`fanout jobs resume ${id}\`, or with the same command again.`
    assert.include(show, way)
    for (const { code, stderr } of [await watch.ended, await at.start("jobs", "watch", id).ended]) {
      assert.strictEqual(code, 4)
      assert.match(stderr, /is running, but its process is gone\. So far: /)
      assert.include(stderr, way)
    }
    assert.strictEqual(at.run("jobs", "set", id, "--bandwidth", "off").status, 0)
    assert.strictEqual(at.run("jobs", "resume", id).status, 0)
    assert.lengthOf(fs.readdirSync(path.join(at.folder, "to")), 20)
  })

  it("leaves a job that it follows to itself when it is stopped", async () => {
    const at = place("followed", 10, 100_000)
    const { copy, id } = await copying(at)
    const watch = at.start("jobs", "watch", id, "--progress-every", "1s")
    await until(() => watch.output.stderr.includes("file"))
    watch.child.kill("SIGINT")
    assert.strictEqual((await watch.ended).code, 130)
    assert.match(at.run("jobs", "list").stdout, new RegExp(`^${id} +running `, "m"))
    copy.child.kill("SIGINT")
    assert.strictEqual((await copy.ended).code, 130)
  })

  it.skipIf(!hasTerminal)("shows all jobs on a terminal, and asks of them what keys stand for", async () => {
    const at = place("board", 20, 100_000)
    const { copy, id } = await copying(at)
    const line = [process.execPath, ...command.slice(1), "jobs", "watch"].map((word) => `'${word}'`).join(" ")
    const board = watched(spawn("script", ["-qec", `stty cols 100 rows 12; ${line}`, "/dev/null"], {
      env: { ...process.env, FANOUT_DB: path.join(at.folder, "jobs.db") },
      stdio: ["pipe", "pipe", "pipe"]
    }))
    const shows = (text: string) => until(() => board.output.stdout.includes(text))
    await shows("copy from → ")
    await shows("1 running")
    board.child.stdin.write("p")
    await shows(`Job ${id} was asked to pause.`)
    await shows("1 paused")
    assert.strictEqual((await copy.ended).code, 4)
    board.child.stdin.write("C")
    await shows(`Cancel job ${id}? C again does.`)
    assert.match(at.run("jobs", "list").stdout, new RegExp(`^${id} +paused `, "m"))
    board.child.stdin.write("C")
    await shows("Nothing runs")
    board.child.stdin.write("q")
    assert.strictEqual((await board.ended).code, 0)
    // The terminal is as it was.
    assert.isTrue(board.output.stdout.endsWith("\u001b[?25h\u001b[?1049l"))
    assert.match(at.run("jobs", "list").stdout, new RegExp(`^${id} +cancelled `, "m"))
  })

  it("follows all jobs without a terminal", async () => {
    const at = place("followed all", 20, 100_000)
    const watch = at.start("jobs", "watch")
    const { copy, id } = await copying(at)
    await until(() => watch.output.stdout.includes(`Job ${id} (copy) is running.`))
    copy.child.kill("SIGINT")
    await copy.ended
    await until(() => watch.output.stdout.includes(`Job ${id} (copy) is paused.`))
    watch.child.kill("SIGINT")
    assert.strictEqual((await watch.ended).code, 130)
  })

  it("says how far a job is now and then where no terminal shows it, and when it is asked to", async () => {
    const at = place("reminded", 10, 100_000)
    const line = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}\d+ files? · .*/gm
    const { copy } = await copying(at, "--progress-every", "1s")
    await until(() => (copy.output.stderr.match(line) ?? []).length >= 2)
    copy.child.kill("SIGINT")
    await copy.ended
    for (const [every, ...more] of [["5m"], ["5m", "--quiet"]] as const) {
      const other = place(`asked ${more.length}`, 10, 100_000)
      const { copy } = await copying(other, "--progress-every", every, ...more)
      copy.child.kill("SIGUSR1")
      await (more.length === 0 ? until(() => copy.output.stderr.search(line) >= 0) : setTimeout(300))
      copy.child.kill("SIGINT")
      const { stderr } = await copy.ended
      assert.lengthOf(stderr.match(line) ?? [], more.length === 0 ? 1 : 0)
    }
  })

  it("counts failures by their causes, and names the newest", () => {
    const at = place("failed", 30, 10)
    const to = path.join(at.folder, "to")
    fs.cpSync(at.from, to, { recursive: true })
    const copy = at.run("copy", at.from, to, "-T", "--conflict", "error", "--json")
    assert.strictEqual(copy.status, 1)
    const { id }: { readonly id: string } = JSON.parse(copy.stdout.split("\n")[0] ?? "")
    const show = at.run("jobs", "show", id).stdout.split("\n")
    assert.lengthOf(show.filter((line) => line.startsWith("failed ")), 20)
    assert.lengthOf(show.filter((line) => /^cause {5}30: \w+, such as: .*file-/.test(line)), 1)
    assert.include(show, `and 10 more: \`fanout jobs show --all ${id}\` names them all`)
    const all = at.run("jobs", "show", "--all", id).stdout
    assert.lengthOf(all.match(/^failed /gm) ?? [], 30)
    assert.notInclude(all, "more:")
    const few = at.run("jobs", "show", id, "--limit", "2").stdout
    assert.lengthOf(few.match(/^failed /gm) ?? [], 2)
    const [job = "", ...items] = at.run("jobs", "show", id, "--json").stdout.trim().split("\n")
    assert.lengthOf(items, 30)
    assert.nestedPropertyVal(JSON.parse(job), "causes[0].count", 30)
    assert.match(show.join("\n"), /^ended {5}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d, after \d/m)
  })

  it("lists the jobs of some states and types", () => {
    const at = place("filtered", 2, 10)
    at.run("copy", at.from, path.join(at.folder, "to"))
    at.run("hash", at.from)
    at.run("copy", at.from, path.join(at.folder, "to"), "--conflict", "error")
    at.run("copy", path.join(at.from, "file-0"), path.join(at.folder, "to", "from"), "--conflict", "error")
    const list = (...args: ReadonlyArray<string>) =>
      at.run("jobs", "list", ...args).stdout.trim().split("\n").slice(1).map((line) => line.split(/ +/)[1])
    assert.lengthOf(list(), 4)
    assert.lengthOf(list("--name", "hash"), 1)
    assert.lengthOf(list("--name", "hash", "--name", "copy"), 4)
    assert.deepStrictEqual(list("--state", "failed", "--name", "hash"), [])
    assert.notInclude(list("--state", "failed"), "done")
    assert.strictEqual(list("--state", "failed").length + list("--state", "done").length, 4)
    assert.include(at.run("jobs", "list", "--state", "queued").stdout, "There are no such jobs")
    assert.lengthOf(list("--since", "1h"), 4)
    assert.include(at.run("jobs", "list", "--schedule", "nightly").stdout, "There are no such jobs")
    const ids = at.run("jobs", "list", "--ids", "--name", "hash").stdout
    assert.match(ids, /^\w{12}\n$/)
    assert.include(at.run("jobs", "list", "--parent", ids.trim()).stdout, "There are no such jobs")
    assert.include(at.run("jobs", "list", "--parent", "nobody").stderr, "nobody")
    assert.strictEqual(at.run("jobs", "list", "--state", "nope").status, 2)
  })

  it("tells how much of a large file is copied", async () => {
    const at = place("large", 1, 12_000_000)
    const args = ["copy", path.join(at.from, "file-0"), path.join(at.folder, "to"), "--bandwidth", "2MB"]
    const copy = at.start(...args, "--progress-every", "1s")
    await until(() => / · \d.* of 11\.4 MiB · .* · [1-9]\d? % · .* left/.test(copy.output.stderr))
    const list = at.run("jobs", "list").stdout
    const id = list.split("\n")[1]?.split(" ")[0] ?? ""
    assert.match(list, / running +[1-9]\d? % /)
    copy.child.kill("SIGINT")
    await copy.ended
    assert.match(at.run("jobs", "show", id).stdout, /^tasks +1 +≤ .* ms +≤ .* ms +≤ .* s +≤ .* s +Copy/m)
    const { tasks } = JSON.parse(at.run("jobs", "show", id, "--json").stdout.split("\n")[0] ?? "")
    assert.hasAllKeys(tasks, ["upperMillis", "kinds", "pools", "threads", "workers"])
    assert.deepInclude(tasks.kinds[0], { attempts: 1 })
    at.run("jobs", "set", id, "--bandwidth", "off")
    assert.strictEqual(at.run(...args).status, 0)
  })

  it("finds a job by how its id begins", () => {
    const at = place("prefix", 1, 1)
    for (let n = 0; n < 2; n++) at.run("copy", at.from, path.join(at.folder, `to ${n}`))
    const [id = ""] = at.run("jobs", "list").stdout.split("\n")[1]?.split(" ") ?? []
    assert.include(at.run("jobs", "show", id.slice(0, 9)).stdout, id)
    const { status, stderr } = at.run("jobs", "show", "~")
    assert.strictEqual(status, 2)
    assert.include(stderr, "fanout jobs list")
  })
})
