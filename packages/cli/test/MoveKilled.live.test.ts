import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { bytes, contentsOf, freshPlace, hasStrace, mayMount, meeting, mount, run, strays, treeOf } from "./faults.ts"
import { killEverywhere, type Point } from "./killing.ts"

let disk = ""
let targets = 0

/** Files that are moved together, and what is not: a link, a file with two names, a large one, and an empty folder. */
const plant = (source: string): void => {
  const at = (name: string) => path.join(source, name)
  fs.mkdirSync(at("folder/empty"), { recursive: true })
  for (const name of ["a", "b", "c", "folder/d", "folder/e", "folder/f"]) {
    fs.writeFileSync(at(name), `text of ${name}\n`.repeat(50))
  }
  fs.writeFileSync(at("large"), bytes(9 * 2 ** 20, 1))
  fs.symlinkSync("folder/d", at("link"))
  fs.linkSync(at("a"), at("folder/a again"))
  fs.chmodSync(at("b"), 0o640)
  for (const name of ["folder/empty", "folder", "."]) fs.utimesSync(at(name), 1_500_000_000, 1_500_000_000.25)
}

/** A source, and a target on another file system, or one that is there on the same. */
const fresh = (isElsewhere: boolean) => {
  const { place, source, target: there } = freshPlace()
  plant(source)
  if (!isElsewhere) fs.mkdirSync(there)
  return { place, source, target: isElsewhere ? path.join(disk, String(targets++)) : there }
}

/** Each file is whole where it was, where it is to be, or right before its removal under another name. */
const assertWhole = (original: ReadonlyMap<string, string>, trees: ReadonlyArray<string>, message: string): void => {
  const [here = new Map<string, string>(), there = new Map<string, string>()] = trees.map(contentsOf)
  const aside = new Set(Array.from(here).flatMap(([name, content]) => name.includes("/.fanout-") ? [content] : []))
  for (const [name, content] of original) {
    const isWhole = here.get(name) === content || there.get(name) === content || aside.has(content)
    assert.isTrue(isWhole, `${message}: ${name}`)
  }
}

/** Kills a move at a call, and runs it again; tells whether it was killed. */
const killAndGoOn = (isElsewhere: boolean, options: ReadonlyArray<string>, { call, nth }: Point): boolean => {
  const { place, source, target } = fresh(isElsewhere)
  const [contents, tree] = [contentsOf(source), treeOf(source)]
  const args = ["move", ...options, "-T", source, target]
  const message = `${options.join(" ")} killed at ${call} ${nth}`

  const killed = run(place, args, meeting({ calls: [call], fault: `signal=KILL:when=${nth}` }))
  assertWhole(contents, [source, target], message)
  const again = run(place, args)

  // After the end there is nothing more to move.
  const isOver = again.status === 2 && !fs.existsSync(source)
  assert.isTrue(again.status === 0 || isOver, `${message}: ${again.stderr}`)
  assert.isFalse(fs.existsSync(source), message)
  assert.deepStrictEqual(strays(target), [], message)
  assert.deepStrictEqual(Object.fromEntries(treeOf(target)), Object.fromEntries(tree), message)
  const [one, other] = ["a", "folder/a again"].map((name) => fs.statSync(path.join(target, name)).ino)
  assert.strictEqual(one, other, message)
  for (const root of [place, target]) fs.rmSync(root, { recursive: true, force: true })
  return killed.status !== 0
}

describe.skipIf(!hasStrace || !mayMount)(
  "a move that is killed at a call that changes the disk (needs root, strace)",
  () => {
    beforeAll(() => {
      disk = path.join(freshPlace().place, "disk")
      mount(disk, "-t", "tmpfs", "-o", "size=200m", "tmpfs")
    })

    it.each([
      { name: "to another file system", isElsewhere: true, options: [], atLeast: 50 },
      { name: "to another file system, one by one", isElsewhere: true, options: ["--conflict", "rename"], atLeast: 50 },
      { name: "into a folder that is there", isElsewhere: false, options: [], atLeast: 15 }
    ])("ends well when it is started again: $name", { timeout: 1_800_000 }, ({ atLeast, isElsewhere, options }) => {
      const { place, source, target } = fresh(isElsewhere)
      const args = ["move", ...options, "-T", source, target]
      killEverywhere(
        { place, args, trees: [source, target], atLeast },
        (point) => killAndGoOn(isElsewhere, options, point)
      )
    })
  }
)
