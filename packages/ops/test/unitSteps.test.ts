import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import { CopyOptions, Property } from "@fanout/ops/CopyOptions"
import * as Files from "@fanout/ops/Files"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as CopyUnitLive from "../src/internal/copy/copyUnitLive.ts"
import { type Copied, copyUnit } from "../src/internal/copy/unitSteps.ts"
import type * as Conflict from "../src/internal/steps/conflict.ts"
import * as Durability from "../src/internal/steps/durability.ts"
import * as SavedCopy from "../src/internal/steps/savedCopy.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { unitOf } from "./unitOf.ts"

const names = ["a", "b", "c"]

const plant = (isElsewhere: boolean): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  disk.folder("/from")
  for (const name of names) disk.file(`/from/${name}`, `text of ${name}`)
  disk.syncAll()
  if (isElsewhere) disk.device = 2n
  disk.folder("/to")
  return disk
}

/** Moves all of it, as an attempt of a task that knows a checkpoint, and tells when one is in the store. */
const move = (
  disk: MemoryFiles.Disk,
  checkpoint: Schema.Json | undefined,
  recorded: (saved: Schema.Json) => void,
  before: FaultyFiles.Before = () => Effect.void,
  { conflict = "overwrite", isMove = true }: {
    readonly conflict?: Conflict.Mode
    readonly isMove?: boolean
  } = {}
) => {
  let saved = checkpoint
  const cell: TaskCheckpoint.Cell = {
    checkpoint,
    saveUnsafe: (value) => {
      saved = value
    },
    recorded: Effect.sync(() => recorded(saved ?? null))
  }
  const unit = unitOf({
    source: "/from",
    target: "/to",
    names,
    conflict,
    isAgain: checkpoint !== undefined,
    keeps: Property.literals,
    isMove,
    isVerified: true,
    waits: true
  })
  return copyUnit(unit, CopyUnitLive.perform).pipe(
    Effect.provideServiceEffect(Durability.Durability, Durability.make),
    Effect.scoped,
    Effect.provideService(TaskCheckpoint.Cell, cell),
    Effect.provideService(Files.Files, FaultyFiles.intercept(MemoryFiles.make(disk), before)),
    Effect.provideService(CopyOptions, {
      keeps: new Set(Property.literals),
      isDurable: true,
      isVerified: true,
      checksums: undefined,
      isFollowing: false,
      rules: [],
      isMove
    })
  )
}

/** What is left to others, each with what it goes on from. */
const alone = ({ rest, saved = [], unremoved = [] }: Copied) =>
  rest.flatMap(({ names }) => names).map((name, at) => ({
    name,
    saved: saved.find(({ index }) => index === at)?.saved ?? unremoved.find(({ path }) => path === name)?.saved
  }))

const Moved = Schema.toCodecJson(SavedCopy.Moved)

/** Of which names it is recorded that they are copied, and are to be removed. */
const movedIn = (saved: Schema.Json) => Schema.decodeUnknownSync(Moved)(saved).placed.map(({ name }) => name)

const namesIn = (disk: MemoryFiles.Disk, path: string) => Object.keys(disk.tree(path))

describe.each([false, true])("a task that moves files (to another file system: %s)", (isElsewhere) => {
  it.effect("takes none away before it is recorded, once for all, that their copies are on the device", () =>
    Effect.gen(function*() {
      const disk = plant(isElsewhere)
      const records: Array<Schema.Json> = []
      const moved = yield* move(disk, undefined, (record) => {
        records.push(record)
        assert.deepStrictEqual(namesIn(disk, "/from"), names)
        if (isElsewhere && records.length === 1) return assert.deepStrictEqual(record, { made: names })
        // A power cut that comes right after it.
        disk.cutPower()
        assert.deepStrictEqual(namesIn(disk, "/to"), isElsewhere ? names : [])
      })
      assert.deepStrictEqual([records.length, moved.moved, alone(moved)], [isElsewhere ? 2 : 1, 3, []])
      assert.deepStrictEqual([namesIn(disk, "/from"), namesIn(disk, "/to")], [[], names])
    }))

  it.effect("leaves all that one before it has recorded to go on by itself, and does nothing more", () =>
    Effect.gen(function*() {
      let saved: Schema.Json = null
      yield* move(plant(isElsewhere), undefined, (recorded) => {
        saved = recorded
      })
      const disk = plant(isElsewhere)
      const moved = yield* move(disk, saved, () => assert.fail("it was recorded again"))
      const left = alone(moved)
      assert.deepStrictEqual<unknown>([left.map(({ name }) => name), moved.moved ?? 0], [names, 0])
      assert.deepStrictEqual([namesIn(disk, "/from"), namesIn(disk, "/to")], [names, []])
      const keys = left.map(({ saved = {} }) => Object.keys(saved))
      assert.deepStrictEqual(keys, names.map(() => isElsewhere ? ["decision"] : ["renamed"]))
    }))

  it.effect("tells none as moved where nobody knows whether it is on the device, and loses none", () =>
    Effect.gen(function*() {
      const disk = plant(isElsewhere)
      const areThere = () => names.every((name) => disk.see(`/to/${name}`) !== undefined)
      const { before, hasFailed } = FaultyFiles.failingOnce("EIO", (call) => call === "syncfs" && areThere())
      const moved = yield* move(disk, undefined, () => {}, before)
      const left = alone(moved)
      assert.deepStrictEqual<unknown>([hasFailed(), moved.moved ?? 0, left.map(({ name }) => name)], [true, 0, names])
      assert.strictEqual(left.filter(({ saved }) => saved !== undefined).length, isElsewhere ? 0 : 3)
      assert.deepStrictEqual([namesIn(disk, "/from"), namesIn(disk, "/to")], [isElsewhere ? names : [], names])
    }))
})

