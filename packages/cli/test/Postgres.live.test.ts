import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { onTestFinished } from "vitest"
import { startStopwatch } from "../../../test/stopwatch.ts"
import { programs } from "../../core/test/postgresProcess.ts"
import { PostgresDatabase, PostgresServer } from "../../core/test/postgresServer.ts"
import { addressIn, commandLine, letIn, runCommand, until, watched } from "./command.ts"

const home = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-postgres-"))
afterAll(() => fs.rmSync(home, { recursive: true, force: true }))

describe.skipIf(programs === undefined)("fanout with jobs on Postgres", () => {
  let database: PostgresDatabase
  beforeAll(async () => {
    database = await PostgresDatabase.open()
  })

  /** A schema of its own, and a folder with some files. */
  const place = async (name: string, of = database) => {
    const from = path.join(home, name, "from")
    fs.mkdirSync(from, { recursive: true })
    for (let n = 0; n < 20; n++) fs.writeFileSync(path.join(from, `file-${n}`), Buffer.alloc(100_000, n))
    const address = of.addressOf(await Effect.runPromise(of.schema))
    const env = { ...process.env, FANOUT_DB: address, XDG_STATE_HOME: path.join(home, name, "state") }
    return {
      address,
      from,
      to: path.join(home, name, "to"),
      run: (...args: ReadonlyArray<string>) => runCommand(args, { env }),
      start: (...args: ReadonlyArray<string>) =>
        watched(spawn(...commandLine(args), { env, stdio: ["ignore", "pipe", "pipe"] }))
    }
  }

  it("runs a job in one process that another one looks at, stops, and goes on with", async () => {
    const at = await place("two")
    const args = ["copy", at.from, at.to, "--preserve", "all"]
    const copy = at.start(...args, "--bandwidth", "100KB")
    await until(() => at.run("jobs", "list").stdout.includes("running"))
    const [, line = ""] = at.run("jobs", "list").stdout.split("\n")
    const [id = ""] = line.split(" ")
    assert.match(line, /running .* copy from → /)
    assert.strictEqual(at.run("jobs", "pause", id).status, 0)
    assert.strictEqual((await copy.ended).code, 4)
    assert.strictEqual(at.run("jobs", "set", id, "--bandwidth", "off").status, 0)
    assert.strictEqual(at.run(...args).status, 0)
    assert.lengthOf(fs.readdirSync(at.to), 20)
    assert.match(at.run("jobs", "show", id).stdout, /^state {5}done$/m)
    assert.match(at.run("doctor").stdout, /^ok +database +postgres:\/\/.*, reached$/m)
  })

  it("goes on after a kill", async () => {
    const at = await place("killed")
    const copy = at.start("copy", at.from, at.to, "--bandwidth", "100KB")
    await until(() => at.run("jobs", "list").stdout.includes("running"))
    copy.child.kill("SIGKILL")
    await copy.ended
    const [id = ""] = at.run("jobs", "list", "--ids").stdout.split("\n")
    assert.include(at.run("jobs", "list").stdout, "process gone")
    at.run("jobs", "set", id, "--bandwidth", "off")
    assert.strictEqual(at.run("jobs", "resume", id).status, 0)
    assert.lengthOf(fs.readdirSync(at.to), 20)
  })

  it("shows jobs on a page, and runs commands at times of a clock", async () => {
    const at = await place("page")
    assert.strictEqual(at.run("copy", at.from, at.to).status, 0)
    const service = at.start("serve", "--port", "0")
    await until(() => /is in .*jobs\.db\.page-\d+$/m.test(service.output.stdout))
    const { authorization, origin } = await letIn(addressIn(service.output.stdout) ?? "")
    const read = async (path: string) => (await fetch(`${origin}/api/${path}`, { headers: { authorization } })).text()
    assert.match(await read("about"), /"database":"postgres:\/\//)
    assert.match(await read("jobs"), /"title":"copy from → /)
    assert.strictEqual((await fetch(`${origin}/healthz`)).status, 200)

    fs.writeFileSync(path.join(at.from, "more"), "more")
    const add = at.run("schedule", "add", "s", "--cron", "* * * * * *", "--", "copy", "-T", at.from, at.to)
    assert.strictEqual(add.status, 0)
    await until(() => fs.existsSync(path.join(at.to, "more")))
    assert.strictEqual(at.run("schedule", "remove", "s").status, 0)
    await until(() => at.run("jobs", "list", "--schedule", "s").stdout.includes("done"))
    service.child.kill("SIGTERM")
    assert.strictEqual((await service.ended).code, 143)
  })

  const list = (address: string) =>
    spawnSync(...commandLine(["jobs", "list"]), {
      env: { ...process.env, FANOUT_DB: address, FANOUT_DEBUG: "1" },
      encoding: "utf8"
    })

  it("says what is wrong with the server, and nothing of a password", () => {
    const nobody = `postgres://me:s3cret@127.0.0.1:1/jobs`
    const { status, stderr } = list(nobody)
    assert.strictEqual(status, 3)
    const [wait, ...rest] = stderr.trim().split("\n")
    const why = "The job store failed to connect: its server can't be reached: connect ECONNREFUSED 127.0.0.1:1 " +
      "(postgres://me@127.0.0.1:1/jobs)."
    assert.strictEqual(wait, `${why} Trying for 10 seconds.`)
    assert.match(rest.at(-1) ?? "", /^The job store .* Check its name and port.*--db/)
    assert.notInclude(stderr, "s3cret")
    const given = spawnSync(...commandLine(["jobs", "list", "--db", nobody]), { encoding: "utf8" })
    assert.strictEqual(given.status, 2)
    assert.include(given.stderr, "PGPASSWORD")
    assert.notInclude(given.stderr, "s3cret")
  })

  it.each([
    ["nowhere", "user=fanout", /database "nowhere" does not exist .*`createdb`/],
    ["postgres", "user=nobody", /role "nobody" does not exist .*PGPASSWORD/],
    ["postgres", "user=fanout&sslmode=require", /The server does not support TLS/],
    ["postgres", "user=fanout&host=nowhere.invalid", /ENOTFOUND nowhere\.invalid/]
  ])("waits for nothing that can't be: %s?%s", (name, rest, told) => {
    const address = `postgres:///${name}?host=${encodeURIComponent(database.folder)}&${rest}&password=s3cret`
    const elapsed = startStopwatch()
    const { status, stderr } = list(address)
    assert.isBelow(elapsed(), 8000)
    assert.strictEqual(status, 3)
    assert.match(stderr, told)
    assert.notInclude(stderr, "Trying")
    assert.notInclude(stderr, "s3cret")
  })

  it("goes on once the server has started", async () => {
    const server = await PostgresServer.start()
    onTestFinished(() => server.stop())
    const at = await place("starts", server)
    server.halt()
    const listed = at.start("jobs", "list")
    await until(() => listed.output.stderr.includes("Trying for 10 seconds"))
    server.resume()
    assert.deepInclude(await listed.ended, {
      code: 0,
      stdout: "There are no jobs yet. `fanout copy SRC DEST` starts one.\n"
    })
  })
})
