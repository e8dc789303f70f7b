import { assert, describe, it } from "@effect/vitest"
import type { Calls } from "@fanout/ops/Calls"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import { now } from "../src/internal/files/routine.ts"
import { unsettled } from "../src/internal/steps/unit.ts"
import { fill } from "../src/internal/units/draftFilling.ts"
import { settle } from "../src/internal/units/placement.ts"
import { removeSources, type SourcesRemoved, type ToRemove } from "../src/internal/units/sourceRemoval.ts"
import { faultyCalls } from "./faultyCalls.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { unitOf } from "./unitOf.ts"

const yes = () => true
const nothing: SourcesRemoved = { removed: [], isStuck: false }

/** Removes all that is to be. */
const remove = (calls: Calls, toRemove: ToRemove) =>
  now(removeSources, calls, unit, toRemove, { mayGoOn: yes, mayPublish: yes }, nothing)

const aside = FilePath.make(".fanout-aside")

/** A folder with folders in it, some of them empty, files, a link, and a device that a unit leaves. */
const plant = () => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["", "/a", "/a/b", "/a/b/empty", "/a/c", "/a/c/empty", "/d"]) disk.folder(`/from${folder}`)
  for (const file of ["a/1", "a/b/2", "a/b/3", "a/c/4", "d/5"]) disk.file(`/from/${file}`, `text of ${file}`)
  disk.symlink("/from/a/link", "1")
  disk.special("/from/a/b/device")
  disk.folder("/to")
  return disk
}

const unit = unitOf({
  source: "/from",
  target: "/to",
  names: ["a", "d"],
  areFolders: true,
  isMove: true,
  waits: true,
  keeps: CopyOptions.Property.literals
})

/** Copies, as far as so many folders may be begun, and tells what is to be removed then. */
const copied = (calls: Calls, mostFolders = Number.POSITIVE_INFINITY): ToRemove => {
  let begun = 0
  const mayBegin = () => ++begun < mostFolders
  const filled = now(fill, calls, unit, { mayBegin, mayGoOn: yes, mayPublish: yes, isLeftover: undefined })
  const { placed } = now(settle, calls, unit, { ...filled, dropped: [] }, { mayGoOn: yes, mayPublish: yes }, unsettled)
  const there = placed.flatMap((index) => filled.placements[index] ?? [])
  return {
    aside,
    placed: there,
    kept: there.flatMap(({ copied: { rest } }) => rest.map(({ path }) => path)),
    isAgain: false
  }
}

/** Everything that there was is where it was, or where it is to be, and nothing has a name that is not its own. */
const assertWhole = (disk: MemoryFiles.Disk, original: Record<string, MemoryFiles.Seen>, why: string) => {
  const [from, to] = [disk.tree("/from"), disk.tree("/to")]
  for (const [path, seen] of Object.entries(original)) {
    const there = from[path] ?? to[path] ?? assert.fail(`${path} is gone: ${why}`)
    assert.strictEqual(there.kind, seen.kind, why)
    if (seen.kind === "file") assert.include(there, { text: seen.text }, `${path}: ${why}`)
  }
  assert.deepStrictEqual(Object.keys({ ...from, ...to }).filter((path) => !(path in original)), [], why)
}

