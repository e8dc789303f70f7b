import { afterAll, assert, describe, it } from "@effect/vitest"
import { JobId } from "@fanout/core/JobId"
import { JobStore } from "@fanout/core/JobStore"
import { layerSqlite } from "@fanout/core/node"
import * as Effect from "effect/Effect"
import { SqlClient } from "effect/sql/SqlClient"
import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Readable } from "node:stream"
import { text } from "node:stream/consumers"
import { setTimeout as wait } from "node:timers/promises"
import { programs } from "../packages/core/test/postgresProcess.ts"
import { PostgresDatabase } from "../packages/core/test/postgresServer.ts"
import { isLong } from "./effort.ts"
import { endless, rows } from "./rows.ts"

// Each example is started, killed in the middle and started again, as its own first comment says. What was recorded
// when it was killed is not done again. After that, and after it has failed, it is run three times in a row, in a quick
// run twice. What is to be killed can't end before: something that it needs is held back, or there is much more to do.
const root = path.dirname(import.meta.dirname)
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-examples-"))
// What Node has compiled serves the next process, too.
process.env["NODE_COMPILE_CACHE"] = path.join(root, "node_modules/.cache/compiled")
const running = new Set<ChildProcessByStdio<null, Readable, null>>()

afterAll(() => {
  for (const child of running) child.kill("SIGKILL")
  fs.rmSync(folder, { recursive: true })
})

const start = (program: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) => {
  const command = ["--conditions=@fanout/source", `examples/${program}`, ...args]
  const child = spawn(process.execPath, command, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"]
  })
  running.add(child)
  child.once("exit", () => running.delete(child))
  return child
}

const kill = async (child: ReturnType<typeof start>, signal: NodeJS.Signals = "SIGKILL") => {
  child.kill(signal)
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
}

/** Runs an example to its end and gives what it ended with, and the lines that it has printed. */
const ran = async (program: string, ...args: ReadonlyArray<string>) => {
  const child = start(program, args)
  const [printed] = await Promise.all([text(child.stdout), once(child, "exit")])
  return { code: child.exitCode, lines: printed.trim().split("\n") }
}

/** The same of one that ends well, as many times as there are first lines, and that prints what follows these. */
const agrees = async (
  firsts: ReadonlyArray<string>,
  rest: ReadonlyArray<string>,
  ...command: Parameters<typeof ran>
) => {
  for (const first of isLong ? firsts : firsts.slice(0, 2)) {
    assert.deepStrictEqual(await ran(...command), { code: 0, lines: [first, ...rest] })
  }
}

/** Runs an example that fails, and gives the first line that it has printed. */
const failing = async (...command: Parameters<typeof ran>) => {
  const { code, lines } = await ran(...command)
  assert.strictEqual(code, 1)
  return lines[0]
}

/** Runs statements in a database that no process has open. */
const execute = (file: string, sql: string): void => {
  const database = new DatabaseSync(file)
  database.exec(sql)
  database.close()
}

/** Starts an example and kills it once enough is recorded. Gives what was recorded by then. */
const killed = async <A>(child: ReturnType<typeof start>, recorded: () => ReadonlyArray<A>, enough: number) => {
  while (recorded().length < enough) {
    assert.isNull(child.exitCode, "ended before it could be killed")
    await wait(10)
  }
  await kill(child)
  return recorded()
}

/** Listens on a free port of this machine. */
const listen = async (server: Server): Promise<number> => {
  await once(server.listen(0, "127.0.0.1"), "listening")
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on a port
  return (server.address() as AddressInfo).port
}

/** A port of this machine that nothing listens on. */
const freePort = async (): Promise<number> => {
  const server = createServer()
  const port = await listen(server)
  await once(server.close(), "close")
  return port
}

/** Waits until a service answers at an address. */
const answers = async (child: ReturnType<typeof start>, url: string) => {
  while (!(await fetch(url).then(({ ok }) => ok, () => false))) {
    assert.isNull(child.exitCode, "ended before it was listening")
    await wait(10)
  }
  return child
}

