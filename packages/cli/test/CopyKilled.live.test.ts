import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { assertSame, bytes, contentsOf, freshPlace, hasStrace, isLong, meeting, run, strays, told } from "./faults.ts"

/** Calls that change what is on a disk, and that a copy or its database makes. */
const changing = [
  "openat",
  "write",
  "pwrite64",
  "copy_file_range",
  "linkat",
  "renameat",
  "renameat2",
  "mkdirat",
  "symlinkat",
  "unlinkat",
  "fchmod",
  "fchmodat",
  "fchown",
  "fchownat",
  "utimensat",
  "fsetxattr",
  "ftruncate",
  "fsync",
  "fdatasync",
  "syncfs"
]

/** Files that are replaced, and what was there before. */
const replaced = { "./old": "the old one", "./folder/old": "another old one", "./old large": "small before" }

/** What is copied by all of them. */
let sourcePlace = ""
let source = ""
let sourceContents: ReadonlyMap<string, string> = new Map()

const plant = (): void => {
  ;({ place: sourcePlace, source } = freshPlace())
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

interface Point {
  readonly call: string
  /** Its number among such calls of its thread, from 1. */
  readonly nth: number
}

/** Calls of a copy that change what is in its target, and those that change its database. */
const pointsOf = (options: ReadonlyArray<string>) => {
  const { place, target } = freshTarget()
  const trace = path.join(sourcePlace, "trace")
  const { status, stderr } = run(place, ["copy", ...options, "-T", source, target], meeting({ calls: changing, trace }))
  assert.strictEqual(status, 0, stderr)
  const counts = new Map<string, number>()
  const found = { target: new Map<string, Point>(), database: new Map<string, Point>() }
  for (const line of told(trace).split("\n")) {
    const [, thread = "", call = ""] = /^(\d+) +(\w+)\(/.exec(line) ?? []
    if (call === "") continue
    const nth = (counts.get(`${thread} ${call}`) ?? 0) + 1
    counts.set(`${thread} ${call}`, nth)
    if (call === "openat" && !/O_CREAT|O_TMPFILE/.test(line)) continue
    if (line.includes(target)) found.target.set(`${call} ${nth}`, { call, nth })
    else if (line.includes(path.join(place, "state"))) found.database.set(`${call} ${nth}`, { call, nth })
  }
  return { target: Array.from(found.target.values()), database: Array.from(found.database.values()) }
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

/** In a quick run so many calls are tried of each kind of copy, spread over all of them. */
const tried = isLong ? Number.POSITIVE_INFINITY : 6

const spread = <A>(all: ReadonlyArray<A>, most: number): ReadonlyArray<A> => {
  const step = Math.max(1, all.length / most)
  return Array.from({ length: Math.min(most, all.length) }, (_, i) => all[Math.floor(i * step)]).filter((one) =>
    one !== undefined
  )
}

describe.skipIf(!hasStrace)("a copy that is killed at a call that changes the disk (needs strace)", () => {
  beforeAll(plant)

  it.each(kinds.map((options) => ({ options, name: options.join(" ") || "no options" })))(
    "ends well when it is started again: $name",
    { timeout: 1_800_000 },
    ({ options }) => {
      const { database, target } = pointsOf(options)
      assert.isAbove(target.length, 50)
      // Most of its calls are the database's: some of them will do.
      const points = [...spread(target, tried), ...spread(database, isLong ? 40 : 2)]

      const killed = points.filter((point) => killAndGoOn(options, point)).length

      // Calls have not always the same order, so that one may be the last of its thread.
      assert.isAbove(killed, points.length / 2)
    }
  )
})