describe("sources of folders that were moved", () => {
  it("are gone, but for what was left and the folders that it is in", () => {
    const disk = plant()
    const original = disk.tree("/from")
    const calls = MemoryFiles.callsOf(disk)
    const { isStuck, removed } = remove(calls, copied(calls))
    assert.deepStrictEqual([isStuck, removed.map(({ isGone, left }) => [isGone, left])], [false, [[false, []], [
      true,
      []
    ]]])
    assert.deepStrictEqual(Object.keys(disk.tree("/from")), ["a", "a/b", "a/b/device"])
    assertWhole(disk, original, "")
  })

  it("are removed one after the other where that is asked for, and all told", () => {
    const disk = plant()
    const calls = MemoryFiles.callsOf(disk)
    const toRemove = copied(calls)
    const limits = { mayGoOn: () => false, mayPublish: yes }
    const first = now(removeSources, calls, unit, toRemove, limits, nothing)
    assert.deepStrictEqual([first.removed.length, disk.see("/from/d") !== undefined], [1, true])
    const { isStuck, removed } = now(removeSources, calls, unit, toRemove, limits, first)
    assert.deepStrictEqual([isStuck, removed.map(({ isGone }) => isGone)], [false, [false, true]])
  })

  it("stay as far as they were not copied, also folders with nothing in them", () => {
    for (let most = 1; most < 9; most++) {
      const disk = plant()
      const original = disk.tree("/from")
      const calls = MemoryFiles.callsOf(disk)
      remove(calls, copied(calls, most))
      assertWhole(disk, original, String(most))
    }
  })

  it("stay where they are not what was copied, and are told with what else is left", () => {
    const disk = plant()
    const calls = MemoryFiles.callsOf(disk)
    const toRemove = copied(calls)
    disk.change(FilePath.make("/from/a/c/4"), () => "written to since")
    disk.file("/from/d/new", "came since")
    const { removed } = remove(calls, toRemove)
    assert.deepStrictEqual(removed.map(({ left }) => left.map(({ path }) => path)), [["a/c/4"], []])
    assert.deepStrictEqual(removed.map(({ isGone }) => isGone), [false, false])
    assert.include(disk.see("/from/a/c/4"), { text: "written to since" })
    assert.include(disk.see("/from/d/new"), { text: "came since" })
  })

  it("are told where a folder is left that was copied, in one that there is more to do in", () => {
    const disk = plant()
    const calls = MemoryFiles.callsOf(disk)
    const toRemove = copied(calls)
    disk.file("/from/a/c/new", "came since")
    const { removed } = remove(calls, toRemove)
    assert.deepStrictEqual(removed.map(({ isFolderLeft, left }) => [isFolderLeft, left]), [[true, []], [false, []]])
    assert.include(disk.see("/from/a/c/new"), { text: "came since" })
  })

  it("are no sources of another unit as long as they are put aside", () => {
    const disk = plant()
    const name = `/from/a/${aside}`
    disk.folder(name)
    disk.file(`${name}/6`, "put aside")
    const isLeftover = (name: FilePath.FilePath) => name === aside
    now(fill, MemoryFiles.callsOf(disk), unit, { mayBegin: yes, mayGoOn: yes, mayPublish: yes, isLeftover })
    assert.deepStrictEqual(Object.keys(disk.tree("/to")).filter((path) => path.includes(aside)), [])
  })

  it("that are gone with their folder hold nothing up", () => {
    const disk = plant()
    const calls = MemoryFiles.callsOf(disk)
    const toRemove = { ...copied(calls), isAgain: true }
    disk.remove("/from")
    assert.isFalse(remove(calls, toRemove).isStuck)
  })

  it("have their names where it is given up anywhere, or go on from there and are gone then", () => {
    for (const isKilled of [false, true]) {
      for (let at = 0;; at++) {
        const disk = plant()
        const original = disk.tree("/from")
        const toRemove = copied(MemoryFiles.callsOf(disk))
        let left = at
        const calls = faultyCalls(MemoryFiles.callsOf(disk), (call, path) => {
          if (isKilled ? left-- > 0 : left-- !== 0) return Effect.void
          return Effect.fail(FaultyFiles.error(call, path, "EIO"))
        })
        const { isStuck } = remove(calls, toRemove)
        const why = `${at} ${isKilled}`
        if (!isStuck && !isKilled) assertWhole(disk, original, why)
        const again = remove(MemoryFiles.callsOf(disk), { ...toRemove, isAgain: true })
        assert.isFalse(again.isStuck, why)
        assertWhole(disk, original, why)
        // One that has its name again is another one by its time of change, so that it is copied anew.
        const isLeft = again.removed.some((one) => one.left.length > 0)
        assert.isFalse(isKilled && isLeft, why)
        if (!isLeft) assert.deepStrictEqual(Object.keys(disk.tree("/from")), ["a", "a/b", "a/b/device"], why)
        if (left >= 0) break
      }
    }
  })

  it("stay where a run that goes on does not find their copies any more", () => {
    const disk = plant()
    const calls = MemoryFiles.callsOf(disk)
    const toRemove = { ...copied(calls), isAgain: true }
    disk.remove("/to/a/c/4")
    disk.change(FilePath.make("/to/a/b/2"), () => "shorter")
    const { removed } = remove(calls, toRemove)
    assert.deepStrictEqual(removed.flatMap(({ left }) => left.map(({ path }) => path)).toSorted(), ["a/b/2", "a/c/4"])
    assert.include(disk.see("/from/a/c/4"), { text: "text of a/c/4" })
  })
})
