import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import type * as Conflict from "@fanout/ops/Conflict"
import * as CopyFilesLive from "@fanout/ops/CopyFilesLive"
import { CopyOptions, Property } from "@fanout/ops/CopyOptions"
import { CopiedFiles } from "@fanout/ops/CopyTask"
import * as Files from "@fanout/ops/Files"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Durability from "../src/internal/durability.ts"
import { copyFilesPayload } from "./copyFilesPayload.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

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
  return CopyFilesLive.copy(
    copyFilesPayload({
      source: "/from",
      target: "/to",
      names,
      conflict,
      isAgain: checkpoint !== undefined,
      isFree: false,
      keeps: Property.literals
    }),
    1000
  ).pipe(
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

const namesIn = (disk: MemoryFiles.Disk, path: string) => Object.keys(disk.tree(path))

describe.each([false, true])("a task that moves files (to another file system: %s)", (isElsewhere) => {
  it.effect("takes none away before it is recorded, once for all, that their copies are on the device", () =>
    Effect.gen(function*() {
      const disk = plant(isElsewhere)
      let records = 0
      const moved = yield* move(disk, undefined, () => {
        records++
        assert.deepStrictEqual(namesIn(disk, "/from"), names)
        // A power cut that comes right after it.
        disk.cutPower()
        assert.deepStrictEqual(namesIn(disk, "/to"), isElsewhere ? names : [])
      })
      assert.deepStrictEqual([records, moved.moved, moved.alone], [1, 3, []])
      assert.deepStrictEqual([namesIn(disk, "/from"), namesIn(disk, "/to")], [[], names])
    }))

  it.effect("leaves all that one before it has recorded to go on by itself, and does nothing more", () =>
    Effect.gen(function*() {
      let saved: Schema.Json = null
      yield* move(plant(isElsewhere), undefined, (recorded) => {
        saved = recorded
      })
      const disk = plant(isElsewhere)
      const { alone, moved } = yield* move(disk, saved, () => assert.fail("it was recorded again"))
      assert.deepStrictEqual([alone.map(({ index }) => index), moved], [[0, 1, 2], undefined])
      assert.deepStrictEqual([namesIn(disk, "/from"), namesIn(disk, "/to")], [names, []])
      const keys = alone.map(({ saved = {} }) => Object.keys(saved))
      assert.deepStrictEqual(keys, names.map(() => [isElsewhere ? "copied" : "renamed"]))
    }))

  it.effect("tells none as moved where nobody knows whether it is on the device, and loses none", () =>
    Effect.gen(function*() {
      const disk = plant(isElsewhere)
      const areThere = () => names.every((name) => disk.see(`/to/${name}`) !== undefined)
      const { before, hasFailed } = FaultyFiles.failingOnce("EIO", (call) => call === "syncfs" && areThere())
      const { alone, moved } = yield* move(disk, undefined, () => {}, before)
      assert.deepStrictEqual([hasFailed(), moved, alone.map(({ index }) => index)], [true, 0, [0, 1, 2]])
      assert.strictEqual(alone.filter(({ saved }) => saved !== undefined).length, isElsewhere ? 0 : 3)
      assert.deepStrictEqual([namesIn(disk, "/from"), namesIn(disk, "/to")], isElsewhere ? [names, []] : [[], names])
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
  it.effect("flushes nothing that it gives no name, once it is asked to stop", () =>
    Effect.gen(function*() {
      const disk = plant(true)
      const interrupter = Interrupter.makeUnsafe()
      const { flushes, moved } = yield* Effect.provideService(
        stopping(disk, interrupter),
        Interrupter.Interrupter,
        interrupter
      )
      assert.deepStrictEqual([flushes, moved.moved, moved.alone, moved.left], [0, 0, [{ index: 0 }], 2])
      assert.deepStrictEqual([namesIn(disk, "/from"), namesIn(disk, "/to")], [names, []])
    }))
})

it.effect("a task that moves files to another mount of the same file system copies them together", () =>
  Effect.gen(function*() {
    const disk = plant(false)
    disk.mount("/to", "same")
    let renames = 0
    const { alone, moved } = yield* move(disk, undefined, () => {}, (call, path) =>
      Effect.sync(() => {
        if (call === "rename" && !path.includes(".fanout-")) renames++
      }))
    assert.deepStrictEqual([moved, alone, namesIn(disk, "/from"), namesIn(disk, "/to")], [3, [], [], names])
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
        let record: ReadonlyArray<Pick<CopiedFiles["alone"][number], "index" | "saved">> = []
        const named: Array<string> = []
        const ended = yield* move(
          disk,
          undefined,
          (saved) => {
            record = Schema.decodeUnknownSync(Schema.toCodecJson(CopiedFiles.fields.alone))(saved)
          },
          (call, path) =>
            Effect.sync(() => {
              if (call !== "link" && call !== "unlink") return
              if (call === "link") named.push(path)
              const kept = record.map(({ index, saved }) => [index, saved?.decision?._tag, saved?.copied !== undefined])
              assert.deepStrictEqual(kept, [0, 2].map((index) => [index, "Create", call === "unlink"]))
            }),
          { conflict, isMove }
        )
        assert.deepStrictEqual(named, ["/to/a", "/to/c"])
        assert.deepStrictEqual([ended.copied, ended.moved], isMove ? [0, 2] : [2, undefined])
        const [skipped, alone] = conflict === "skip" ? [[1], []] : [[], [{ index: 1 }]]
        assert.deepStrictEqual([ended.skipped, ended.alone], [skipped, alone])
        assert.include(disk.see("/to/b"), { text: "there before" })
      })
  )
})

it.effect("a task that moves files keeps that a copy is its own also where it can't look at it any more", () =>
  Effect.gen(function*() {
    const disk = plant(true)
    const records: Array<Schema.Json> = []
    const before: FaultyFiles.Before = (call, path) =>
      call === "lstat" && path === "/to/a" && disk.see("/to/a") !== undefined
        ? Effect.fail(FaultyFiles.error(call, path, "EIO"))
        : Effect.void
    const { alone, moved } = yield* move(disk, undefined, (saved) => void records.push(saved), before, {
      conflict: "error"
    })
    const decision = { _tag: "Create" } as const
    assert.deepStrictEqual([moved, alone], [2, [{ index: 0, saved: { decision } }]])
    const last = Schema.decodeUnknownSync(Schema.toCodecJson(CopiedFiles.fields.alone))(records.at(-1))
    assert.deepStrictEqual(
      last.map(({ index, saved }) => [index, saved?.decision?._tag, saved?.copied !== undefined]),
      [
        [0, "Create", false],
        [1, "Create", true],
        [2, "Create", true]
      ]
    )
  }))
