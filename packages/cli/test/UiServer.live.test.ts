import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import { JobStore } from "@fanout/core/JobStore"
import { layerSqlite } from "@fanout/core/node"
import * as Effect from "effect/Effect"
import { spawn, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import * as fs from "node:fs"
import * as http from "node:http"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { text } from "node:stream/consumers"
import { setTimeout } from "node:timers/promises"
import { afterAll, afterEach } from "vitest"
import { startStopwatch } from "../../../test/stopwatch.ts"
import type * as Api from "../src/api/Api.ts"
import { addressIn, commandLine, letIn, runCommand, until, watched } from "./command.ts"

const hasTerminal = spawnSync("script", ["--version"]).error === undefined
const home = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-ui-"))
const running = new Set<ReturnType<typeof watched>>()

afterEach(async () => {
  for (const { child, ended } of running) {
    child.kill("SIGKILL")
    await ended
  }
  running.clear()
})
afterAll(() => fs.rmSync(home, { recursive: true, force: true }))

/** A folder of its own, with a database. */
const place = (name: string) => {
  const folder = path.join(home, name)
  fs.mkdirSync(folder)
  const database = path.join(folder, "jobs.db")
  // A display that does not exist: nothing may be opened.
  const env = { ...process.env, FANOUT_DB: database, DISPLAY: "", WAYLAND_DISPLAY: "" }
  return {
    folder,
    database,
    run: (...args: ReadonlyArray<string>) => runCommand(args, { env }),
    start: (args: ReadonlyArray<string>, more: NodeJS.ProcessEnv = {}) => {
      const command = watched(
        spawn(...commandLine(args), { env: { ...env, ...more }, stdio: ["ignore", "pipe", "pipe"] })
      )
      running.add(command)
      void command.ended.then(() => running.delete(command))
      return command
    }
  }
}

interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

/** Sends what a browser would not let a page send: any header, any path. */
const send = (
  port: number,
  { body = "", ...options }: http.RequestOptions & { readonly body?: string }
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    http.request({ host: "127.0.0.1", port, agent: false, ...options }, (response) => {
      void text(response).then((body) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    }).on("error", reject).end(body)
  })

/** Starts `fanout ui`, and gives what its address leads to. */
const serving = async (at: ReturnType<typeof place>, ...args: ReadonlyArray<string>) => {
  const server = at.start(["ui", "--no-open", "--port", "0", ...args])
  const address = () => addressIn(server.output.stdout)
  await until(() => address() !== undefined || server.child.exitCode !== null)
  const { authorization, origin } = await letIn(address() ?? assert.fail(server.output.stderr))
  const [, port] = /^http:\/\/127\.0\.0\.1:(\d+)$/.exec(origin) ?? assert.fail(origin)
  const token = authorization.replace("Bearer ", "")
  const json = async (path: string, body?: unknown) => {
    const answer = await send(Number(port), {
      path,
      headers: { authorization, "content-type": "application/json" },
      ...body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }
    })
    return { ...answer, body: answer.body === "" ? undefined : JSON.parse(answer.body) }
  }
  return { ...server, address, port: Number(port), token, authorization, json }
}

/** Memory that a process has now, in MiB. */
const memoryOf = (pid = 0): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024

/** Copies files of these names, and fails for all of them. */
const failingCopy = (at: ReturnType<typeof place>, names: ReadonlyArray<string>): string => {
  const from = path.join(at.folder, "from")
  fs.mkdirSync(from)
  for (const name of names) {
    fs.writeFileSync(path.join(from, name), "x")
    fs.writeFileSync(path.join(at.folder, name), "y")
  }
  const { stdout } = at.run(
    "copy",
    ...names.map((name) => path.join(from, name)),
    at.folder,
    "--conflict",
    "error",
    "--json"
  )
  return /"id":"(\w+)"/.exec(stdout)?.[1] ?? assert.fail(stdout)
}

