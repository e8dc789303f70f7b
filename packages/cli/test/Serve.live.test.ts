import { afterAll, assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { commandLine, letIn, runCommand, until, watched } from "./command.ts"

const home = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-serve-"))
afterAll(() => fs.rmSync(home, { recursive: true, force: true }))

/** A service with a database of its own. */
const serving = async (
  name: string,
  variables: Readonly<Record<string, string>> = {},
  flags: ReadonlyArray<string> = []
) => {
  const folder = path.join(home, name)
  fs.mkdirSync(folder)
  const env = { ...process.env, FANOUT_DB: path.join(folder, "jobs.db"), ...variables }
  const service = watched(
    spawn(...commandLine(["serve", "--port", "0", ...flags]), { env, stdio: ["ignore", "pipe", "pipe"] })
  )
  const says = /^The address of the page of jobs is in (.*)$|^\{"v":1,"type":"page","file":"(.*)"\}$/m
  await until(() => says.test(service.output.stdout))
  const [, plain, file = plain ?? ""] = says.exec(service.output.stdout) ?? []
  assert.match(file, new RegExp(`^${folder}/jobs\\.db\\.page-\\d+$`))
  const { authorization, origin } = await letIn(fs.readFileSync(file, "utf8").trim())
  return {
    folder,
    service,
    file,
    ask: (path: string, options: RequestInit = {}) =>
      fetch(`${origin}${path}`, { ...options, headers: { authorization, ...options.headers } }),
    origin,
    run: (...args: ReadonlyArray<string>) => runCommand(args, { env })
  }
}

describe("fanout serve", () => {
  it("tells the address of jobs in memory where state is kept, and not in the working folder", async () => {
    const cwd = path.join(home, "working")
    fs.mkdirSync(cwd)
    const env = { ...process.env, XDG_STATE_HOME: path.join(home, "xdg") }
    const service = watched(
      spawn(...commandLine(["--db", ":memory:", "serve", "--port", "0"]), {
        cwd,
        env,
        stdio: ["ignore", "pipe", "pipe"]
      })
    )
    await until(() => service.output.stdout.includes(".page-"))
    assert.deepStrictEqual(fs.readdirSync(cwd), [])
    assert.match(service.output.stdout, new RegExp(`is in ${home}/xdg/fanout/jobs\\.db\\.page-\\d+$`, "m"))
    service.child.kill("SIGTERM")
    await service.ended
  })

  it("runs what is queued from the page, tells of it, and hands it back when it is stopped", async () => {
    const at = await serving("queue")
    const from = path.join(at.folder, "from")
    fs.mkdirSync(from)
    for (let n = 0; n < 10; n++) fs.writeFileSync(path.join(from, `file-${n}`), Buffer.alloc(100_000, n))
    const copy = watched(
      spawn(...commandLine(["copy", from, path.join(at.folder, "to"), "--bandwidth", "100KB"]), {
        env: { ...process.env, FANOUT_DB: path.join(at.folder, "jobs.db") },
        stdio: ["ignore", "pipe", "pipe"]
      })
    )
    await until(() => at.run("jobs", "list").stdout.includes("running"))
    const id = at.run("jobs", "list", "--ids").stdout.trim()
    at.run("jobs", "pause", id)
    await copy.ended
    const { works }: { readonly works: boolean } = JSON.parse(await (await at.ask("/api/about")).text())
    assert.isTrue(works)

    const body = JSON.stringify({ action: "resume", ids: [id] })
    const headers = { "content-type": "application/json" }
    assert.strictEqual((await at.ask("/api/jobs/actions", { method: "POST", body, headers })).status, 200)
    await until(() => at.service.output.stdout.includes(`Job ${id} (copy) is running.`))
    at.run("jobs", "set", id, "--bandwidth", "off")
    await until(() => new RegExp(`^\\d{4}-\\d\\d-\\d\\d .* ${id} .*10 copied`, "m").test(at.service.output.stdout))
    assert.lengthOf(fs.readdirSync(path.join(at.folder, "to")), 10)

    at.service.child.kill("SIGTERM")
    assert.strictEqual((await at.service.ended).code, 143)
    assert.isFalse(fs.existsSync(at.file))
  })

  it("tells of each job, also of one that is over in no time", async () => {
    const at = await serving("quick")
    const from = path.join(at.folder, "file")
    fs.writeFileSync(from, "")
    for (const name of ["a", "b", "c", "d", "e"]) at.run("copy", from, path.join(at.folder, name))
    await setTimeout(1500)
    for (const id of at.run("jobs", "list", "--ids").stdout.trim().split("\n")) {
      assert.match(at.service.output.stdout, new RegExp(`Job ${id} \\(\\w+\\) is done`))
    }
    at.service.child.kill("SIGTERM")
    await at.service.ended
  })

  it("answers whoever asks for its health, and keeps its address to its user", async () => {
    const at = await serving("health")
    const health = await fetch(`${at.origin}/healthz`)
    assert.deepStrictEqual([health.status, await health.text()], [200, "ok\n"])
    assert.strictEqual((await fetch(`${at.origin}/api/jobs`)).status, 401)
    assert.strictEqual(fs.statSync(at.file).mode & 0o777, 0o600)
    assert.notMatch(at.service.output.stdout + at.service.output.stderr, /token|code/)
    at.service.child.kill("SIGINT")
    assert.strictEqual((await at.service.ended).code, 130)
  })

  it.each([
    ["--quiet", /^The address of the page of jobs is in .*\n$/],
    ["--json", /^\{"v":1,"type":"page","file":".*"\}\n$/]
  ])("tells where its page is with %s, too, and nothing else", async (flag, told) => {
    const at = await serving(flag, {}, [flag])
    assert.strictEqual((await at.ask("/api/jobs")).status, 200)
    at.service.child.kill("SIGTERM")
    const { stderr, stdout } = await at.service.ended
    assert.match(stdout, told)
    assert.strictEqual(stderr, "")
  })

  it("tells a service manager when it is ready", async () => {
    const programs = path.join(home, "programs")
    const told = path.join(home, "told")
    fs.mkdirSync(programs)
    fs.writeFileSync(path.join(programs, "systemd-notify"), `#!/bin/sh\necho "$@" >>${told}\n`, { mode: 0o755 })
    const at = await serving("notify", {
      NOTIFY_SOCKET: "/run/nowhere",
      PATH: `${programs}:${process.env["PATH"]}`
    })
    const pid = at.service.child.pid
    await until(() => fs.existsSync(told) && fs.readFileSync(told, "utf8") === `--pid=${pid} --ready\n`)
    at.service.child.kill("SIGTERM")
    assert.strictEqual((await at.service.ended).code, 143)
  })

  it("names a port that is taken", async () => {
    const at = await serving("taken")
    const { status, stderr } = at.run("serve", "--port", new URL(at.origin).port)
    assert.strictEqual(status, 2)
    assert.match(stderr, /^Port \d+ can't be had: another program has it\. Name another one with --port\.$/m)
    at.service.child.kill("SIGINT")
    await at.service.ended
  })
})
