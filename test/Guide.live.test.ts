import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { setTimeout as wait } from "node:timers/promises"
import { output, pack, quickly, run } from "./packed.ts"

// The guide, done as a reader would do it: in an empty folder, chapter after chapter, with the packages as npm would
// publish them. What a page says that is printed is printed.
const root = path.dirname(import.meta.dirname)
const guide = path.join(root, "docs/guide")
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-guide-"))
const club = path.join(folder, "club")
const chapters = fs.readdirSync(guide).filter((name) => /^\d\d-.*\.md$/.test(name)).toSorted()

let archives: ReadonlyMap<string, string>

beforeAll(() => {
  const packed = pack(["core", "ops", "cli"], folder)
  const { devDependencies } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))
  archives = new Map([
    ...packed.map((file) => [`@fanout/${/fanout-(\w+)-[^/]*$/.exec(file)?.[1]}`, file] as const),
    ...["effect", "typescript", "@types/node"].map((name) => [name, `${name}@${devDependencies[name]}`] as const)
  ])
}, 240_000)

afterAll(() => fs.rmSync(folder, { recursive: true }))

interface Block {
  readonly language: string
  readonly text: string
}

const blocksOf = (chapter: string): ReadonlyArray<Block> =>
  Array.from(
    fs.readFileSync(path.join(guide, chapter), "utf8").matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm),
    ([, language = "", text = ""]) => ({ language, text })
  )

/** What a reader would install comes from this workspace, or in the version that it is tested with. */
const installed = (script: string): string =>
  script.replaceAll(
    /^npm install .*$/gm,
    (line) => line.split(" ").map((word) => archives.get(word) ?? word).concat(quickly).join(" ")
  )

/** Columns are as wide as what is in them. */
const narrow = (text: string): string => text.replaceAll(/ {2,}/g, " ")

/** Text in which an ellipsis stands for what is different each time. */
const pattern = (text: string): RegExp =>
  new RegExp(`^${text.split("…").map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("[^\\n]+")}$`)

/** Does what a block says, after what the blocks before it in the same chapter have written. */
const perform = (written: Set<string>, { language, text }: Block, next: Block | undefined) => {
  const cwd = fs.existsSync(club) ? club : folder
  if (language === "ts" || language === "json") {
    const [, name, content] = /^\/\/ file: (\S+)\n([\s\S]*)$/.exec(text) ?? []
    assert(name !== undefined && content !== undefined, `a block of no file: ${text}`)
    if (written.has(name)) fs.appendFileSync(path.join(cwd, name), content)
    else fs.writeFileSync(path.join(cwd, name), content)
    written.add(name)
  }
  if (language === "sh") {
    const { status, stderr, stdout } = run(cwd, "bash", "-ec", installed(text))
    assert.strictEqual(status, 0, `${text}${stdout}${stderr}`)
    const [said, expected] = [narrow(stdout), next?.language === "text" ? narrow(next.text) : undefined]
    if (expected !== undefined && !pattern(expected).test(said)) assert.strictEqual(said, expected, text)
  }
}

/** How many mailings there are by now. */
const mailings = (cwd: string): number => {
  const file = path.join(cwd, "club.db")
  if (!fs.existsSync(file)) return 0
  const database = new DatabaseSync(file, { timeout: 1000 })
  const { amount } = database.prepare("SELECT count(*) AS amount FROM fanout_jobs WHERE name = 'club/Mailing'").get() ??
    {}
  database.close()
  return Number(amount)
}

/** Runs programs of a chapter that have jobs twice more. They end well, and nobody gets a second letter. */
const runsAgain = (lines: ReadonlyArray<string>) => {
  const before = mailings(club)
  for (const line of new Set(lines.filter((line) => /^node \w+\.ts\b[^&]*$/.test(line) && !line.includes("ask.ts")))) {
    const [, file = "", ...args] = line.split(" ")
    if (!/@fanout\/core\/node|\/runtime\.ts/.test(fs.readFileSync(path.join(club, file), "utf8"))) continue
    const again = () => run(club, process.execPath, file, ...args)
    const [second, third] = [again(), again()]
    assert.deepStrictEqual([second.status, third.status], [0, 0], `${line}\n${second.stderr}${third.stderr}`)
    assert.strictEqual(third.stdout, second.stdout, line)
  }
  assert.strictEqual(mailings(club), before)
}

