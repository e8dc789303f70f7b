import * as fs from "node:fs"
import * as path from "node:path"
import { type Browser, chromium, type Page } from "playwright-core"
import { onTestFinished } from "vitest"

const names = ["chromium", "chromium-browser", "google-chrome", "chrome"]

/** The browser of this machine. Debian has it in its package `chromium`. */
const program = (process.env["PATH"] ?? "").split(path.delimiter).flatMap((folder) =>
  folder === "" ? [] : names.map((name) => path.join(folder, name))
).find((file) => fs.existsSync(file))

/** Without a browser its tests are skipped, but where they must not be. */
export const isBrowserMissing = program === undefined && process.env["FANOUT_BROWSER"] !== "required"

/** What the tests are about, and what they need where they can't run. */
export const titled = (about: string): string => isBrowserMissing ? `${about} (needs chromium in PATH)` : about

export const launch = (): Promise<Browser> => {
  if (program === undefined) throw new Error("There is no chromium in PATH: apt-get install chromium")
  // Root has no sandbox, and small machines have little shared memory.
  return chromium.launch({ executablePath: program, args: ["--no-sandbox", "--disable-dev-shm-usage"] })
}

export interface Look {
  readonly width?: number
  readonly colorScheme?: "light" | "dark"
}

/** A page of somebody of his own, with all that its console complains about. */
export const person = async (browser: Browser, { colorScheme = "light", width = 1440 }: Look = {}) => {
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 }, reducedMotion: "reduce" })
  onTestFinished(() => context.close())
  const page = await context.newPage()
  const complaints: Array<string> = []
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text())
  })
  page.on("pageerror", (error) => complaints.push(error.message))
  return { page, complaints }
}

/** Goes to a place within the page. */
export const visit = (page: Page, hash: string): Promise<void> =>
  page.evaluate((hash) =>
    new Promise<void>((done) => {
      if (location.hash === hash) return done()
      // What is shown there is drawn in a later turn.
      addEventListener("hashchange", () => requestAnimationFrame(() => requestAnimationFrame(() => done())), {
        once: true
      })
      location.hash = hash
    }), hash)
