// What the page of jobs costs, with three pages open in a browser: the processor time of `fanout ui`, and how soon the
// first rows and changes are seen. A path names another version of the command, which is measured by turns. `postgres`
// keeps the jobs there, and has another application write all the time. Needs chromium in PATH.
import * as JobId from "@fanout/core/JobId"
import { JobState } from "@fanout/core/JobState"
import { JobStore } from "@fanout/core/JobStore"
import { layerSqlite } from "@fanout/core/node"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Option from "effect/Option"
import { SqlClient } from "effect/sql/SqlClient"
import * as Struct from "effect/Struct"
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { type Browser, chromium, type Page } from "playwright-core"
import { counters, record } from "../packages/cli/test/records.ts"
import { PostgresServer } from "../packages/core/test/postgresServer.ts"
import { fanout, median, withFolder } from "./measure.ts"

const many = { jobs: 10_000, failures: 1000, copied: 2500, changes: 20 }
const seconds = { without: 3, idle: 8, running: 12 }

const targets = {
  "no page open, % of a core": 0,
  "three pages, nothing runs, %": 2,
  "three pages, a copy runs, %": 5,
  "first rows, ms": 500,
  "change while it runs, median, ms": Number.NaN,
  "change while it runs, p95, ms": 250
}
type Figures = Readonly<Record<keyof typeof targets, number>>
const names = Struct.keys(targets)

/** What is measured: a store with jobs, and somebody who looks. */
interface World {
  readonly browser: Browser
  readonly env: NodeJS.ProcessEnv
  /** A job with failures that is over. */
  readonly failed: string
  readonly folder: string
  /** Stores a job that is over, and gives when that was done. */
  readonly insert: () => Promise<number>
}

/** Processor time of a process, in milliseconds. */
const usedBy = ({ pid }: ChildProcess): number => {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1")
  const [user = 0, system = 0] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13).map(Number)
  return (user + system) * 10
}

/** Share of a core that a process takes for some seconds, in percent. */
const shareOf = async (child: ChildProcess, seconds: number): Promise<number> => {
  const [used, from] = [usedBy(child), performance.now()]
  await setTimeout(seconds * 1000)
  return (usedBy(child) - used) / (performance.now() - from) * 100
}

/** Opens a page of its own, and gives it with the milliseconds until its first row was there. */
const open = async (browser: Browser, address: string): Promise<readonly [Page, number]> => {
  const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage()
  await page.addInitScript(() => {
    new MutationObserver(() => {
      if (document.querySelector("li.job") !== null) performance.mark("first row")
    }).observe(document, { childList: true, subtree: true })
  })
  await page.goto(address)
  await page.waitForSelector("li.job")
  return [page, await page.evaluate(() => performance.getEntriesByName("first row")[0]?.startTime ?? Number.NaN)]
}

const visit = (page: Page, hash: string) =>
  page.evaluate((hash) => {
    location.hash = hash
  }, hash)

/** Milliseconds from the commit of each new job to the page that tells of it. */
const changesOf = async (page: Page, insert: World["insert"]): Promise<ReadonlyArray<number>> => {
  const times: Array<number> = []
  for (let n = 1; n <= many.changes; n++) {
    const seen = page.waitForFunction(
      (n) => Number.parseInt(document.querySelector("#news")?.textContent ?? "", 10) >= n ? Date.now() : 0,
      n,
      { polling: "raf" }
    )
    await setTimeout(200 + 400 * Math.random())
    const stored = await insert()
    times.push(await (await seen).jsonValue() - stored)
  }
  return times.toSorted((a, b) => a - b)
}

let copies = 0