const stopping = (disk: MemoryFiles.Disk, interrupter: Interrupter.Interrupter) => {
  let flushes = 0
  const before: FaultyFiles.Before = (call) =>
    Effect.sync(() => {
      if (call === "read") interrupter.requestUnsafe("Pause")
      if (call === "syncfs" && interrupter.reason !== undefined) flushes++
    })
  return Effect.map(move(disk, undefined, () => {}, before), (moved) => ({ flushes, moved }))
}

describe("a task that moves files to another file system", () => {
  it.effect("flushes nothing and gives no names, once it is asked to stop", () =>
    Effect.gen(function*() {
      const disk = plant(true)
      const interrupter = Interrupter.makeUnsafe()
      const { flushes, moved } = yield* Effect.provideService(
        stopping(disk, interrupter),
        Interrupter.Interrupter,
        interrupter
      )
      assert.deepStrictEqual([flushes, moved.moved ?? 0, moved.left + alone(moved).length], [0, 0, 3])
      assert.deepStrictEqual([namesIn(disk, "/from"), namesIn(disk, "/to")], [names, []])
    }))
})

it.effect("a task that moves files to another mount of the same file system copies them together", () =>
  Effect.gen(function*() {
    const disk = plant(false)
    disk.mount("/to", "same")
    let renames = 0
    const moved = yield* move(disk, undefined, () => {}, (call, path) =>
      Effect.sync(() => {
        if (call === "rename" && !path.includes(".fanout-")) renames++
      }))
    assert.deepStrictEqual([moved.moved, alone(moved)], [3, []])
    assert.deepStrictEqual([namesIn(disk, "/from"), namesIn(disk, "/to")], [[], names])
    // Each is put aside before it is removed.
    assert.strictEqual(renames, 3)
  }))

describe.each([true, false])("files that are copied together, and moved: %s", (isMove) => {
  it.effect.each(["skip", "rename", "error"] as const)(
    "have no name before it is recorded that it is theirs, in modes that could take it for another's (%s)",
    (conflict) =>
      Effect.gen(function*() {
        const disk = plant(true)
        disk.file("/to/b", "there before")
        let record: Schema.Json = null
        let [placed, removed] = [0, 0]
        const ended = yield* move(disk, undefined, (saved) => void (record = saved), (call, path) =>
          Effect.sync(() => {
            if (call !== "rename") return
            if (path.startsWith("/to/")) {
              placed++
              assert.deepStrictEqual(record, { made: ["a", "c"] })
            } else {
              removed++
              assert.deepStrictEqual<unknown>(movedIn(record), ["a", "c"])
            }
          }), { conflict, isMove })
        assert.deepStrictEqual([placed, removed], [2, isMove ? 2 : 0])
        assert.deepStrictEqual([namesIn(disk, "/from"), namesIn(disk, "/to")], [isMove ? ["b"] : names, names])
        assert.deepStrictEqual([ended.copied, ended.moved], isMove ? [0, 2] : [2, undefined])
        const left = alone(ended).map(({ name }) => name)
        assert.deepStrictEqual<unknown>([ended.skipped, left], conflict === "skip" ? [["b"], []] : [[], ["b"]])
        assert.include(disk.see("/to/b"), { text: "there before" })
      })
  )
})

it.effect("a task that moves files keeps that a copy is its own also where it can't look at it any more", () =>
  Effect.gen(function*() {
    const disk = plant(true)
    const before: FaultyFiles.Before = (call, path) =>
      (call === "lstat" && path === "/to/a" && disk.see("/to/a") !== undefined) ||
        (call === "rename" && path === "/from/a")
        ? Effect.fail(FaultyFiles.error(call, path, "EIO"))
        : Effect.void
    const moved = yield* move(disk, undefined, () => {}, before, { conflict: "error" })
    const decision = { _tag: "Create" } as const
    assert.deepStrictEqual<unknown>([moved.moved, alone(moved)], [2, [{ name: "a", saved: { decision } }]])
  }))
