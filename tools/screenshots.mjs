// Takes the pictures of `fanout ui` that are in the documentation, of jobs that run here for a minute:
// `npm run build && node tools/screenshots.mjs`. Needs chromium in PATH.
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { chromium } from "playwright-core"
import sharp from "sharp"

const root = dirname(import.meta.dirname)
const images = join(root, "docs/images")
const fanout = join(root, "packages/cli/bin/fanout.js")
// What is shown has short names. If somebody has this folder, it is not to be removed.
const home = join(tmpdir(), "ada")
mkdirSync(home)

/** @type {import("node:child_process").SpawnOptions & { cwd: string }} */
const options = { cwd: home, env: { ...process.env, FANOUT_DB: join(home, "jobs.db"), TZ: "Europe/Berlin" } }

/** @param {ReadonlyArray<string>} args */
const run = (...args) => spawnSync(process.execPath, [fanout, ...args], { ...options, encoding: "utf8" })

/** @type {Array<import("node:child_process").ChildProcess>} */
const started = []
/** @type {Array<Promise<unknown>>} */
const ended = []

/** @param {ReadonlyArray<string>} args */
const start = (...args) => {
  const child = spawn(process.execPath, [fanout, ...args], { ...options, stdio: ["ignore", "pipe", "ignore"] })
  started.push(child)
  ended.push(once(child, "exit"))
  return child
}

/** @param {string} folder @param {number} count @param {number} bytes @param {string} ending */
const make = (folder, count, bytes, ending) => {
  mkdirSync(join(home, folder), { recursive: true })
  const name = folder.toUpperCase().slice(0, 3)
  for (let n = 1; n <= count; n++) {
    writeFileSync(join(home, folder, `${name}_${String(n).padStart(4, "0")}.${ending}`), Buffer.alloc(bytes, n))
  }
}

/** The newest job. */
const newest = () => {
  const [line = ""] = run("jobs", "list", "--json", "--limit", "1").stdout.split("\n")
  return JSON.parse(line).id
}

/** Jobs of each kind. The one that is under way longest is given. */
const jobs = async () => {
  for (const folder of ["archive", "backup"]) mkdirSync(join(home, folder))
  make("Documents", 420, 30_000, "pdf")
  make("Music", 160, 400_000, "flac")
  make("Photos", 900, 500_000, "jpg")
  make("Videos", 30, 12_000_000, "mp4")
  run("copy", "-T", "Documents", "backup/Documents")
  run("hash", "Music")
  make("Documents", 12, 20_000, "pdf")
  run("verify", "Documents", "backup/Documents")
  run("copy", "-T", "--conflict", "error", "Documents", "backup/Documents")
  const stopped = start("copy", "-T", "--bandwidth", "3MB", "Videos", "backup/Videos")
  await setTimeout(5000)
  stopped.kill("SIGINT")
  const killed = start("copy", "--bandwidth", "2MB", "Music", "backup")
  await setTimeout(5000)
  killed.kill("SIGKILL")
  const long = ["copy", "-T", "Photos", "backup/Photos"]
  const first = start(...long, "--bandwidth", "6MB")
  await setTimeout(3000)
  const id = newest()
  await setTimeout(12_000)
  run("jobs", "set", id, "--bandwidth", "9MB")
  await setTimeout(9000)
  first.kill("SIGINT")
  await setTimeout(6000)
  start(...long)
  await setTimeout(12_000)
  run("jobs", "set", id, "--bandwidth", "4MB")
  start("move", "--bandwidth", "1MB", "Videos", "archive")
  await setTimeout(8000)
  return id
}

/** Schedules in several states: one has copied, one has found differences, one has not run yet, one is paused. */
const schedules = () => {
  for (const folder of ["Notes", "backup/Notes"]) make(folder, 40, 20_000, "md")
  make("Notes", 3, 10_000, "md")
  run("schedule", "add", "nightly", "--cron", "0 3 * * *", "--", "copy", "-T", "Documents", "backup/Documents")
  run("schedule", "add", "check", "--cron", "@weekly", "--failures", "3", "--", "verify", "Notes", "backup/Notes")
  run("schedule", "add", "photos", "--cron", "30 4 * * 1-5", "--", "thumbnail", "Photos", "--output", "Thumbnails")
  run("schedule", "add", "sums", "--cron", "0 */6 * * *", "--", "hash", "Music", "--output", "music.b3")
  for (const name of ["nightly", "check"]) {
    run("schedule", "run", name)
    run("jobs", "resume", newest())
  }
  run("schedule", "pause", "sums")
}

try {
  const server = start("ui", "--no-open", "--port", "0")
  const file = await new Promise((resolve) => {
    server.stdout?.on("data", (text) => {
      const found = /is in (.*)/.exec(String(text))
      if (found !== null) resolve(found[1])
    })
  })
  // Each browser needs another one.
  const address = () => readFileSync(String(file), "utf8").trim()
  const executablePath = execFileSync("which", ["chromium"], { encoding: "utf8" }).trim()
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] })
  /** @param {"light" | "dark"} colorScheme @param {number} height */
  const opened = async (colorScheme, height) => {
    const context = await browser.newContext({
      colorScheme,
      deviceScaleFactor: 2,
      timezoneId: "Europe/Berlin",
      viewport: { width: 1280, height }
    })
    const page = await context.newPage()
    await page.goto(address())
    return page
  }
  /** @param {import("playwright-core").Page} page @param {string} file */
  const take = async (page, file) => {
    // Few colours are all that there is.
    await sharp(await page.screenshot()).png({ palette: true, colours: 64, effort: 10 }).toFile(join(images, file))
  }
  const list = await opened("dark", 540)
  const id = await jobs()
  await list.click("#news")
  await setTimeout(1000)
  await take(list, "ui-jobs.png")
  const job = await opened("light", 800)
  await job.goto(`${address().replace(/#.*/, "")}#/jobs/${id}`)
  await job.waitForSelector(".plot .line")
  await setTimeout(2000)
  await take(job, "ui-job.png")
  schedules()
  const last = await opened("light", 380)
  await last.goto(`${address().replace(/#.*/, "")}#/schedules`)
  await last.waitForSelector("table.schedules")
  await setTimeout(1000)
  await take(last, "ui-schedules.png")
  await browser.close()
} finally {
  for (const child of started) child.kill("SIGINT")
  await Promise.all(ended)
  rmSync(home, { recursive: true })
}
