import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import * as JobManager from "@fanout/core/JobManager"
import { JobState } from "@fanout/core/JobState"
import { JobStore } from "@fanout/core/JobStore"
import { layerSqlite } from "@fanout/core/node"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import axe from "axe-core"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Option from "effect/Option"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { createServer } from "node:http"
import * as os from "node:os"
import * as path from "node:path"
import type { Browser, Page } from "playwright-core"
import { afterAll, beforeAll, onTestFinished } from "vitest"
import * as Mount from "../src/Mount.ts"
import { isBrowserMissing, launch, type Look, person, titled, visit } from "./browser.ts"
import { commandLine, watched } from "./command.ts"
import { counters, record } from "./records.ts"

const home = isBrowserMissing ? "" : fs.mkdtempSync(path.join(os.tmpdir(), "fanout-page-"))
const filename = path.join(home, "jobs.db")
const env = { ...process.env, FANOUT_DB: filename }
const many = 10_000
const markup = "<img src=x onerror=alert(1)>\u202Egnp"

const run = (...args: ReadonlyArray<string>) => spawnSync(...commandLine(args), { env, encoding: "utf8" })
const start = (...args: ReadonlyArray<string>) =>
  watched(spawn(...commandLine(args), { env, stdio: ["ignore", "pipe", "pipe"] }))

/** Starts a server, and gives it with the address that it prints. */
const serving = async (...args: ReadonlyArray<string>) => {
  const server = start("ui", "--no-open", ...args)
  while (!server.output.stdout.includes("#token=")) await once(server.child.stdout, "data")
  return { ...server, address: /http:\S+/.exec(server.output.stdout)?.[0] ?? "" }
}

const makeFiles = (folder: string, count: number, bytes: number): string => {
  fs.mkdirSync(path.join(home, folder), { recursive: true })
  for (let n = 0; n < count; n++) fs.writeFileSync(path.join(home, folder, `file-${n}`), Buffer.alloc(bytes, n))
  return path.join(home, folder)
}

/** How many processes wait for each core, or 1: all takes as much longer where other work has its turns. */
const crowd = (): number => Math.max(1, (os.loadavg()[0] ?? 0) / os.availableParallelism())

/** The text of an element as soon as it is there. */
const text = (page: Page, selector: string) => page.locator(selector).first().innerText()

const rowOf = (page: Page, id: string) => page.locator(`li.job[data-id="${id}"]`)