/**
 * A page and the three that it leads to, down to a number of pages. Counts what it is asked for. The last page is not
 * answered before it is released.
 */
const site = async (pages: number, broken: string) => {
  const asked = new Map<string, Array<number>>()
  let isHeld = true
  const server = createServer(({ url = "" }, response) => {
    asked.set(url, [...asked.get(url) ?? [], performance.now()])
    const n = Number(url.slice(1))
    if (isHeld && n === pages - 1) return
    const links = [3 * n + 1, 3 * n + 2, 3 * n + 3].filter((link) => link < pages)
    const html = ["/0", "https://elsewhere.example/", ...links.map((link) => `/${link}#top`)]
    response.statusCode = url === broken ? 500 : 200
    response.end(`<title>Page ${n}</title>${html.map((link) => `<a href="${link}">there</a>`).join("")}`)
  })
  return { asked, server, release: () => isHeld = false, url: `http://127.0.0.1:${await listen(server)}/0` }
}

/** Takes a message at each of so many addresses, but answers of some that it is broken until they are mended. */
const mailboxes = async (count: number, broken: (n: number) => boolean) => {
  const received: Array<string> = []
  let mended = false
  const server = createServer(({ url = "" }, response) => {
    const refused = !mended && broken(Number(url.slice(1)))
    if (!refused) received.push(url)
    response.statusCode = refused ? 500 : 200
    setTimeout(() => response.end(), 5)
  })
  const port = await listen(server)
  const urls = Array.from({ length: count }, (_, n) => `http://127.0.0.1:${port}/${n}`)
  const twice = () => received.length - new Set(received).size
  return { received, server, twice, urls, mend: () => mended = true }
}

