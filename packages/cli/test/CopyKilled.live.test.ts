import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { assertSame, bytes, contentsOf, freshPlace, hasStrace, meeting, run, strays } from "./faults.ts"
import { killEverywhere, type Point } from "./killing.ts"

/** Files that are replaced, and what was there before. */
const replaced = { "./old": "the old one", "./folder/old": "another old one", "./old large": "small before" }

/** What is copied by all of them. */
let source = ""
let sourceContents: ReadonlyMap<string, string> = new Map()

const plant = (): void => {
  source = freshPlace().source
  const at = (name: string) => path.join(source, name)
  fs.mkdirSync(at("folder/deep/empty"), { recursive: true })
  for (const name of ["a", "b", "folder/c", "folder/deep/d", "old", "folder/old"]) {
    fs.writeFileSync(at(name), `text of ${name}\n`.repeat(50))
  }
  fs.writeFileSync(at("nothing"), "")
  fs.writeFileSync(at("large"), bytes(9 * 2 ** 20, 1))
  fs.writeFileSync(at("old large"), bytes(9 * 2 ** 20, 2))
  fs.symlinkSync("folder/c", at("link"))
  fs.symlinkSync("../nowhere", at("folder/link"))
  fs.linkSync(at("a"), at("folder/a again"))
  fs.chmodSync(at("b"), 0o640)
  fs.chmodSync(at("folder/deep"), 0o750)
  for (const name of ["folder/deep", "folder", "."]) fs.utimesSync(at(name), 1_500_000_000, 1_500_000_000.25)
  sourceContents = contentsOf(source)
}

/** A target with what is to be replaced in it. */
const freshTarget = () => {
  const { place, target } = freshPlace()
  for (const [name, text] of Object.entries(replaced)) {
    fs.mkdirSync(path.dirname(path.join(target, name)), { recursive: true })
    fs.writeFileSync(path.join(target, name), text)
  }
  const before = contentsOf(target)
  return { place, target, before }
}

/** What is there after a kill is what was there before, or what is copied, and never anything else. */
const assertOldOrNew = (target: string, before: ReadonlyMap<string, string>, message: string): void => {
  for (const [name, content] of contentsOf(target)) {
    if (name.includes("/.fanout-")) continue
    assert.include([before.get(name), sourceContents.get(name)], content, `${message}: ${name}`)
  }
  for (const name of before.keys()) assert.isTrue(fs.existsSync(path.join(target, name)), `${message}: ${name} is gone`)
}

/** Kills a copy at a call, and runs it again; tells whether it was killed. */
const killAndGoOn = (options: ReadonlyArray<string>, { call, nth }: Point): boolean => {
  const { before, place, target } = freshTarget()
  const args = ["copy", ...options, "-T", source, target]
  const message = `${args.slice(0, -3).join(" ")}, killed at ${call} ${nth}`

  const killed = run(place, args, meeting({ calls: [call], fault: `signal=KILL:when=${nth}` }))
  assertOldOrNew(target, before, message)
  const again = run(place, args)

  assert.strictEqual(again.status, 0, `${message}: ${again.stderr}`)
  assert.deepStrictEqual(strays(target), [], message)
  assertSame(source, target, message)
  if (options.includes("all")) {
    const [one, other] = ["a", "folder/a again"].map((name) => fs.statSync(path.join(target, name)).ino)
    assert.strictEqual(one, other, message)
  }
  fs.rmSync(place, { recursive: true })
  return killed.status !== 0
}

const kinds: ReadonlyArray<ReadonlyArray<string>> = [
  [],
  ["--durable"],
  ["--preserve", "all"],
  ["--conflict", "overwrite"]
]

describe.skipIf(!hasStrace)("a copy that is killed at a call that changes the disk (needs strace)", () => {
  beforeAll(plant)

  it.each(kinds.map((options) => ({ options, name: options.join(" ") || "no options" })))(
    "ends well when it is started again: $name",
    { timeout: 1_800_000 },
    ({ options }) => {
      const { place, target } = freshTarget()
      const args = ["copy", ...options, "-T", source, target]
      killEverywhere({ place, args, trees: [target], atLeast: 50 }, (point) => killAndGoOn(options, point))
    }
  )
})
