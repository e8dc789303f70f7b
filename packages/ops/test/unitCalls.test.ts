import { assert, describe, it } from "@effect/vitest"
import { type Calls, isCode } from "@fanout/ops/Calls"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import { now } from "../src/internal/files/routine.ts"
import { removeOwn } from "../src/internal/files/treeRemoval.ts"
import { isUnfinished } from "../src/internal/path/unfinishedFolder.ts"
import { type CopiedUnit, type Losses, resultOf, type Unit, unsettled } from "../src/internal/steps/unit.ts"
import { fill } from "../src/internal/units/draftFilling.ts"
import { settle } from "../src/internal/units/placement.ts"
import { faultyCalls } from "./faultyCalls.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { unitOf } from "./unitOf.ts"

const draft = FilePath.make(".fanout-draft")
const yes = () => true

type Tree = Record<string, MemoryFiles.Seen>

/** Where a unit is copied, and how. */
interface World {
  readonly unit: Partial<Omit<Unit, "draft" | "names" | "source" | "target">>
  readonly renamesExclusively?: boolean
  /** What is there before in the place of the copies. */
  readonly there?: (disk: MemoryFiles.Disk) => void
  /** Whether a run after one that was killed has others deal with what is there, one by one. */
  readonly leavesMore?: boolean
}

const thereBefore = (disk: MemoryFiles.Disk): void => {
  for (const folder of ["/to/a", "/to/a/b", "/to/d"]) disk.folder(folder)
  disk.file("/to/a/1", "older")
  disk.file("/to/a/other", "of somebody else")
}

const worlds: Record<string, World> = {
  "to a new folder": { unit: {} },
  "where no rename is exclusive": { unit: {}, renamesExclusively: false },
  "into folders that are there": { unit: {}, there: thereBefore },
  "in the place of files": { unit: { conflict: "overwrite" }, there: thereBefore },
  "compared before": { unit: { waits: true, isVerified: true } },
  "compared before, in the place of files": {
    unit: { waits: true, isVerified: true, conflict: "overwrite" },
    there: thereBefore,
    leavesMore: true
  },
  "with all properties": { unit: { keeps: CopyOptions.Property.literals } },
  "with times only": { unit: { keeps: ["times"] } },
  "hashed on their way": { unit: { checksums: "sha256" }, leavesMore: true },
  "as what links lead to": { unit: { isFollowing: true } },
  "to be removed later": { unit: { isMove: true, waits: true }, leavesMore: true }
}

const plant = ({ renamesExclusively = true, there }: World) => {
  const disk = new MemoryFiles.Disk()
  disk.renamesExclusively = renamesExclusively
  for (const folder of ["", "/a", "/a/b", "/a/b/empty", "/d"]) disk.folder(`/from${folder}`)
  for (const file of ["a/1", "a/b/2", "d/3"]) disk.file(`/from/${file}`, `text of ${file}`)
  disk.file("/from/a/nothing", "")
  disk.symlink("/from/a/link", "1")
  disk.folder("/to")
  there?.(disk)
  return disk
}

/** What a unit has come to, and what copies lack. */
interface Copied extends CopiedUnit {
  readonly lost: Losses
}

/** Copies a unit, and removes what is left of its draft, as whoever has it copied does. */
const copy = (disk: MemoryFiles.Disk, calls: Calls, { unit: options }: World, isAgain: boolean): Copied => {
  const unit = unitOf({
    source: "/from",
    target: "/to",
    names: ["a", "d"],
    areFolders: true,
    draft,
    isAgain,
    ...options
  })
  const isLeftover = isAgain ? (name: FilePath.FilePath) => name === draft : undefined
  const filled = now(fill, calls, unit, { mayBegin: yes, mayGoOn: yes, mayPublish: yes, isLeftover })
  // What waits for its names is flushed before.
  disk.syncAll()
  const settled = filled.placements.length === 0
    ? unsettled
    : now(settle, calls, unit, { ...filled, dropped: [] }, { mayGoOn: yes, mayPublish: yes }, unsettled)
  const target = calls.openPath(unit.target, "folder").now()
  if (!isCode(target)) {
    now(removeOwn, calls, target, draft, (stat) => isUnfinished(stat, calls.user()))
    calls.closeNow(target)
  }
  const { lost, result } = resultOf(filled, settled)
  return { ...result, lost }
}

/** Whether there is more to do with what is at a path. */
const isLeft = ({ rest }: CopiedUnit, path: string): boolean =>
  rest.some((one) =>
    one.path === path ||
    [...one.names, ...one.folders].some((name) => FilePath.isWithin(FilePath.make(path), FilePath.join(one.path, name)))
  )

/** What was seen, but for properties that are told to be lost. */
const without = (seen: MemoryFiles.Seen | undefined, { mode, times }: Losses) => ({
  ...seen,
  ...mode === undefined ? {} : { mode: "lost" },
  ...times === undefined ? {} : { modified: "lost" }
})