describe("examples", () => {
  it("crawl each page once, and not too fast", async () => {
    const { asked, release, server, url } = await site(150, "/149")
    const file = path.join(folder, "crawl.db")
    const fetched = () => rows(file, "SELECT url FROM pages WHERE title IS NOT NULL").map((row) => String(row["url"]))

    const acked = await killed(start("crawl.ts", [url, file]), fetched, 60)
    const killedAt = performance.now()
    release()
    const before = new Map(Array.from(asked, ([url, times]) => [url, times.length]))
    const { lines } = await ran("crawl.ts", url, file)
    server.close()

    assert.isBelow(acked.length, 149)
    assert.deepStrictEqual(lines, ["Going on", "149 pages, 1 failed", `failed: ${new URL("/149", url).href}`])
    const again = acked.map((page) => new URL(page).pathname).filter((page) =>
      asked.get(page)?.length !== before.get(page)
    )
    assert.deepStrictEqual(again, [])
    assert.lengthOf(fetched(), 149)
    // Each process begins 50 a second. At most 16 of these can have been held up, and come at once.
    const times = Array.from(asked.values()).flat().toSorted((left, right) => left - right)
    for (const run of [times.filter((time) => time < killedAt), times.filter((time) => time > killedAt)]) {
      assert.isEmpty(run.filter((time, i) => (run[i + 75] ?? Number.POSITIVE_INFINITY) < time + 1000))
    }
  })

  it("crawl again after a kill, a success and a failure", async () => {
    const { release, server, url } = await site(40, "")
    const file = path.join(folder, "again.db")
    const titles = () => rows(file, "SELECT url, title FROM pages ORDER BY url")
    const fetched = () => titles().filter(({ title }) => title !== null)
    const command = ["crawl.ts", url, file] as const

    await killed(start("crawl.ts", [url, file]), fetched, 10)
    release()
    await agrees(["Going on", "Started", "Started"], ["40 pages, 0 failed"], ...command)
    const before = titles()
    execute(
      file,
      `UPDATE pages SET title = NULL;
      CREATE TRIGGER full BEFORE UPDATE ON pages WHEN new.id = 20 BEGIN SELECT RAISE(ABORT, 'no room'); END`
    )
    const failed = await failing(...command)
    execute(file, "DROP TRIGGER full")
    await agrees(["Started", "Started", "Started"], ["40 pages, 0 failed"], ...command)
    server.close()

    assert.strictEqual(failed, "Started")
    assert.deepStrictEqual(titles(), before)
    assert.lengthOf(before, 40)
  })

  it("backfill each row once, tell the bad ones, and try these again", async () => {
    const [from, to] = ["old.db", "new.db"].map((name) => path.join(folder, name))
    assert(from !== undefined && to !== undefined)
    const database = new DatabaseSync(from)
    database.exec(`
      CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, email TEXT);
      WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 100000)
      INSERT INTO people SELECT n, 'Ann Number ' || n, 'Ann' || n || '@example.org' FROM number;
      UPDATE people SET email = 'nobody' WHERE id = 70007`)
    const count = () => Number(rows(to, "SELECT count(*) AS count FROM person")[0]?.["count"] ?? 0)

    const table =
      "CREATE TABLE person (id INTEGER PRIMARY KEY, first TEXT NOT NULL, last TEXT NOT NULL, email TEXT NOT NULL);"
    execute(
      to,
      `${table}
      CREATE TRIGGER endless BEFORE INSERT ON person WHEN new.id = 50000 BEGIN ${endless} END`
    )
    const recorded = () => rows(to, "SELECT 1 FROM person LIMIT 1")
    await killed(start("backfill.ts", [from, to]), recorded, 1)
    const acked = count()
    // A row that is written twice replaces itself, and would not be seen but here.
    execute(
      to,
      `DROP TRIGGER endless;
      CREATE TRIGGER twice BEFORE INSERT ON person WHEN EXISTS (SELECT 1 FROM person WHERE id = new.id)
      BEGIN SELECT RAISE(ABORT, 'twice'); END`
    )
    const command = ["backfill.ts", from, to] as const
    const refused = ["99999 people, 1 refused", `person 70007: "nobody" is no address`]
    await agrees(["Going on", "Going on", "Going on"], refused, ...command)

    assert.isBelow(acked, 99_999)
    database.exec("UPDATE people SET email = 'ann@example.org' WHERE id = 70007")
    database.close()
    const all = ["100000 people, 0 refused"]
    await agrees(["Going on"], all, ...command)
    assert.strictEqual(count(), 100_000)
    const [mended] = rows(to, "SELECT * FROM person WHERE id = 70007")
    assert.deepInclude(mended, { id: 70_007, first: "Ann", last: "Number 70007", email: "ann@example.org" })
    const full = path.join(folder, "full.db")
    execute(
      full,
      `${table}
      CREATE TRIGGER full BEFORE INSERT ON person WHEN new.id = 60000 BEGIN SELECT RAISE(ABORT, 'no room'); END`
    )
    assert.strictEqual(await failing("backfill.ts", from, full), "Started")
    execute(full, "DROP TRIGGER full")
    await agrees(["Going on", "Going on", "Going on"], all, "backfill.ts", from, full)
    assert.deepStrictEqual(rows(full, "SELECT * FROM person"), rows(to, "SELECT * FROM person"))
  })

  it("convert each row once, by a process that is killed twice", async () => {
    const file = path.join(folder, "people.db")
    execute(
      file,
      `CREATE TABLE old (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
      CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
      WITH RECURSIVE n (i) AS (SELECT 3 UNION ALL SELECT i + 3 FROM n WHERE i < 60000)
      INSERT INTO old SELECT i, 'name ' || i FROM n`
    )
    for (const held of [15_000, 45_000]) {
      execute(file, `CREATE TRIGGER endless BEFORE INSERT ON person WHEN new.id = ${held} BEGIN ${endless} END`)
      const written = () => rows(file, `SELECT 1 FROM person WHERE id > ${held - 12_000} LIMIT 1`)
      await killed(start("etl.ts", [file]), written, 1)
      execute(file, "DROP TRIGGER endless")
    }
    await agrees(["20000 rows", "20000 rows", "20000 rows"], [], "etl.ts", file)
    const same = "SELECT count(*) AS count FROM person JOIN old USING (id) WHERE person.name = upper(old.name)"
    assert.strictEqual(rows(file, same)[0]?.["count"], 20_000)
  })

  it("convert each row once, in partitions, while the helper and the process of the job are killed", async () => {
    const file = path.join(folder, "partitions.db")
    execute(
      file,
      `CREATE TABLE old (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
      CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
      WITH RECURSIVE n (i) AS (SELECT 3 UNION ALL SELECT i + 3 FROM n WHERE i < 90000)
      INSERT INTO old SELECT i, 'name ' || i FROM n;
      CREATE TRIGGER endless BEFORE INSERT ON person WHEN new.id % 10000 = 5001 BEGIN ${endless} END`
    )
    const helper = start("partitions.ts", [file, "help"])
    const written = () => rows(file, "SELECT 1 FROM person LIMIT 1")
    await killed(start("partitions.ts", [file]), written, 1)
    await kill(helper)
    execute(file, "DROP TRIGGER endless")
    const second = start("partitions.ts", [file, "help"])
    await agrees(["30000 rows", "30000 rows", "30000 rows"], [], "partitions.ts", file)
    await kill(second)
    const same = "SELECT count(*) AS count FROM person JOIN old USING (id) WHERE person.name = upper(old.name)"
    assert.strictEqual(rows(file, same)[0]?.["count"], 30_000)
  })

  it("go on with a parent and its children after a kill, in a service with a schedule", async () => {
    const [file, port] = [path.join(folder, "club.db"), await freePort()]
    const url = `http://127.0.0.1:${port}`
    const serve = () => answers(start("seasons.ts", [file, String(port)]), `${url}/schedules`)
    const post = async () => (await fetch(`${url}/seasons`, { method: "POST" })).text()

    const first = await serve()
    const lost = post().catch(() => "lost")
    await killed(first, () => rows(file, "SELECT 1 FROM fanout_outcomes"), 4)
    const second = await serve()

    assert.strictEqual(await lost, "lost")
    assert.deepStrictEqual([await post(), await post()], ["15 letters", "15 letters"])
    const jobs = rows(file, "SELECT name || ' ' || tag AS job FROM fanout_jobs ORDER BY name")
    const town = "club/Town Completed"
    assert.deepStrictEqual(jobs.map(({ job }) => job), ["club/Season Completed", town, town, town])
    assert.lengthOf(await (await fetch(`${url}/schedules`)).json(), 1)
    await kill(second, "SIGTERM")
  })

  it("draw each picture once, stage after stage", async () => {
    const pictures = path.join(folder, "pictures")
    const found = (pattern: string) => fs.globSync(pattern, { cwd: pictures }).toSorted()
    const modified = (file: string) => fs.statSync(path.join(pictures, file)).mtimeMs

    const command = ["images/main.ts", pictures] as const
    const all = ["160 drawn, 160 shrunk, 4 strips"]

    fs.mkdirSync(path.join(pictures, "frame-50.pgm"), { recursive: true })
    const failed = await failing(...command)
    fs.rmdirSync(path.join(pictures, "frame-50.pgm"))
    // Who opens a pipe to write waits for one who reads.
    const pipe = path.join(pictures, "frame-150.pgm.new")
    execFileSync("mkfifo", [pipe])
    const drawn = await killed(start("images/main.ts", [pictures]), () => found("frame-*.pgm"), 100)
    fs.rmSync(pipe)
    const before = new Map(drawn.map((file) => [file, modified(file)]))
    await agrees(["Going on", "Going on", "Going on"], all, ...command)

    assert.strictEqual(failed, "Started")
    assert.isBelow(drawn.length, 160)
    // 8 at the same time and 8 unrecorded: so many may be drawn a second time.
    assert.isAtMost(drawn.filter((file) => modified(file) !== before.get(file)).length, 16)
    assert.lengthOf(found("{frame,small}-*.pgm"), 320)
    const strip = fs.readFileSync(path.join(pictures, "strip-3.pgm"))
    assert.strictEqual(strip.length, "P5 80 2400 255\n".length + 80 * 2400)
    assert.isAbove(new Set(strip).size, 50)
    if (isLong) {
      const undisturbed = path.join(folder, "undisturbed")
      await agrees(["Started"], all, "images/main.ts", undisturbed)
      for (const file of found("*.pgm")) {
        assert.isTrue(fs.readFileSync(path.join(undisturbed, file)).equals(fs.readFileSync(path.join(pictures, file))))
      }
    }
  })

  it("tell of what has failed, by the API of the page of jobs", async () => {
    const [from, file] = [path.join(folder, "letters"), path.join(folder, "letters.db")]
    const run = { cwd: root, env: { ...process.env, FANOUT_DB: file } }
    const command = ["--conditions=@fanout/source", "packages/cli/src/bin.ts"]
    fs.mkdirSync(from)
    for (const name of ["a", "b"]) fs.writeFileSync(path.join(from, name), name)
    const copy = [...command, "copy", from, path.join(folder, "copied"), "--quiet", "-T", "--conflict", "error"]
    execFileSync(process.execPath, copy, run)
    assert.throws(() => execFileSync(process.execPath, copy, { ...run, stdio: "ignore" }))

    const ui = spawn(process.execPath, [...command, "ui", "--no-open", "--port", "0", "--read-only"], {
      ...run,
      stdio: ["ignore", "pipe", "inherit"]
    })
    running.add(ui)
    const [said] = await once(ui.stdout, "data")
    const [, told = ""] = / is in (.*)/.exec(String(said)) ?? []
    const address = fs.readFileSync(told, "utf8").trim()
    const { code, lines } = await ran("ui-api.ts", address)
    assert.strictEqual(code, 0)
    assert.lengthOf(lines, 2)
    assert.match(lines[0] ?? "", new RegExp(`^\\w+ {2}copy letters → ${folder}/copied: .*2 failed`))
    assert.match(lines[1] ?? "", new RegExp(`^ {2}2 \\w+, such as .*${from}/[ab].*: .*it is there already`))
    const wrong = await ran("ui-api.ts", address)
    assert.strictEqual(wrong.code, 1)
    await kill(ui)
  })

  it("serve jobs that go on by themselves, and hand them back at SIGTERM", async () => {
    const file = path.join(folder, "api.db")
    const [all, broken] = isLong ? [6000, 12] : [3000, 6]
    const inbox = await mailboxes(all, (n) => n % 500 === 0)
    const port = await freePort()
    const serve = async () => {
      const child = start("jobs-api/main.ts", [], { PORT: String(port), DATABASE: file })
      child.stdout.setEncoding("utf8")
      const url = `http://127.0.0.1:${port}`
      await answers(child, `${url}/openapi.json`)
      return { child, url: `${url}/messages` }
    }
    const ask = async (url: string, body?: unknown) => {
      const post = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body ?? {}) }
      const response = await fetch(url, body === undefined ? {} : post)
      return { code: response.status, json: await response.json() }
    }
    /** What is told of a job until it is over, or something else is. */
    const follow = async (url: string, until: (status: { sent: number }) => boolean = () => false) => {
      const seen = []
      let said = ""
      const { body } = await fetch(`${url}/progress`)
      assert(body !== null)
      for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
        said += chunk
        const events = said.split("\n\n")
        said = events.pop() ?? ""
        seen.push(...events.flatMap((event) => event.startsWith("data: ") ? [JSON.parse(event.slice(6))] : []))
        if (seen.some(until)) break
      }
      return seen
    }

    const first = await serve()
    const started = await ask(first.url, { name: "hello", text: "Hi!", urls: inbox.urls })
    const { id } = started.json
    const [acked] = (await follow(`${first.url}/${id}`, ({ sent }) => sent > 500)).slice(-1)
    await kill(first.child)
    const second = await serve()
    const enough = Promise.withResolvers<void>()
    // Follows until the process ends: that must not keep it from ending.
    const followed = follow(`${second.url}/${id}`, ({ sent }) => {
      if (sent > acked.sent + 200) enough.resolve()
      return false
    }).catch(() => [])
    await enough.promise
    await kill(second.child, "SIGTERM")
    await followed
    const twice = inbox.twice()
    const { code, signal } = { code: second.child.exitCode, signal: second.child.signalCode }
    const handedBack = await Effect.runPromise(
      Effect.flatMap(JobStore, ({ get }) => get(JobId.make(id))).pipe(
        Effect.provide(layerSqlite({ filename: file }))
      )
    )
    const third = await serve()
    const seen = await follow(`${third.url}/${id}`)
    const paused = await ask(`${third.url}/${id}/pause`, {})
    const unknown = await ask(`${third.url}/nothing`)
    inbox.mend()
    const again = await ask(`${third.url}/${id}/retry`, {})
    const mended = await follow(`${third.url}/${id}`)
    const beside = start("jobs-api/main.ts", [], { PORT: String(port), DATABASE: file })
    await once(beside, "exit")
    await kill(third.child)
    const sent = inbox.received.length
    const statuses = []
    for (const signal of ["SIGKILL", "SIGTERM", ...isLong ? ["SIGKILL"] as const : []] as const) {
      const { child, url } = await serve()
      // What is over stays so. What else there was to do would be under way by then.
      await wait(500)
      statuses.push((await ask(`${url}/${id}`)).json)
      await kill(child, signal)
    }
    inbox.server.close()

    assert.strictEqual(started.code, 202)
    assert.isBelow(acked.sent, all - broken)
    assert.deepStrictEqual([code, signal], [130, null])
    assert.strictEqual(handedBack.state._tag, "Queued")
    assert.deepStrictEqual(seen.at(-1), { id, state: "CompletedWithErrors", sent: all - broken, failed: broken })
    assert.isTrue(seen.every(({ sent }, i) => sent >= (seen[i - 1] ?? acked).sent))
    assert.deepStrictEqual([paused.code, paused.json.reason._tag], [409, "NotAllowed"])
    assert.strictEqual(unknown.code, 404)
    assert.deepInclude(unknown.json, { id: "nothing" })
    assert.strictEqual(again.code, 202)
    assert.deepStrictEqual(mended.at(-1), { id, state: "Completed", sent: all, failed: 0 })
    // 16 at the same time and 32 unrecorded: so many may be sent a second time after the kill, and none after SIGTERM.
    assert.isAtMost(twice, 48)
    assert.strictEqual(inbox.twice(), twice)
    assert.strictEqual(beside.exitCode, 1)
    assert.deepStrictEqual(statuses, statuses.map(() => mended.at(-1)))
    assert.strictEqual(inbox.received.length, sent)
  })

  it.skipIf(programs === undefined)("bills each order once, by three processes of which one is killed", async () => {
    const database = await PostgresDatabase.open()
    const env = { DATABASE_URL: `postgres:///${database.config.database}?host=${database.folder}&user=fanout` }
    const workers = []
    for (let n = 0; n < 3; n++) {
      const worker = start("billing.ts", ["work"], env)
      await once(worker.stdout, "data")
      workers.push(worker)
    }
    const bills = (query: string) =>
      Effect.runPromise(
        Effect.provide(SqlClient.use((sql) => sql.unsafe<Record<string, unknown>>(query)), database.client())
      )
    const count = async () => Number((await bills("select count(*) as n from bills"))[0]?.["n"])

    // Each process runs four customers at the same time: most of them are yet to come at the kill.
    const client = start("billing.ts", ["bill", "60"], env)
    const printed = text(client.stdout)
    while (await count() < 200) await wait(20)
    await Promise.all([kill(client), kill(workers[0] ?? assert.fail())])
    const again = start("billing.ts", ["bill", "60"], env)

    assert.strictEqual(await printed, "")
    assert.strictEqual(await text(again.stdout), "6000 orders of 60 customers are billed\n")
    const twice = await bills(`select "customer", "order" from bills group by 1, 2 having count(*) > 1`)
    assert.deepStrictEqual([await count(), twice], [6000, []])
    for (const worker of workers) await kill(worker, "SIGTERM")
    // What is billed is told without anybody who works.
    assert.strictEqual(
      await text(start("billing.ts", ["bill", "60"], env).stdout),
      "6000 orders of 60 customers are billed\n"
    )
  })
})