describe.skipIf(isBrowserMissing)(titled("page of fanout ui"), () => {
  let browser: Browser
  let server: Awaited<ReturnType<typeof serving>>
  const store = ManagedRuntime.make(layerSqlite({ filename }))
  const insert = (...ids: ReadonlyArray<string>) => {
    const at = Date.now()
    const done = JobState.cases.Completed.make(counters)
    const times = { createdAt: at, updatedAt: at, finishedAt: Option.some(at) }
    const records = ids.map((id) => record(done, { id: JobId.make(id), revision: 0, ...times }))
    return store.runPromise(JobStore.use((store) => store.insertAll(records)))
  }

  /** A slow copy, with its id. */
  const copying = async (name: string) => {
    const from = makeFiles(name, 40, 100_000)
    const copy = start("copy", from, path.join(home, `${name} to`), "--bandwidth", "100KB", "--json")
    while (!copy.output.stdout.includes("\n")) await once(copy.child.stdout, "data")
    const { id }: { readonly id: string } = JSON.parse(copy.output.stdout.split("\n")[0] ?? "")
    return { ...copy, id }
  }

  const open = async (look?: Look, hash = "#/jobs") => {
    const one = await person(browser, look)
    await one.page.goto(server.address)
    await one.page.waitForSelector("main")
    await visit(one.page, hash)
    await one.page.locator("[aria-busy=true]").waitFor({ state: "detached" })
    return one
  }

  /** A comparison of folders that differ in two ways. */
  let failed: string
  /** A copy of a file whose name is markup. */
  let named: string

  beforeAll(async () => {
    const a = makeFiles("failing", 250, 1)
    const b = makeFiles("failing b", 20, 2)
    const firstId = (stdout: string): string => JSON.parse(stdout.split("\n")[0] ?? "").id
    failed = firstId(run("verify", a, b, "--ignore", "times", "--json").stdout)
    fs.mkdirSync(path.join(home, markup))
    named = firstId(run("copy", path.join(home, markup), path.join(home, "named to"), "--json").stdout)
    await insert(...Array.from({ length: many }, (_, n) => `zz${String(n).padStart(6, "0")}`))
    server = await serving("--port", "0")
    browser = await launch()
  })
  afterAll(async () => {
    await browser.close()
    server.child.kill("SIGINT")
    await store.dispose()
    fs.rmSync(home, { recursive: true, force: true })
  })

  it("shows its first rows within half a second, of 10,000 jobs, and forgets its address", async () => {
    const times: Array<number> = []
    for (let n = 0; n < 3; n++) {
      const { complaints, page } = await person(browser)
      await page.addInitScript(() => {
        const seen = new MutationObserver(() => {
          if (document.querySelector("li.job") !== null) performance.mark("first row")
        })
        seen.observe(document, { childList: true, subtree: true })
      })
      await page.goto(server.address)
      await page.waitForSelector("li.job")
      times.push(await page.evaluate(() => performance.getEntriesByName("first row")[0]?.startTime ?? Infinity))
      assert.match(await text(page, ".states a"), /all\s+10,0\d\d/)
      assert.strictEqual(await page.locator("li.job").count(), 50)
      assert.match(page.url(), /\/#\/jobs$/)
      assert.deepStrictEqual(complaints, [])
    }
    assert.isBelow(Math.min(...times), 500 * crowd(), times.join(" "))
  })

  it("tells who has no token what to do", async () => {
    const { page } = await person(browser)
    await page.goto(server.address.replace(/#.*/, ""))
    await page.locator("h1", { hasText: "This page is locked" }).waitFor()
    assert.include(await text(page, "main"), "fanout ui")
    await page.goto(server.address)
    await page.waitForSelector("li.job")
  })

  it("shows a change a quarter of a second after it was stored", async () => {
    const { complaints, page } = await open({}, "#/jobs?name=copy")
    await page.waitForSelector("li.job")
    const times: Array<number> = []
    for (let n = 1; n <= 15; n++) {
      // With clocks of one machine, told by the page itself: to ask it takes time.
      const seen = page.waitForFunction(
        (n) => (document.querySelector("#news")?.textContent ?? "").startsWith(`${n} `) ? Date.now() : 0,
        n,
        { polling: "raf" }
      )
      // A change that follows another one at once waits for its turn.
      await page.waitForTimeout(500)
      await insert(`new${String(n).padStart(3, "0")}`)
      const stored = Date.now()
      times.push(await (await seen).jsonValue() - stored)
    }
    const median = times.toSorted((a, b) => a - b)[7] ?? 0
    assert.isBelow(median, 250 * crowd(), times.join(" "))
    assert.notInclude(await text(page, "ul.jobs"), "new015")
    await page.keyboard.press("n")
    await rowOf(page, "new015").waitFor()
    assert.strictEqual(await page.locator("#news").count(), 0)
    assert.deepStrictEqual(complaints, [])
  })

  it("follows a copy, and asks it to pause, to go on, and to end", async () => {
    const copy = await copying("followed")
    const one = await open({}, `#/jobs?id=${copy.id}`)
    const other = await open({ colorScheme: "dark" }, `#/jobs/${copy.id}`)
    const row = rowOf(one.page, copy.id)
    await row.getByText("running").waitFor()
    assert.include(await row.innerText(), "copy followed →")
    const share = row.locator("progress")
    await one.page.waitForFunction(() => Number(document.querySelector<HTMLProgressElement>("li progress")?.value) > 0)
    const before = Number(await share.getAttribute("value"))
    await one.page.waitForFunction(
      (before) => Number(document.querySelector<HTMLProgressElement>("li progress")?.value) > before,
      before
    )
    await other.page.locator(".figures", { hasText: "Time left" }).waitFor()
    await other.page.locator(".plot .line").waitFor()
    await other.page.locator(".plot .mark", { hasText: "started" }).waitFor({ state: "attached" })
    await other.page.locator(".plot svg").hover()
    assert.match(await text(other.page, ".plot figcaption"), /^\d\d:\d\d:\d\d · .*\/s · \d+ tasks? under way/)

    await other.page.getByLabel("Priority").selectOption("high")
    await other.page.getByLabel("Tasks at once").fill("3")
    await other.page.getByLabel("Bandwidth").fill("200 kB")
    await other.page.getByRole("button", { name: "Set", exact: true }).click()
    await other.page.locator(".facts", { hasText: "at most 200 kB/s" }).waitFor()
    assert.match(await text(other.page, ".facts"), /high[\s\S]*at most 3/)

    await other.page.getByRole("button", { name: "Pause", exact: true }).click()
    await row.getByText("paused").waitFor()
    await copy.ended
    await other.page.locator(".plot .mark", { hasText: "paused" }).waitFor({ state: "attached" })
    await other.page.getByRole("button", { name: "Resume", exact: true }).click()
    await row.getByText("queued").waitFor()
    await other.page.locator(".strip", { hasText: "start fanout jobs work" }).waitFor()

    await row.getByRole("checkbox").check()
    assert.match(await text(one.page, "footer section"), /1 job selected/)
    await one.page.getByRole("button", { name: "Cancel 1 job" }).click()
    await one.page.getByRole("button", { name: "Keep it" }).click()
    assert.include(await row.innerText(), "queued")
    await one.page.getByRole("button", { name: "Cancel 1 job" }).click()
    await one.page.getByRole("dialog").getByRole("button", { name: "Cancel 1 job" }).click()
    await row.getByText("cancelled").waitFor()
    await other.page.locator(".sentence", { hasText: "cancelled" }).waitFor()
    assert.deepStrictEqual([...one.complaints, ...other.complaints], [])
  })

  it("has its filters in the address", async () => {
    const { page } = await open()
    await page.locator(".states a", { hasText: "some failed" }).click()
    await rowOf(page, failed).waitFor()
    assert.match(page.url(), /#\/jobs\?state=CompletedWithErrors$/)
    assert.strictEqual(await page.locator("li.job").count(), 1)
    await page.getByLabel("Created in").selectOption("1h")
    assert.match(page.url(), /state=CompletedWithErrors&since=1h$/)
    await rowOf(page, failed).waitFor()
    await page.getByLabel("Find").fill(named.slice(0, 6))
    await page.keyboard.press("Enter")
    await page.getByText("No job matches.").waitFor()
    await page.getByText("Show all jobs").click()
    await page.getByLabel("Find").fill(named.slice(0, 6))
    await page.keyboard.press("Enter")
    await rowOf(page, named).waitFor()
    assert.include(page.url(), `id=${named.slice(0, 6)}`)
    assert.strictEqual(await page.evaluate(() => document.activeElement?.id), "find")
    await page.getByLabel("Find").fill("hash")
    await page.keyboard.press("Enter")
    await page.getByText("No job matches.").waitFor()
    assert.match(page.url(), /#\/jobs\?name=hash$/)
    await page.goBack()
    await rowOf(page, named).waitFor()
    assert.strictEqual(await page.getByLabel("Find").inputValue(), named.slice(0, 6))
    await visit(page, "#/jobs")
    assert.strictEqual(await page.getByLabel("Find").inputValue(), "")
    await page.getByRole("link", { name: "older →" }).click()
    await page.waitForURL(/before=/)
    await page.getByRole("link", { name: "← the newest" }).click()
    await page.waitForURL(/#\/jobs$/)
  })

  it("shows names as texts, whatever is in them", async () => {
    const { complaints, page } = await open({}, `#/jobs/${named}`)
    await page.locator("h1", { hasText: "<img src=x onerror=alert(1)>" }).waitFor()
    assert.include(await text(page, "h1"), "\\u202egnp")
    await visit(page, `#/jobs/${named}/raw`)
    await page.locator("pre", { hasText: "onerror" }).waitFor()
    await visit(page, "#/jobs?parent=%3Cb%3E%E2%80%AE&schedule=%3Cscript%3E")
    await page.locator(".named", { hasText: "<b>\\u202e" }).waitFor()
    assert.strictEqual(await page.locator("main img, main script, main b").count(), 0)
    assert.deepStrictEqual(complaints, [])
  })

  it("shows failures by their causes, a hundred at a time, and tries them again", async () => {
    const { complaints, page } = await open({}, `#/jobs/${failed}`)
    const causes = page.locator("main table tbody tr")
    for (const nth of [0, 1]) await causes.nth(nth).getByText("file-").waitFor()
    const [first = "", second = ""] = await causes.allInnerTexts()
    assert.match(first, /^230\s+Missing\s+.*file-/)
    assert.match(second, /^20\s+\w+\s+.*file-/)
    await causes.nth(0).getByRole("link").click()
    const rows = page.locator("table.elements tbody tr")
    const seen = new Set<string>()
    for (const many of [100, 100, 30]) {
      await page.getByText(`${many} failures on this page`).waitFor()
      await page.waitForFunction((many) => document.querySelectorAll("table.elements tbody tr").length === many, many)
      for (const row of await rows.allInnerTexts()) seen.add(row.split(/\s/)[0] ?? "")
      if (many === 100) {
        await page.getByRole("link", { name: "next 100 →" }).click()
        await page.waitForFunction(
          (last) => !document.querySelector("table.elements")?.textContent?.includes(last),
          Array.from(seen).at(-1) ?? ""
        )
      }
    }
    assert.strictEqual(seen.size, 230)
    assert.match(page.url(), /failed\?cause=\w+&after=\d+$/)
    await page.locator(".tabs a", { hasText: "Log" }).click()
    await page.locator(".log li").first().waitFor()
    await page.getByRole("button", { name: "Retry what failed" }).click()
    await page.locator(".sentence", { hasText: "queued" }).waitFor()
    assert.deepStrictEqual(complaints, [])
  })

  it("is used with keys alone", async () => {
    const { page } = await open({}, "#/jobs?id=zz")
    await page.waitForSelector("li.job")
    const focused = () => page.evaluate(() => document.activeElement?.closest<HTMLElement>("li.job")?.dataset["id"])
    const ids = await page.locator("li.job").evaluateAll((all) => all.map((one) => one.getAttribute("data-id")))
    await page.keyboard.press("j")
    assert.strictEqual(await focused(), ids[0])
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    assert.strictEqual(await focused(), ids[1])
    await page.keyboard.press("C")
    const title = await text(page, `li.job[data-id="${ids[1]}"] a.title`)
    assert.include(await page.getByRole("dialog").innerText(), `“${title}”`)
    await page.keyboard.press("Escape")
    await page.keyboard.press("x")
    assert.include(await text(page, "footer section"), "1 job selected")
    await page.keyboard.press("A")
    assert.include(await text(page, "footer section"), "50 jobs selected")
    await page.keyboard.press("Escape")
    assert.strictEqual(await page.locator("footer section").count(), 0)
    await page.keyboard.press("?")
    await page.getByRole("dialog").getByText("next job, job before").waitFor()
    await page.keyboard.press("Escape")
    assert.strictEqual(await page.getByRole("dialog").count(), 0)
    await page.keyboard.press("/")
    await page.keyboard.type("j")
    assert.strictEqual(await page.getByLabel("Find").inputValue(), "j")
    await page.keyboard.press("Escape")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.locator(".crumbs", { hasText: ids[0] ?? "" }).waitFor()
    await page.keyboard.press("u")
    await page.waitForSelector("li.job")
  })

  it("only shows jobs where nothing may be asked of them", async () => {
    const reading = await serving("--port", "0", "--read-only")
    const { page } = await person(browser)
    await page.goto(reading.address)
    await page.locator(".server", { hasText: "read-only" }).waitFor()
    await visit(page, `#/jobs/${failed}`)
    await page.locator("h1", { hasText: "failing" }).waitFor()
    assert.strictEqual(await page.getByRole("button", { name: /Retry|Cancel|Set/ }).count(), 0)
    reading.child.kill("SIGINT")
    await reading.ended
  })

  it("says from when it is while its server is away, and what to do once there is another one", async () => {
    const first = await serving("--port", "0")
    const port = new URL(first.address).port
    const { page } = await person(browser)
    await page.goto(first.address)
    await page.locator(".connection", { hasText: "live" }).waitFor()
    await page.waitForSelector("li.job")
    first.child.kill("SIGKILL")
    await first.ended
    await page.locator("[role=alert]", { hasText: /What is shown is from \d\d:\d\d:\d\d/ }).waitFor()
    assert.strictEqual(await page.locator("li.job").count(), 50)
    const second = await serving("--port", port)
    await page.getByRole("button", { name: "Try now" }).click({ timeout: 2000 }).catch(() => {})
    await page.locator("h1", { hasText: "This page is locked" }).waitFor()
    await page.goto(second.address)
    await page.locator(".connection", { hasText: "live" }).waitFor()
    await page.waitForSelector("li.job")
    second.child.kill("SIGINT")
    await second.ended
  })

  it("says that it is away where it falls silent, and goes on once it speaks", async () => {
    const silent = await serving("--port", "0")
    onTestFinished(() => void silent.child.kill("SIGKILL"))
    const { page } = await person(browser)
    await page.clock.install()
    await page.goto(silent.address)
    await page.locator(".connection", { hasText: "live" }).waitFor()
    await page.waitForSelector("li.job")
    silent.child.kill("SIGSTOP")
    await page.clock.fastForward(31_000)
    await page.locator("[role=alert]", { hasText: "Connection lost." }).waitFor()
    const asked: Array<string> = []
    page.on("request", (request) => asked.push(request.url()))
    for (let second = 0; second < 20; second++) await page.clock.fastForward(1000)
    assert.isAtMost(asked.filter((url) => url.endsWith("/events")).length, 1)
    silent.child.kill("SIGCONT")
    await page.locator(".connection", { hasText: "live" }).waitFor()
    assert.strictEqual(await page.locator("[role=alert]").count(), 0)
  })

  it("shows no jobs of a filter under another one that can't be read", async () => {
    const { page } = await open()
    await page.route("**/api/jobs?*", (route) => route.fulfill({ status: 503, json: { message: "It is busy." } }))
    await visit(page, "#/jobs?state=Running")
    await page.getByText("This can't be shown.").waitFor()
    assert.strictEqual(await page.locator("li.job").count(), 0)
  })

  it("gives up what was selected and is no longer in the list", async () => {
    const { page } = await open({}, "#/jobs?id=zz")
    await page.waitForSelector("li.job")
    await page.locator("li.job").nth(49).getByRole("checkbox").check()
    await insert("zznew")
    await page.locator("#news").click()
    await rowOf(page, "zznew").waitFor()
    assert.strictEqual(await page.locator("footer section").count(), 0)
  })

  it("forgets jobs that ended long ago, once somebody has said so twice", async () => {
    const { page } = await open({}, "#/jobs?id=zz")
    await page.getByRole("button", { name: "Forget…" }).click()
    await page.getByText("Forget jobs that ended more than 30 days ago?").waitFor()
    await page.getByRole("button", { name: "Forget them" }).click()
    await page.locator(".strip", { hasText: "0 jobs forgotten." }).waitFor()
  })

  it("says so where the database can't be read, and goes on by itself", async () => {
    const { page } = await open()
    await page.route(
      "**/api/jobs?*",
      (route) =>
        route.fulfill({ status: 503, json: { _tag: "StoreFailed", problem: "Busy", message: "The database is busy." } })
    )
    await insert("busy1")
    await page.locator("[role=alert]", { hasText: "The database is busy." }).waitFor()
    assert.strictEqual(await page.locator("li.job").count(), 50)
    await page.unroute("**/api/jobs?*")
    await insert("busy2")
    await page.locator("[role=alert]").waitFor({ state: "detached" })
    await page.locator("#news", { hasText: "2 new" }).waitFor()
  })

  it("is a part of another application, below its own address", async () => {
    const served = ManagedRuntime.make(
      HttpRouter.serve(Mount.layer({ prefix: "/admin/jobs", database: "of its own" }), { disableLogger: true }).pipe(
        Layer.provide(JobManager.layer({ jobs: [] })),
        Layer.provide([OwnerLiveness.layerBlind, Pools.layer(), layerSqlite({ filename })]),
        Layer.provideMerge(NodeHttpServer.layer(() => createServer(), { host: "127.0.0.1", port: 0 }))
      )
    )
    const { address } = await served.runPromise(HttpServer.HttpServer)
    const { complaints, page } = await person(browser)
    await page.goto(`http://127.0.0.1:${"port" in address ? address.port : 0}/admin/jobs/`)
    await page.waitForSelector("li.job")
    await page.locator(".server", { hasText: "of its own" }).waitFor()
    await page.locator(".connection", { hasText: "live" }).waitFor()
    await visit(page, "#/doctor")
    await page.getByText("Nothing is examined here.").waitFor()
    assert.deepStrictEqual(complaints, [])
    await page.close()
    await served.dispose()
  })

  it("asks for nothing while nobody sees it", async () => {
    const { page } = await open()
    await page.waitForSelector("li.job")
    await page.locator(".connection", { hasText: "live" }).waitFor()
    await insert("seen1")
    await page.locator("#news", { hasText: "1 new" }).waitFor()
    // It hears of this, and would read a moment later, which comes while nobody sees it.
    await page.clock.install()
    await page.clock.pauseAt(Date.now() + 1000)
    await insert("seen2")
    await page.waitForTimeout(500)
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { configurable: true, value: true })
      document.dispatchEvent(new Event("visibilitychange"))
    })
    // From then on: what it asks as soon as it hears may still have been on its way. The browser tells in order.
    const asked: Array<string> = []
    page.on("request", (request) => asked.push(request.url()))
    await page.clock.resume()
    await insert("unseen1")
    await page.waitForTimeout(700)
    assert.deepStrictEqual(asked, [])
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { configurable: true, value: false })
      document.dispatchEvent(new Event("visibilitychange"))
    })
    await page.locator("#news", { hasText: "3 new" }).waitFor()
  })

  const looks: ReadonlyArray<readonly [string, Look]> = [
    ["light", {}],
    ["dark", { colorScheme: "dark" }],
    ["narrow", { width: 320 }],
    ["wide", { width: 3840 }]
  ]
  it.each(looks)("can be read by everybody, %s", async (_, look) => {
    const { page } = await open(look)
    for (const hash of ["#/jobs", `#/jobs/${failed}`, `#/jobs/${failed}/failed`, `#/jobs/${named}/raw`, "#/kit"]) {
      await visit(page, hash)
      await page.locator("li.job, .tabs").first().waitFor()
      await page.waitForFunction(() => document.querySelector(".waiting") === null || location.hash === "#/kit")
      await page.evaluate(axe.source)
      const violations: ReadonlyArray<unknown> = await page.evaluate(
        "axe.run().then(({ violations }) => " +
          "violations.map(({ id, nodes }) => [id, ...nodes.map(({ html, failureSummary }) => html + failureSummary)]))"
      )
      assert.deepStrictEqual(violations, [], hash)
      const { inner, whole } = await page.evaluate(() => ({
        inner: window.innerWidth,
        whole: document.documentElement.scrollWidth
      }))
      assert.isAtMost(whole, inner, hash)
    }
  })

  it("is small", () => {
    const folder = path.join(import.meta.dirname, "../dist/page")
    const bytes = fs.readdirSync(folder).reduce((sum, file) => sum + fs.statSync(path.join(folder, file)).size, 0)
    assert.isBelow(bytes, 120_000)
  })
})