/** All that is told as done is there and is what the source is, and all else is what it was. */
const assertTrue = (disk: MemoryFiles.Disk, result: Copied, before: Tree, expected: Tree, why: string) => {
  const there = disk.tree("/to")
  let lost = Object.values(result.lost).reduce((sum, one) => sum + one, 0)
  for (const [path, seen] of Object.entries(expected)) {
    const found = there[path]
    if (!isLeft(result, path)) {
      if (!Equal.equals(found, seen) && lost-- > 0) {
        assert.deepStrictEqual(without(found, result.lost), without(seen, result.lost), `${path}: ${why}`)
      } else assert.deepStrictEqual(found, seen, `${path}: ${why}`)
    } else if (found !== undefined && found.kind === "file" && seen.kind === "file") {
      const old = before[path]
      assert.include([seen.text, old?.kind === "file" ? old.text : undefined], found.text, `${path}: ${why}`)
    }
  }
  for (const path of Object.keys(before)) {
    if (!(path in expected)) assert.deepStrictEqual(there[path], before[path], `${path}: ${why}`)
  }
}

const withoutDraft = (disk: MemoryFiles.Disk) => Object.keys(disk.tree("/to")).filter((path) => path.includes(draft))

/** What a unit comes to that nothing happens to: what it does not leave has the times of its source. */
const copied = (world: World) => {
  const disk = plant(world)
  const [original, before] = [disk.tree("/from"), disk.tree("/to")]
  const result = copy(disk, MemoryFiles.callsOf(disk), world, false)
  const expected = Object.fromEntries(Object.entries(disk.tree("/to")).filter(([path]) => path in original))
  for (const [path, seen] of Object.entries(original)) {
    if (isLeft(result, path) || (seen.kind !== "file" && seen.kind !== "folder")) continue
    assert.nestedPropertyVal(expected, `${path}.modified`, seen.modified)
  }
  return { original, before, expected, rest: result.rest }
}

/** What a call fails with, and how many of the names that are to be removed then can't be. */
const faults = [
  ...["EIO", "EPERM", "ENOSPC", "ENOENT", "EEXIST", "EINVAL"].map((code) => [code, 0] as const),
  ["EIO", 1] as const,
  ["EIO", Number.POSITIVE_INFINITY] as const
]

describe("a unit of which a call fails", () => {
  it.each(Object.entries(worlds))("tells what it has not done, and leaves nothing half done: %s", (_, world) => {
    const { before, expected, original, rest } = copied(world)
    for (const [code, stuck] of faults) {
      for (let nth = 0;; nth++) {
        const disk = plant(world)
        let [made, left] = [0, stuck]
        let failed: string | undefined
        const calls = faultyCalls(MemoryFiles.callsOf(disk), (call, path) => {
          const isStuck = failed !== undefined && call === "unlink" && left-- > 0
          if (made++ !== nth && !isStuck) return Effect.void
          failed ??= `${call} ${path}`
          return Effect.fail(FaultyFiles.error(call, path, code))
        })
        const result = copy(disk, calls, world, false)
        const why = `${nth} ${failed} ${code} ${JSON.stringify(result.rest)}`
        assert.deepStrictEqual(disk.tree("/from"), original, why)
        assertTrue(disk, result, before, expected, why)
        // Only then it may show that something was not written.
        if (failed?.startsWith("close ") === true) assert.notDeepEqual(result.rest, rest, why)
        // What fails to be closed is closed all the same, but not in memory.
        if (failed?.startsWith("close ") !== true) assert.strictEqual(disk.openCount, 0, why)
        if (failed === undefined) break
      }
    }
  })

  it.each(Object.entries(worlds))("is finished by the next run where it was killed: %s", (_, world) => {
    const { before, expected, original, rest } = copied(world)
    for (let nth = 0;; nth++) {
      const disk = plant(world)
      let [made, wasKilled] = [0, false]
      const calls = faultyCalls(MemoryFiles.callsOf(disk), (call, path) => {
        if (made++ < nth) return Effect.void
        wasKilled = true
        return Effect.fail(FaultyFiles.error(call, path, "EIO"))
      })
      copy(disk, calls, world, false)
      const result = copy(disk, MemoryFiles.callsOf(disk), world, true)
      const why = `${nth} ${JSON.stringify(result.rest)}`
      assert.deepStrictEqual(disk.tree("/from"), original, why)
      assertTrue(disk, result, before, expected, why)
      assert.deepStrictEqual(withoutDraft(disk), [], why)
      if (world.leavesMore !== true) assert.deepStrictEqual(result.rest, rest, why)
      if (!wasKilled) break
    }
  })
})

describe("a unit that is compared", () => {
  it("is placed where times are known to the second only", () => {
    const world: World = { unit: { waits: true, isVerified: true } }
    const disk = plant(world)
    disk.file("/from/d/4", "text of 4", { modified: 1_234_567_890n })
    disk.takes("/to", { stepNanos: 1_000_000_000n })

    const { rest } = copy(disk, MemoryFiles.callsOf(disk), world, false)

    assert.deepStrictEqual(rest, [])
    assert.deepInclude(disk.see("/to/d/4"), { text: "text of 4", modified: 1_000_000_000n })
  })
})