describe("fanout ui", () => {
  it("shows jobs to whom has the token, and ends with Ctrl-C", async () => {
    const at = place("shown")
    const names = [
      "plain",
      "<img src=x onerror=alert(1)>",
      "a\u202etxt.exe",
      "</script><script>alert(1)</script>".replaceAll("/", ":")
    ]
    const id = failingCopy(at, names)
    const { authorization, child, ended, json, output, port } = await serving(at)
    await until(() => output.stdout.includes("`fanout jobs work`"))
    const { body: { jobs } } = await json("/api/jobs")
    assert.deepInclude(jobs[0], { id, state: "CompletedWithErrors", stateText: "some failed" })
    const { body: { progress } } = await json(`/api/jobs/${id}`)
    const [[cause, count] = assert.fail()] = Object.entries(progress.causes)
    assert.strictEqual(count, names.length)
    const items = await json(`/api/jobs/${id}/items?cause=${encodeURIComponent(cause)}`)
    assert.match(items.headers["content-type"] ?? "", /^application\/json/)
    const keys = items.body.items.map(({ key }: Api.Item) => path.basename(key)).toSorted()
    assert.deepStrictEqual(keys, names.map((name) => name.replace("\u202e", "\\u202e")).toSorted())
    const { body: about } = await json("/api/about")
    assert.deepInclude(about, { database: at.database, isReadOnly: false, works: false })
    assert.include(about.note, "`fanout jobs work`")
    assert.isTrue((await json("/api/doctor")).body.checks.some(({ what }: { what: string }) => what === "database"))
    // A page that listens keeps the command from nothing.
    const events = http.get({ host: "127.0.0.1", port, path: "/api/events", headers: { authorization } })
    await once(events.on("error", () => {}), "response")
    child.kill("SIGINT")
    assert.strictEqual((await ended).code, 130)
    assert.strictEqual(output.stderr, "")
  })

  it("refuses other hosts, other pages, and who has no token", async () => {
    const { authorization, port, token } = await serving(place("refused"))
    const host = `127.0.0.1:${port}`
    const ask = (headers: http.OutgoingHttpHeaders, path = "/api/jobs") =>
      send(port, { path, headers: { host, authorization, ...headers } }).then(({ status }) => status)
    for (const own of [host, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`]) {
      assert.strictEqual(await ask({ host: own }), 200, own)
    }
    // A name of another site that leads here by now, also with the token.
    for (const other of ["evil.example", `evil.example:${port}`, "127.0.0.1", `127.0.0.1.evil.example:${port}`]) {
      assert.strictEqual(await ask({ host: other }), 421, other)
      assert.strictEqual(await ask({ host: other }, "/"), 421, other)
    }
    const bare = net.connect(port, "127.0.0.1", () => bare.end("GET /api/jobs HTTP/1.0\r\n\r\n"))
    assert.match(await text(bare), /^HTTP\/1\.1 421 /)
    // A page on another port of this machine is another page, and so is none (`null`).
    for (const origin of ["http://127.0.0.1:1", `http://localhost:${port}`, "https://evil.example", "null"]) {
      assert.strictEqual(await ask({ origin }), 403, origin)
    }
    for (const site of ["cross-site", "same-site"]) assert.strictEqual(await ask({ "sec-fetch-site": site }), 403)
    assert.strictEqual(await ask({ origin: `http://${host}`, "sec-fetch-site": "same-origin" }), 200)
    assert.strictEqual(await ask({ "sec-fetch-site": "none" }), 200)

    // As nobody writes them: what is looked up has to be what is checked.
    const paths = [
      "/api/jobs",
      "//api/jobs",
      "/./api/jobs",
      "/API/jobs",
      "/%61pi/jobs",
      "/app.js/../api/jobs",
      "/?/api/jobs"
    ]
    for (const path of paths) {
      const { body } = await send(port, { path, headers: { host } })
      assert.notInclude(body, "counts", path)
    }
    assert.strictEqual((await send(port, { path: `http://${host}/api/jobs`, headers: { host } })).status, 400)
    assert.strictEqual((await send(port, { path: "/api/nothing", headers: { host, authorization } })).status, 404)
    assert.strictEqual((await send(port, { path: "/", method: "POST", headers: { host } })).status, 404)
    const wrong = [
      `Bearer ${token}x`,
      `Bearer ${token.slice(0, -1)}`,
      `bearer ${token}`,
      token,
      "",
      ...Array.from({ length: 995 }, () => `Bearer ${randomBytes(24).toString("base64url")}`)
    ]
    const statuses = new Set<number>()
    for (const authorization of wrong) statuses.add(await ask({ authorization }))
    assert.deepStrictEqual([...statuses], [401])
    assert.strictEqual(Buffer.from(token, "base64url").length * 8, 192)
    assert.strictEqual(await ask({}), 200)
  })

  it("lets a browser do little with any answer", async () => {
    const { authorization, port } = await serving(place("headers"))
    const answers = await Promise.all([
      send(port, { path: "/" }),
      send(port, { path: "/app.js" }),
      send(port, { path: "/api/jobs" }),
      send(port, { path: "/api/jobs", headers: { authorization } }),
      send(port, { path: "/api/nothing", headers: { authorization } }),
      send(port, { path: "/", headers: { host: "evil.example" } })
    ])
    for (const { headers } of answers) {
      assert.deepInclude(headers, {
        "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
          "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-store"
      })
      assert.notProperty(headers, "set-cookie")
      assert.notProperty(headers, "access-control-allow-origin")
    }
  })

  it("does not read a body that is too large, and keeps its memory", async () => {
    const { authorization, child, json, port } = await serving(place("large"))
    await json("/api/jobs")
    const before = memoryOf(child.pid)
    const gibibyte = 1024 ** 3
    const flood = (headers: http.OutgoingHttpHeaders): Promise<number | string> =>
      new Promise((resolve) => {
        const request = http.request({
          host: "127.0.0.1",
          port,
          agent: false,
          method: "POST",
          path: "/api/jobs/actions",
          headers: { authorization, "content-type": "application/json", ...headers }
        })
        const chunk = Buffer.alloc(1024 * 1024)
        const pour = () => {
          while (!request.destroyed && request.write(chunk));
        }
        request.on("drain", pour).on("response", ({ statusCode = 0 }) => {
          resolve(statusCode)
          request.destroy()
        }).on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "?"))
        request.flushHeaders()
        pour()
      })
    const elapsed = startStopwatch()
    for (let n = 0; n < 5; n++) {
      // Where the answer comes while the client still writes, its system may tell the client of that only.
      assert.include([413, "EPIPE", "ECONNRESET"], await flood({ "content-length": gibibyte }))
      assert.include([411, "EPIPE", "ECONNRESET"], await flood({}))
    }
    // Who asks before whether the body is wanted is told.
    assert.strictEqual(
      (await send(port, {
        method: "POST",
        path: "/api/jobs/actions",
        headers: { authorization, expect: "100-continue", "content-length": gibibyte }
      })).status,
      413
    )
    assert.isBelow(elapsed(), 10_000)
    assert.isBelow(memoryOf(child.pid) - before, 50)
    assert.strictEqual((await json("/api/jobs")).status, 200)
  })

  it("serves others while many read slowly, or send slowly", async () => {
    const { authorization, child, json, port } = await serving(place("slow"))
    const head = (path: string) =>
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: ${authorization}\r\n`
    const sockets = await Promise.all(Array.from({ length: 200 }, async (_, n) => {
      const socket = net.connect(port, "127.0.0.1").on("error", () => {})
      await once(socket, "connect")
      // Some listen and never read, some never end what they ask for.
      socket.write(n % 2 === 0 ? `${head("/api/events")}\r\n` : head("/api/jobs"))
      return socket.pause()
    }))
    const before = memoryOf(child.pid)
    const elapsed = startStopwatch()
    assert.strictEqual((await json("/api/jobs")).status, 200)
    assert.isBelow(elapsed(), 2000)
    assert.isBelow(memoryOf(child.pid) - before, 100)
    // There is an end to how many connections there are.
    const more = Array.from({ length: 200 }, () => net.connect(port, "127.0.0.1").on("error", () => {}))
    await Promise.race([...more.map((socket) => once(socket, "close")), setTimeout(10_000)])
    assert.isTrue(more.some(({ closed }) => closed))
    for (const socket of [...sockets, ...more]) socket.destroy()
    await until(() => sockets.every(({ closed }) => closed))
    assert.strictEqual((await json("/api/jobs")).status, 200)
  })

  it("tells pages of what other processes do, and carries out what nobody else does", async () => {
    const at = place("events")
    fs.mkdirSync(path.join(at.folder, "from"))
    for (let n = 0; n < 30; n++) fs.writeFileSync(path.join(at.folder, "from", `file-${n}`), Buffer.alloc(100_000))
    const { authorization, json, port } = await serving(at)
    const response = await fetch(`http://127.0.0.1:${port}/api/events`, { headers: { authorization } })
    let seen = ""
    void (async () => {
      const decoder = new TextDecoder()
      for await (const bytes of response.body ?? []) seen += decoder.decode(bytes)
    })().catch(() => {})
    const count = () => seen.split("\n\n").filter((event) => /^data: \{"at":\d+\}$/m.test(event)).length
    await until(() => count() === 1)
    const copy = at.start(["copy", path.join(at.folder, "from"), path.join(at.folder, "to"), "--bandwidth", "300KB"])
    await until(() => count() >= 4)
    const { body: { jobs: [job] } } = await json("/api/jobs?state=Running")
    assert.deepInclude(job, { actions: ["pause", "cancel"], isOwnerDead: false })
    await json("/api/jobs/actions", { action: "pause", ids: [job.id] })
    assert.strictEqual((await copy.ended).code, 4)

    await json("/api/jobs/actions", { action: "resume", ids: [job.id] })
    const stateOf = async () => (await json(`/api/jobs/${job.id}`)).body.state
    assert.strictEqual(await stateOf(), "Queued")
    await json("/api/jobs/actions", { action: "cancel", ids: [job.id] })
    for (let n = 0; n < 200 && await stateOf() !== "Cancelled"; n++) await setTimeout(50)
    assert.strictEqual(await stateOf(), "Cancelled")
  })

  it("changes nothing where jobs are only shown", async () => {
    const at = place("only")
    const id = failingCopy(at, ["a"])
    const { json, output } = await serving(at, "--read-only")
    assert.include(output.stdout, "to see jobs")
    assert.isTrue((await json("/api/about")).body.isReadOnly)
    const requests = {
      actions: { action: "retry", ids: [id] },
      prune: { olderThanMillis: 0 },
      [`${id}/retry`]: { cause: "EEXIST" },
      [`${id}/settings`]: {},
      "../schedules/actions": { action: "run", names: ["nightly"] }
    }
    for (const [path, body] of Object.entries(requests)) {
      const answer = await json(new URL(`http://any/api/jobs/${path}`).pathname, body)
      assert.deepInclude({ ...answer.body, status: answer.status }, { status: 403, _tag: "ReadOnly" })
    }
    assert.strictEqual((await json(`/api/jobs/${id}`)).body.state, "CompletedWithErrors")
  })

  it("takes another port where its own is taken, unless it was named", async () => {
    const taken = http.createServer().listen(4180, "127.0.0.1")
    await Promise.race([once(taken, "listening"), once(taken, "error")])
    const at = place("port")
    const other = at.start(["ui", "--no-open"])
    await until(() => addressIn(other.output.stdout) !== undefined)
    assert.match(addressIn(other.output.stdout) ?? "", /^http:\/\/127\.0\.0\.1:(?!4180)\d+\/#code=\S+$/)
    const { code, stderr } = await at.start(["ui", "--no-open", "--port", "4180"]).ended
    assert.strictEqual(code, 2)
    assert.include(stderr, "Port 4180 can't be had: another program has it.")
    other.child.kill("SIGTERM")
    assert.strictEqual((await other.ended).code, 143)
    taken.close()
  })

  it("opens a browser where there is a display, with an address that is of use once", async () => {
    const at = place("opened")
    const bin = path.join(at.folder, "bin")
    fs.mkdirSync(bin)
    const opened = path.join(at.folder, "opened")
    fs.writeFileSync(path.join(bin, "xdg-open"), `#!/bin/sh\necho "$1" > "${opened}"\n`, { mode: 0o755 })
    const { child, output } = at.start(["ui", "--port", "0"], { PATH: `${bin}:${process.env["PATH"]}`, DISPLAY: ":9" })
    const asked = () => fs.existsSync(opened) ? fs.readFileSync(opened, "utf8").trim() : ""
    await until(() => asked() !== "")
    // Everybody on the machine sees what a program is started with, so that is of use once only.
    const own = asked()
    assert.notStrictEqual(own, addressIn(output.stdout))
    const { authorization, origin } = await letIn(own)
    const status = async (authorization: string) =>
      (await fetch(`${origin}/api/jobs`, { headers: { authorization } })).status
    assert.strictEqual(await status(authorization), 200)
    assert.strictEqual(await status((await letIn(own)).authorization), 401)
    // The one for people is not used by that.
    assert.strictEqual(await status((await letIn(addressIn(output.stdout) ?? "")).authorization), 200)
    child.kill("SIGINT")
  })

  it("lets in by an address once, which is told to its user alone", async () => {
    const at = place("once")
    const server = at.start(["ui", "--no-open", "--port", "0"])
    await until(() => addressIn(server.output.stdout) !== undefined)
    const first = addressIn(server.output.stdout) ?? ""
    const { hash, port } = new URL(first)
    const file = fs.readdirSync(at.folder).find((name) => name.includes(".page-")) ?? ""
    const modeOf = () => fs.statSync(path.join(at.folder, file)).mode & 0o777
    assert.strictEqual(modeOf(), 0o600)

    const code = hash.replace("#code=", "")
    assert.strictEqual(Buffer.from(code, "base64url").length * 8, 192)
    const ask = (headers: http.OutgoingHttpHeaders = {}, path = "/session", method = "POST") =>
      send(Number(port), {
        method,
        path,
        headers: { host: `127.0.0.1:${port}`, authorization: `Bearer ${code}`, ...headers }
      })
    // Neither another page nor another name is let in, nor does that use the code, which is no token.
    for (
      const [refused, status] of [
        [ask({ host: `evil.example:${port}` }), 421],
        [ask({ origin: "https://evil.example" }), 403],
        [ask({ origin: "null" }), 403],
        [ask({ "sec-fetch-site": "cross-site" }), 403],
        [ask({ authorization: `Bearer ${code.slice(1)}` }), 401],
        [ask({ authorization: "" }), 401],
        [ask({ authorization: code }), 401],
        [ask({}, "/session", "GET"), 401],
        [ask({}, "/session?"), 401],
        [ask({}, "/api/jobs", "GET"), 401]
      ] as const
    ) assert.strictEqual((await refused).status, status)

    const answers = await Promise.all([ask(), ask(), ask()])
    assert.sameMembers(answers.map(({ status }) => status), [200, 401, 401])
    const { token }: { readonly token: string } = JSON.parse(answers.find(({ status }) => status === 200)?.body ?? "")
    assert.strictEqual((await ask({ authorization: `Bearer ${token}` }, "/api/jobs", "GET")).status, 200)
    // What a browser keeps of the address is of no use, and the next browser has another one.
    assert.strictEqual((await ask({}, "/api/jobs", "GET")).status, 401)
    const second = addressIn(server.output.stdout) ?? ""
    assert.notStrictEqual(second, first)
    assert.strictEqual(modeOf(), 0o600)
    assert.strictEqual((await letIn(second)).authorization, `Bearer ${token}`)
    server.child.kill("SIGINT")
    const { stderr, stdout } = await server.ended
    for (const secret of [code, token]) assert.notInclude(stdout + stderr, secret)
    assert.notInclude(stdout, "#code=")
    assert.deepStrictEqual(fs.readdirSync(at.folder), ["jobs.db"])
  })

  it.skipIf(!hasTerminal)("tells the address on a terminal, and the next one when that was used", async () => {
    const at = place("terminal")
    const [program, args] = commandLine(["ui", "--no-open", "--port", "0"])
    const line = [program, ...args].map((word) => `'${word}'`).join(" ")
    const shown = watched(
      spawn("script", ["-qec", line, "/dev/null"], {
        env: { ...process.env, FANOUT_DB: at.database },
        stdio: ["pipe", "pipe", "pipe"]
      })
    )
    const told = (text: string) =>
      new RegExp(`${text} (http://127\\.0\\.0\\.1:\\d+/#code=\\S+)`).exec(shown.output.stdout)?.[1]
    await until(() => told("Jobs are shown at") !== undefined)
    assert.lengthOf(fs.readdirSync(at.folder).filter((name) => name.includes(".page-")), 0)
    await letIn(told("Jobs are shown at") ?? "")
    await until(() => told("Another browser is let in by") !== undefined)
    const { authorization, origin } = await letIn(told("Another browser is let in by") ?? "")
    assert.strictEqual((await fetch(`${origin}/api/jobs`, { headers: { authorization } })).status, 200)
    shown.child.stdin.write("\u0003")
    assert.strictEqual((await shown.ended).code, 130)
  })

  it("gives the first of 10,000 jobs, and a page of a million failures, at once", async () => {
    const at = place("many")
    const id = failingCopy(at, ["a"])
    const more = JobStore.use((store) =>
      Effect.flatMap(
        store.get(JobId.make(id)),
        (one) =>
          store.insertAll(Array.from({ length: 10_000 }, (_, n) =>
            one.with({ id: JobId.make(`job${n}`), createdAt: one.createdAt - n, revision: 0 })))
      )
    )
    await Effect.runPromise(Effect.provide(more, layerSqlite({ filename: at.database })))
    const database = new DatabaseSync(at.database)
    const columns = database.prepare("select name from pragma_table_info('fanout_outcomes')").all()
      .map(({ name }) => String(name))
    const replaced: Readonly<Record<string, string>> = {
      seq: "one.seq + n",
      cursor: "'more' || n",
      key: "'/folder/file ' || n"
    }
    database.exec(`
      pragma synchronous = off;
      pragma cache_size = -400000;
      with recursive n(n) as (select 1 union all select n + 1 from n where n < 1000000)
      insert into fanout_outcomes (${columns.join(", ")})
        select ${columns.map((name) => replaced[name] ?? `one.${name}`).join(", ")}
        from n, (select * from fanout_outcomes where tag = 'Failed' limit 1) as one;
    `)
    database.close()
    const timed = async ({ json }: Awaited<ReturnType<typeof serving>>, path: string) => {
      const elapsed = startStopwatch()
      const { body, status } = await json(path)
      assert.strictEqual(status, 200, path)
      return { millis: elapsed(), body }
    }
    // The shortest of some, here and below, since the machine may have other work. Each server is a new one.
    let server = await serving(at)
    let first = await timed(server, "/api/jobs")
    assert.lengthOf(first.body.jobs, 50)
    assert.strictEqual(first.body.counts.CompletedWithErrors, 10_001)
    for (let n = 0; n < 4 && first.millis >= 500; n++) {
      server = await serving(at)
      first = await timed(server, "/api/jobs")
    }
    assert.isBelow(first.millis, 500)
    const [{ cause: only, seq: zero }] = (await timed(server, `/api/jobs/${id}/items?limit=1`)).body.items
    for (const cause of ["", `&cause=${only}`]) {
      for (const depth of [0, 500_000, 999_800]) {
        let millis = Infinity
        for (let n = 0; n < 40 && millis >= 50; n++) {
          const page = await timed(server, `/api/jobs/${id}/items?limit=100&after=${Number(zero) + depth}${cause}`)
          assert.lengthOf(page.body.items, 100)
          millis = Math.min(millis, page.millis)
        }
        assert.isBelow(millis, 50, `${depth}${cause}`)
      }
    }
  })
})
