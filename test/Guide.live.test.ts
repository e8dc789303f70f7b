import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { isLong } from "./effort.ts"
import { output, pack, quickly, run } from "./packed.ts"
import { endless, rows } from "./rows.ts"

// The guide, done as a reader would do it: in an empty folder, chapter after chapter, with the packages as npm would
// publish them. What a page says that is printed is printed.
const root = path.dirname(import.meta.dirname)
const guide = path.join(root, "docs/guide")
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-guide-"))
const club = path.join(folder, "club")
// What Node has compiled serves the next process, too.
process.env["NODE_COMPILE_CACHE"] = path.join(folder, "compiled")
const chapters = fs.readdirSync(guide).filter((name) => /^\d\d-.*\.md$/.test(name)).toSorted()

let archives: ReadonlyMap<string, string>
/** The programs of all chapters, as each chapter has left them. */
const sources: Array<string> = []

beforeAll(async () => {
  const packed = await pack(["core", "cli"], folder)
  const { devDependencies } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))
  archives = new Map([
    ...packed.map((file) => [`@fanout/${/fanout-(\w+)-[^/]*$/.exec(file)?.[1]}`, file] as const),
    ...["effect", "@effect/platform-node", "typescript", "@types/node"].map((name) =>
      [name, `${name}@${devDependencies[name]}`] as const
    )
  ])
})

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

/**
 * What a reader would install comes from this workspace, or in the version that it is tested with. Where a reader waits
 * for some seconds, until work is under way, a test waits for just that: it may take longer on a busy machine.
 */
const adapted = (script: string): string =>
  `sleep() { node ${path.join(import.meta.dirname, "untilRecordedChild.ts")}; }\n` +
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
const perform = async (written: Set<string>, { language, text }: Block, next: Block | undefined) => {
  const cwd = fs.existsSync(club) ? club : folder
  if (language === "ts" || language === "json") {
    const [, name, content] = /^\/\/ file: (\S+)\n([\s\S]*)$/.exec(text) ?? []
    assert(name !== undefined && content !== undefined, `a block of no file: ${text}`)
    if (written.has(name)) fs.appendFileSync(path.join(cwd, name), content)
    else fs.writeFileSync(path.join(cwd, name), content)
    written.add(name)
  }
  if (language === "sh") {
    const { status, stderr, stdout } = await run(cwd, "bash", "-ec", adapted(text))
    assert.strictEqual(status, 0, `${text}${stdout}${stderr}`)
    const [said, expected] = [narrow(stdout), next?.language === "text" ? narrow(next.text) : undefined]
    if (expected !== undefined && !pattern(expected).test(said)) assert.strictEqual(said, expected, text)
  }
}

/** How many mailings there are by now. */
const mailings = (cwd: string): number =>
  Number(rows(path.join(cwd, "club.db"), "SELECT count(*) AS n FROM fanout_jobs WHERE name = 'club/Mailing'")[0]?.["n"])

/** What a chapter runs to its end, and has jobs. */
const withJobs = (blocks: ReadonlyArray<Block>): ReadonlyArray<string> =>
  blocks.flatMap(({ language, text }) => language === "sh" ? text.split("\n") : []).filter((line) => {
    const [, file] = /^node (\w+\.ts)\b[^&]*$/.exec(line) ?? []
    return file !== undefined && file !== "ask.ts" &&
      /@fanout\/core\/node|\/runtime\.ts/.test(fs.readFileSync(path.join(club, file), "utf8"))
  })

/** Runs programs twice more. They end well, and nobody gets a second letter. */
const runsAgain = async (lines: Iterable<string>) => {
  const before = mailings(club)
  for (const line of lines) {
    const again = () => run(club, "bash", "-c", line)
    const [second, third] = [await again(), await again()]
    assert.deepStrictEqual([second.status, third.status], [0, 0], `${line}\n${second.stderr}${third.stderr}`)
    assert.strictEqual(third.stdout, second.stdout, line)
  }
  assert.strictEqual(mailings(club), before)
}

describe("docs/guide", () => {
  it.each(chapters)("%s does what it says, again and again", async (chapter) => {
    const blocks = blocksOf(chapter)
    const written = new Set<string>()

    for (const [i, block] of blocks.entries()) await perform(written, block, blocks[i + 1])

    assert.isNotEmpty(blocks)
    // As they are now: a later chapter may write another file of a name that these import.
    const copies = path.join(club, "chapters", chapter)
    fs.mkdirSync(copies, { recursive: true })
    for (const file of fs.globSync("*.ts", { cwd: club })) {
      fs.copyFileSync(path.join(club, file), path.join(copies, file))
    }
    for (const file of written) if (file.endsWith(".ts")) sources.push(path.join("chapters", chapter, file))
    // A quick run has the last program of each chapter.
    await runsAgain(new Set(withJobs(blocks).slice(isLong ? 0 : -1)))
  })

  it("has programs that type-check, each beside those of its chapter", async () => {
    fs.writeFileSync(path.join(club, "chapters.json"), JSON.stringify({ extends: "./tsconfig.json", files: sources }))

    assert.strictEqual(await output(club, "node_modules/.bin/tsc", "--project", "chapters.json"), "")
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
    const sql = (statement: string) => rows(path.join(place, "club.db"), statement)
    const again = async (words: ReadonlyArray<string>, said: RegExp) => {
      for (let n = 0; n < (isLong ? 3 : 1); n++) {
        const { status, stderr, stdout } = await run(place, process.execPath, ...words)
        assert.strictEqual(status, 0, stderr)
        assert.match(stdout, said)
      }
    }
    const sent = [["main.ts", "failed", "2000"], /^Going on\n2000 sent\n$/] as const
    const sealed = [["sealMain.ts"], /^200 seals, \d+ hashes\n$/] as const
    await run(place, process.execPath, "main.ts", "first", "1")

    for (const [words, said] of isLong ? [sent, sealed] : [sent]) {
      sql("CREATE TRIGGER full BEFORE INSERT ON fanout_checkpoints BEGIN SELECT RAISE(ABORT, 'no room'); END")
      const { status, stderr } = await run(place, process.execPath, ...words)
      sql("DROP TRIGGER full")
      assert.deepStrictEqual([status, stderr.includes("no room")], [1, true], stderr)
      await again(words, said)
    }
    const others = [["main.ts", "killed", "2000"], sent[1]] as const
    const more = [["sealMain.ts", "300"], /^300 seals, \d+ hashes\n$/] as const
    for (const [words, said] of isLong ? [others, more] : [more]) {
      sql("DELETE FROM fanout_checkpoints")
      sql(`CREATE TRIGGER endless BEFORE INSERT ON fanout_checkpoints
        WHEN EXISTS (SELECT 1 FROM fanout_checkpoints) BEGIN ${endless} END`)
      const child = spawn(process.execPath, words, { cwd: place, stdio: "ignore" })
      const ended = once(child, "exit")
      while (child.exitCode === null && sql("SELECT 1 FROM fanout_checkpoints").length === 0) await wait(10)
      child.kill("SIGKILL")
      await ended
      sql("DROP TRIGGER endless")
      assert.strictEqual(child.signalCode, "SIGKILL", "ended before it could be killed")
      await again(words, said)
    }

    assert.strictEqual(mailings(place), isLong ? 3 : 2)
  })

  it("is listed by its first page, in order", () => {
    const listed = fs.readFileSync(path.join(guide, "README.md"), "utf8").matchAll(/^\d+\. \[[^\]]+\]\((.*\.md)\)/gm)

    assert.deepStrictEqual(Array.from(listed, ([, name]) => name), chapters)
  })
})
