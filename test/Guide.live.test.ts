import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
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
    return stdout
  }
  return ""
}

describe("docs/guide", () => {
  it.each(chapters)("%s does what it says, and type-checks", (chapter) => {
    const blocks = blocksOf(chapter)
    const written = new Set<string>()

    const said = blocks.map((block, i) => perform(written, block, blocks[i + 1])).join("")

    assert.isNotEmpty(blocks)
    // What an earlier chapter has shown aside may be of what it was then.
    const sources = Array.from(written).filter((name) => name.endsWith(".ts"))
    fs.writeFileSync(path.join(club, "chapter.json"), JSON.stringify({ extends: "./tsconfig.json", files: sources }))
    if (sources.length > 0) assert.strictEqual(output(club, "npx", "tsc", "--project", "chapter.json"), "")
    // What the first chapter promises is more than the page can say.
    if (chapter === chapters[0]) assert.match(said, /Going on after [1-9]\d*\n/)
  })

  it("is listed by its first page, in order", () => {
    const listed = fs.readFileSync(path.join(guide, "README.md"), "utf8").matchAll(/^\d+\. \[[^\]]+\]\((.*\.md)\)/gm)

    assert.deepStrictEqual(Array.from(listed, ([, name]) => name), chapters)
  })
})
