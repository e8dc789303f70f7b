import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Filter from "@fanout/ops/Filter"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { runs } from "../../../test/effort.ts"
import * as FileTree from "../src/internal/tree/fileTree.ts"

const names = ["a.txt", ".b", "..a", "!a", "#a", "a ", "a\\", "\\a", "a\nb", "-", "[a]", "B", "a\udcff", "a\r"]
const folders = ["a", "b", "A", "ab", "\udcff", "a/a", "a/b", "b/a", "b/a/b", "b/!b"]

const usual = ["a", "b", "A", "*", "?", "??", "**", "a*", "*a", "*.txt", "*b*", "a?b", "[ab]", "[!a]", "[[:punct:]]*"]
const odd = ["\\!a", "!a", "\\#a", "#a", "a\\ ", "a ", "a\\\\", "a\\", "\\\\a", "\\[a]", "[a", "..a", ".b", "..", ""]
const Pattern = Schema.Struct({
  start: Schema.Literals(["", "", "/", "!", "!/"]),
  names: Schema.NonEmptyArray(Schema.Literals([...usual, ...usual, ...odd, "\udcff", "a\r"])),
  end: Schema.Literals(["", "", "/"])
})

const root = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-filter-"))
const tree = path.join(root, "tree")
const rulesFile = path.join(root, "rules")
const repository = path.join(root, "repository")

const bytes = (text: string): Buffer => Buffer.from(FilePath.toBytes(FilePath.make(text)))

/** Files that git would take, with these lines as what it excludes. */
const takenByGit = (lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  fs.writeFileSync(rulesFile, bytes(lines.map((line) => `${line}\r\n`).join("")))
  const args = [`--git-dir=${repository}`, "--work-tree=.", "ls-files", "-oz", `--exclude-from=${rulesFile}`]
  const { status, stderr, stdout } = spawnSync("git", args, { cwd: tree, encoding: "latin1" })
  assert.strictEqual(status, 0, stderr)
  return stdout.split("\0").slice(0, -1).map((name) => FilePath.fromBytes(Buffer.from(name, "latin1"))).toSorted()
}

const taken = (rules: ReadonlyArray<Filter.Rule>) =>
  FileTree.walk({ sources: [FilePath.make(fs.realpathSync(tree))], filter: Filter.make(rules) }).pipe(
    Stream.runCollect,
    Effect.map((elements) => elements.flatMap(({ _tag, path }) => _tag === "Leaf" ? [path] : []).toSorted()),
    Effect.provide(SystemFiles.layer)
  )

const hasGit = spawnSync("git", ["--version"]).status === 0

describe.skipIf(!hasGit)("Filter", () => {
  beforeAll(() => {
    assert.strictEqual(spawnSync("git", ["init", "-q", "--bare", repository]).status, 0)
    for (const folder of ["", ...folders]) {
      fs.mkdirSync(bytes(`${tree}/${folder}`), { recursive: true })
      for (const name of names) fs.writeFileSync(bytes(`${tree}/${folder}/${name}`), "")
    }
    for (const file of ["A/a", "\udcff/a", "ab/ab", "a/a/b"]) fs.writeFileSync(bytes(`${tree}/${file}`), "")
  })
  afterAll(() => fs.rmSync(root, { recursive: true }))

  it.effect.prop(
    "leaves out what git leaves out, and refuses what git never matches",
    { patterns: Schema.NonEmptyArray(Pattern) },
    ({ patterns }) =>
      Effect.gen(function*() {
        const texts = patterns.map(({ end, names, start }) => start + names.join("/") + end)
        const [rules, refused] = yield* Effect.partition(texts, Filter.parse)

        assert.deepStrictEqual(yield* taken(rules), takenByGit(rules))
        assert.deepStrictEqual(takenByGit(refused.map(({ text }) => text)), takenByGit([]))
      }),
    { arbitrary: { runs: runs(300) } }
  )
})