const measure = async (command: string, { browser, env, failed, folder, insert }: World): Promise<Figures> => {
  const start = (...args: ReadonlyArray<string>) =>
    spawn(process.execPath, [command, ...args], { env, stdio: ["ignore", "pipe", "inherit"] })
  const firstOf = async ({ stdout }: ReturnType<typeof start>): Promise<string> =>
    String((await once(stdout, "data"))[0])
  const server = start("ui", "--no-open", "--port", "0")
  const address = /http:\S+/.exec(await firstOf(server))?.[0] ?? ""
  const [early, first] = await open(browser, address)
  await early.context().close()
  await setTimeout(1000)
  const without = await shareOf(server, seconds.without)

  const [[list], [job], [failures]] = [
    await open(browser, address),
    await open(browser, address),
    await open(browser, address)
  ]
  await visit(job, `#/jobs/${failed}`)
  await visit(failures, `#/jobs/${failed}/failed`)
  await setTimeout(1000)
  const idle = await shareOf(server, seconds.idle)

  const copy = start(
    "copy",
    "--json",
    "--bandwidth",
    "1MB",
    path.join(folder, "from"),
    path.join(folder, `${copies++}`)
  )
  const { id }: { readonly id: string } = JSON.parse((await firstOf(copy)).split("\n")[0] ?? "")
  copy.stdout.resume()
  await list.locator("#news").click()
  await visit(job, `#/jobs/${id}`)
  await setTimeout(1000)
  const running = await shareOf(server, seconds.running)
  const changes = await changesOf(list, insert)

  for (const page of [list, job, failures]) await page.context().close()
  for (const child of [copy, server]) {
    child.kill("SIGINT")
    await once(child, "close")
  }
  return {
    "no page open, % of a core": without,
    "three pages, nothing runs, %": idle,
    "three pages, a copy runs, %": running,
    "first rows, ms": first,
    "change while it runs, median, ms": median(changes),
    "change while it runs, p95, ms": changes[Math.ceil(0.95 * many.changes) - 1] ?? Number.NaN
  }
}

/** Makes folders to copy and to compare, and gives the job that has found differences. */
const prepare = (folder: string, env: NodeJS.ProcessEnv): string => {
  for (const [name, files] of [["from", many.copied], ["failing", many.failures], ["empty", 0]] as const) {
    fs.mkdirSync(path.join(folder, name))
    for (let n = 0; n < files; n++) fs.writeFileSync(path.join(folder, name, `file-${n}`), Buffer.alloc(16_384, n))
  }
  const verify = [fanout, "verify", "--json", path.join(folder, "failing"), path.join(folder, "empty")]
  const { stdout } = spawnSync(process.execPath, verify, { env, encoding: "utf8" })
  const { id }: { readonly id: string } = JSON.parse(stdout.split("\n")[0] ?? "")
  return id
}

/** A store, and how the command finds it. */
const storeIn = async (folder: string, isPostgres: boolean) => {
  if (!isPostgres) {
    const filename = path.join(folder, "jobs.db")
    return { store: ManagedRuntime.make(layerSqlite({ filename })), address: filename, close: async () => {} }
  }
  const server = await PostgresServer.start()
  const others = ManagedRuntime.make(server.client({ maxConnections: 1 }))
  const write = (text: string) => others.runPromise(SqlClient.use((sql) => sql.unsafe(text)))
  await write("create table others (n bigint generated by default as identity)")
  const writing = setInterval(() => void write("insert into others default values"), 50)
  return {
    store: ManagedRuntime.make(Layer.provide(SqlJobStore.layer, server.client())),
    address: `postgres:///postgres?user=fanout&host=${encodeURIComponent(server.folder)}`,
    close: async () => {
      clearInterval(writing)
      await others.dispose()
      await server.stop()
    }
  }
}

const print = (command: string, figures: Figures): void => {
  console.log(command)
  for (const name of names) {
    const target = Number.isNaN(targets[name]) ? "" : `at most ${targets[name]}`
    console.log(`${name.padEnd(34)} ${figures[name].toFixed(1).padStart(7)}  ${target}`)
  }
}

const args = process.argv.slice(2)
await withFolder(async (folder) => {
  const { address, close, store } = await storeIn(folder, args.includes("postgres"))
  const env = { ...process.env, FANOUT_DB: address, XDG_STATE_HOME: folder }
  let stored = 0
  const insert = async (count = 1): Promise<number> => {
    const records = Array.from({ length: count }, () => {
      const at = Date.now()
      const times = { createdAt: at, updatedAt: at, finishedAt: Option.some(at) }
      const state = JobState.cases.Completed.make(counters)
      return record(state, { id: JobId.make(`stored${stored++}`), revision: 0, ...times })
    })
    await store.runPromise(JobStore.use((store) => store.insertAll(records)))
    return Date.now()
  }
  await insert(many.jobs)
  const failed = prepare(folder, env)
  const executablePath = execFileSync("which", ["chromium"], { encoding: "utf8" }).trim()
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] })
  for (const command of [fanout, ...args.filter((one) => one.includes("/"))]) {
    print(command, await measure(command, { browser, env, failed, folder, insert: () => insert() }))
  }
  await browser.close()
  await store.dispose()
  await close()
})
