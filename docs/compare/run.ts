/**
 * Runs each program of this folder, kills it in the middle, runs it again, and prints a table.
 *
 *   npm install --no-package-lock && node --conditions=@fanout/source run.ts [PROGRAM …]
 *
 * It starts a Postgres server and a Redis server of its own, for which `initdb` and `redis-server` have to be installed.
 */
import * as Effect from "effect/Effect"
import { SqlClient } from "effect/sql/SqlClient"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { text } from "node:stream/consumers"
import { setTimeout } from "node:timers/promises"
import { PostgresServer } from "../../packages/core/test/postgresServer.ts"

const here = import.meta.dirname
const expected = JSON.stringify(Array.from({ length: 100 }, (_, n) => n * n))

/** Lines beside imports and blank lines. */
const linesOf = (name: string) =>
  fs.readFileSync(path.join(here, `${name}.ts`), "utf8").split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("import ")).length

/** Starts a program in a folder. Its output is inherited where it is no result. */
const start = (name: string, cwd: string, env: Record<string, string>) => {
  const child = spawn(process.execPath, ["--conditions=@fanout/source", path.join(here, `${name}.ts`)], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"]
  })
  let output = ""
  child.stdout.setEncoding("utf8").on("data", (chunk) => output += chunk)
  return { child, closed: once(child, "close"), output: () => output.trim() }
}

/** Runs a program to its end. */
const timed = async (...program: Parameters<typeof start>) => {
  const begun = performance.now()
  const { closed, output } = start(...program)
  await closed
  return { output: output(), seconds: (performance.now() - begun) / 1000 }
}

/** A run that is killed in the middle, one that goes on, and one that finds everything done. */
const crash = async (name: string, env: Record<string, string>, rows: (folder: string) => Promise<number>) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-compare-"))
  const file = path.join(folder, "done.txt")
  const done = () => fs.existsSync(file) ? fs.readFileSync(file, "utf8").trimEnd().split("\n") : []

  const first = start(name, folder, env)
  const half = 40 + Math.floor(20 * Math.random())
  while (done().length < half) await setTimeout(1)
  first.child.kill("SIGKILL")
  await first.closed
  const before = done().length

  const second = await timed(name, folder, env)
  const all = done()
  const third = await timed(name, folder, env)
  const seen = {
    before,
    // A run that finds everything done takes as long as starting and ending does.
    seconds: second.seconds - third.seconds,
    twice: all.length - new Set(all).size,
    missing: 100 - new Set(all).size,
    ordered: second.output === expected,
    kept: third.output === expected && done().length === all.length,
    rows: await rows(folder)
  }
  fs.rmSync(folder, { recursive: true })
  return seen
}

const sqliteRows = (file: string) => async (folder: string) => {
  const database = new DatabaseSync(path.join(folder, file), { readOnly: true })
  const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
  const counts = tables.filter(({ name }) => !/migrations|sequence/.test(String(name)))
    .map(({ name }) => Number(database.prepare(`SELECT count(*) AS n FROM "${String(name)}"`).get()?.["n"]))
  database.close()
  return counts.reduce((sum, count) => sum + count, 0)
}

const withPostgres = async <A>(use: (url: string, server: PostgresServer) => Promise<A>): Promise<A> => {
  const server = await PostgresServer.start()
  try {
    return await use(`postgres://fanout@localhost/postgres?host=${server.folder}`, server)
  } finally {
    await server.stop()
  }
}

const withRedis = async <A>(use: (url: string) => Promise<A>): Promise<A> => {
  const listener = net.createServer().listen(0, "127.0.0.1")
  await once(listener, "listening")
  const address = listener.address()
  const port = typeof address === "object" && address !== null ? String(address.port) : ""
  listener.close()
  const server = spawn("redis-server", ["--bind", "127.0.0.1", "--port", port, "--save", ""], { stdio: "ignore" })
  const closed = once(server, "close")
  try {
    return await use(`redis://127.0.0.1:${port}`)
  } finally {
    server.kill()
    await closed
  }
}

const programs: Readonly<Record<string, () => Promise<Awaited<ReturnType<typeof crash>>>>> = {
  fanout: () => crash("fanout", {}, sqliteRows("jobs.db")),
  "effect-workflow": () => crash("effect-workflow", {}, sqliteRows("workflow.db")),
  bullmq: () =>
    withRedis((REDIS_URL) =>
      crash("bullmq", { REDIS_URL }, async () => {
        const socket = net.connect(Number(new URL(REDIS_URL).port), "127.0.0.1")
        socket.end("DBSIZE\r\n")
        return Number((await text(socket)).slice(1))
      })
    ),
  "pg-boss": () =>
    withPostgres((DATABASE_URL, server) =>
      crash("pg-boss", { DATABASE_URL }, async () => {
        const counted = Effect.flatMap(
          SqlClient,
          (sql) => sql<{ n: number }>`SELECT count(*)::int AS n FROM pgboss.job`
        )
        const [row] = await Effect.runPromise(Effect.provide(counted, server.client()))
        return row?.n ?? 0
      })
    )
}

const runs = Number(process.env["RUNS"] ?? 5)
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(programs)
const table: Array<object> = []
for (const name of names) {
  const run = programs[name]
  if (run === undefined) throw new Error(`no program ${name}`)
  const seen: Array<Awaited<ReturnType<typeof run>>> = []
  for (let index = 0; index < runs; index++) {
    const one = await run()
    console.log(name, one)
    seen.push(one)
  }
  const sorted = (of: (one: (typeof seen)[number]) => number) => seen.map(of).toSorted((a, b) => a - b)
  const range = (of: (one: (typeof seen)[number]) => number) => `${sorted(of)[0]} to ${sorted(of).at(-1)}`
  table.push({
    program: name,
    lines: linesOf(name),
    "done at the kill": range((one) => one.before),
    "ran twice": range((one) => one.twice),
    missing: range((one) => one.missing),
    "seconds to go on": sorted((one) => one.seconds)[Math.floor(runs / 2)]?.toFixed(1),
    "in order": seen.every((one) => one.ordered),
    "result stored": seen.every((one) => one.kept),
    rows: range((one) => one.rows)
  })
}
console.table(table)