describe("docs/guide", () => {
  it.each(chapters)("%s does what it says, and type-checks", (chapter) => {
    const blocks = blocksOf(chapter)
    const written = new Set<string>()

    for (const [i, block] of blocks.entries()) perform(written, block, blocks[i + 1])

    assert.isNotEmpty(blocks)
    // What an earlier chapter has shown aside may be of what it was then.
    const sources = Array.from(written).filter((name) => name.endsWith(".ts"))
    fs.writeFileSync(path.join(club, "chapter.json"), JSON.stringify({ extends: "./tsconfig.json", files: sources }))
    if (sources.length > 0) assert.strictEqual(output(club, "npx", "tsc", "--project", "chapter.json"), "")
    runsAgain(blocks.flatMap(({ language, text }) => language === "sh" ? text.split("\n") : []))
  })

  it("sends each letter of the first chapter once, but those that were not recorded at the kill", () => {
    const sent = fs.readFileSync(path.join(club, "sent.txt"), "utf8").trim().split("\n")

    assert.lengthOf(new Set(sent), 1000)
    assert.isBelow(sent.length, 1000 + 256)
  })

  it("has programs that go on after a failure and a kill, and are run again and again", async () => {
    const place = path.join(folder, "again")
    fs.mkdirSync(place)
    for (const file of fs.globSync("*.{ts,json}", { cwd: club })) {
      fs.copyFileSync(path.join(club, file), path.join(place, file))
    }
    fs.symlinkSync(path.join(club, "node_modules"), path.join(place, "node_modules"))
    const sql = (statement: string) => {
      const database = new DatabaseSync(path.join(place, "club.db"), { timeout: 1000 })
      const found = database.prepare(statement).all()
      database.close()
      return found
    }
    const again = (words: ReadonlyArray<string>, said: RegExp) => {
      for (let n = 0; n < 3; n++) {
        const { status, stderr, stdout } = run(place, process.execPath, ...words)
        assert.strictEqual(status, 0, stderr)
        assert.match(stdout, said)
      }
    }
    const sent = /^Going on\n2000 sent\n$/
    const seals = /^200 seals, \d+ hashes\n$/
    run(place, process.execPath, "main.ts", "first", "1")

    for (const [words, said] of [[["main.ts", "failed", "2000"], sent], [["sealMain.ts"], seals]] as const) {
      sql("CREATE TRIGGER full BEFORE INSERT ON fanout_checkpoints BEGIN SELECT RAISE(ABORT, 'no room'); END")
      const { status, stderr } = run(place, process.execPath, ...words)
      sql("DROP TRIGGER full")
      assert.deepStrictEqual([status, stderr.includes("no room")], [1, true], stderr)
      again(words, said)
    }
    const more = /^300 seals, \d+ hashes\n$/
    for (const [words, said] of [[["main.ts", "killed", "2000"], sent], [["sealMain.ts", "300"], more]] as const) {
      sql("DELETE FROM fanout_checkpoints")
      const child = spawn(process.execPath, words, { cwd: place, stdio: "ignore" })
      while (sql("SELECT 1 FROM fanout_checkpoints").length === 0) await wait(10)
      child.kill("SIGKILL")
      await once(child, "exit")
      assert.strictEqual(child.signalCode, "SIGKILL", "ended before it could be killed")
      again(words, said)
    }

    assert.strictEqual(mailings(place), 3)
  }, 240_000)

  it("is listed by its first page, in order", () => {
    const listed = fs.readFileSync(path.join(guide, "README.md"), "utf8").matchAll(/^\d+\. \[[^\]]+\]\((.*\.md)\)/gm)

    assert.deepStrictEqual(Array.from(listed, ([, name]) => name), chapters)
  })
})
