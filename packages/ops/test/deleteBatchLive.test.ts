import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as JobManager from "@fanout/core/JobManager"
import * as Progress from "@fanout/core/Progress"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import { layer } from "@fanout/core/testing"
import { ThreadsUnavailable } from "@fanout/core/threads"
import * as Delete from "@fanout/ops/Delete"
import * as Files from "@fanout/ops/Files"
import * as Trash from "@fanout/ops/Trash"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as DeleteBatchLive from "../src/internal/delete/deleteBatchLive.ts"
import * as DeleteOneLive from "../src/internal/delete/deleteOneLive.ts"
import type { Folders } from "../src/internal/delete/deleteTask.ts"
import { QuickFiles } from "../src/internal/files/quickFiles.ts"
import { p, plan, rest } from "./deleteHarness.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const plant = (files: number): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  disk.folder("/in")
  for (let i = 0; i < 20; i++) {
    disk.folder(`/in/${i}`)
    for (let j = 0; j < files / 20; j++) disk.file(`/in/${i}/${j}`, "")
  }
  return disk
}

/** Deletes, and tells who has removed how many names, and whether others were started. */
const share = Effect.fnUntraced(function*(
  disk: MemoryFiles.Disk,
  { hasOthers = true, isQuick, slowAfter = Number.POSITIVE_INFINITY }: {
    readonly isQuick: boolean
    readonly hasOthers?: boolean
    readonly slowAfter?: number
  }
) {
  const counts = { quick: 0, plain: 0, others: 0, started: 0 }
  const files = (who: "quick" | "plain" | "others") =>
    FaultyFiles.intercept(MemoryFiles.make(disk), (call) =>
      Effect.sync(() => {
        if (call === "unlink") counts[who]++
      }))
  const others = Layer.unwrap(Effect.suspend(() => {
    counts.started++
    return hasOthers
      ? Effect.succeed(Layer.provide(DeleteBatchLive.layer, Layer.succeed(Files.Files, files("others"))))
      : Effect.fail(new ThreadsUnavailable({ why: "there are none" }))
  }))
  const two = { layer: others, count: 2 }
  const batches = (payload: Delete.Payload) =>
    DeleteBatchLive.layerShared({ beside: two, alone: two }, payload, { startsAfter: 4000 / 64 })
  const program = Delete.job.toLayer((payload) => Effect.provide(Delete.program(payload), batches(payload))).pipe(
    Layer.provide(DeleteOneLive.layer),
    Layer.provide([
      Layer.succeed(Trash.Trash, { trash: () => Effect.void }),
      Layer.succeed(QuickFiles, {
        throughout: () => Effect.succeed(isQuick ? Option.some(files("quick")) : Option.none()),
        isSlow: () => counts.quick >= slowAfter
      })
    ]),
    Layer.provide(Layer.succeed(Files.Files, files("plain")))
  )
  const result = yield* Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const { id } = yield* manager.start(Delete.job, yield* plan())
    return yield* rest(id)
  }).pipe(
    Effect.provide(layer({ jobs: [Delete.job] }).pipe(Layer.provide(program))),
    Effect.provideService(Files.Files, files("plain"))
  )
  assert.strictEqual(result.state, "Completed", result.why)
  assert.deepStrictEqual(Object.keys(disk.tree("/")), [])
  return { ...counts, files: result.files, folders: result.folders }
})

describe("DeleteBatchLive.layer", () => {
  const noted = { rest: [], removedFiles: 0, removedFolders: 0 }

  /** Removes the folder `0`, and tells what is said to be gone. */
  const removeFolder = (
    disk: MemoryFiles.Disk,
    change: Effect.Effect<void>,
    { before = () => Effect.void, folders = [{ path: p(""), names: [p("0")] }] }: {
      readonly before?: FaultyFiles.Before
      readonly folders?: Folders
    } = {}
  ) =>
    Effect.gen(function*() {
      const { roots: [root] } = yield* plan()
      yield* change
      const units: Record<string, number> = {}
      const { rest } = yield* Effect.provideService(
        DeleteBatchLive.remove({ root, oneFileSystem: true, folders, size: 2, left: [] }),
        Progress.Reporter,
        {
          addUnsafe: (unit, amount) => void (units[unit] = (units[unit] ?? 0) + amount),
          totalUnsafe: () => {}
        }
      )
      return { ...noted, rest, ...units }
    }).pipe(Effect.provideService(Files.Files, FaultyFiles.intercept(MemoryFiles.make(disk), before)))

  it.effect("removes a folder with the files in it, and those above it once they are empty", () =>
    Effect.gen(function*() {
      const disk = plant(40)
      assert.deepStrictEqual(yield* removeFolder(disk, Effect.void), { ...noted, removedFiles: 2, removedFolders: 1 })
      assert.isUndefined(disk.see("/in/0"))
      const last = plant(40)
      for (let i = 1; i < 20; i++) last.remove(`/in/${i}`)
      assert.deepStrictEqual(yield* removeFolder(last, Effect.void), { ...noted, removedFiles: 2, removedFolders: 2 })
      assert.deepStrictEqual(Object.keys(last.tree("/")), [])
    }))

  it.effect("takes a name that is gone by its turn for removed, and passes over a folder that is gone", () =>
    Effect.gen(function*() {
      const disk = plant(40)
      const before: FaultyFiles.Before = (call, path) =>
        Effect.sync(() => {
          if (call === "unlink" && path === "/in/0/0") disk.remove("/in/0/1")
        })
      assert.deepStrictEqual(yield* removeFolder(disk, Effect.void, { before }), {
        ...noted,
        removedFiles: 2,
        removedFolders: 1
      })
      const without = plant(40)
      assert.deepStrictEqual(yield* removeFolder(without, Effect.sync(() => without.remove("/in/0"))), noted)
      assert.lengthOf(Object.keys(without.tree("/in")), 19 * 3)
    }))

  it.effect("gives what it has not come to where it is stopped, and has told what is gone", () =>
    Effect.gen(function*() {
      const folders = [{ path: p(""), names: [p("0"), p("1"), p("2")] }, { path: null, names: [p("in")] }]
      for (const stopAt of ["/in/1/0", "/in/1/40", "/in/2/0"]) {
        const disk = plant(2000)
        const signal = Interrupter.makeUnsafe()
        const before: FaultyFiles.Before = (call, path) =>
          Effect.sync(() => {
            if (call === "unlink" && path === stopAt) signal.requestUnsafe("Pause")
          })
        const { removedFiles, removedFolders, rest } = yield* Effect.provideService(
          removeFolder(disk, Effect.void, { before, folders }),
          Interrupter.Interrupter,
          signal
        )
        const left = Object.values(disk.tree("/in"))
        assert.strictEqual(removedFiles, 2000 - left.filter(({ kind }) => kind === "file").length)
        assert.strictEqual(removedFolders, 20 - left.filter(({ kind }) => kind === "folder").length)
        const [first, ...others] = rest
        assert.isTrue(first?.names.every((name) => disk.see(`/in/${name}`)?.kind === "folder"))
        assert.deepStrictEqual(others, folders.slice(1))
        const again = yield* removeFolder(disk, Effect.void, { folders: rest })
        assert.deepStrictEqual([again.rest, removedFiles + again.removedFiles], [[], 300])
        assert.deepStrictEqual(Object.keys(disk.tree("/in")).length, 17 * 101)
      }
    }))

  it.effect("goes from folder to folder by those that are on both ways, wherever their paths lead by then", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (const folder of ["/in", "/in/a", "/in/a/b", "/in/a/b/c", "/in/a/d", "/in/e"]) disk.folder(folder)
      for (const folder of ["a/b", "a/b/c", "a/d", "e"]) disk.file(`/in/${folder}/file`, "")
      const opened: Array<string> = []
      const before: FaultyFiles.Before = (call, path) =>
        Effect.sync(() => {
          if (call === "open") opened.push(path)
          if (call !== "unlink" || path !== "/in/a/b/c/file") return
          // What is at this path now is another one, and is left.
          disk.rename("/in/a", "/moved")
          disk.folder("/in/a")
          disk.folder("/in/a/d")
          disk.file("/in/a/d/file", "another one")
        })
      const folders = [
        { path: p("a/b"), names: [p("c")] },
        { path: p("a"), names: [p("b"), p("d")] },
        { path: p(""), names: [p("e")] }
      ]

      const result = yield* removeFolder(disk, Effect.void, { before, folders })

      assert.deepStrictEqual(result, { ...noted, removedFiles: 4, removedFolders: 4 })
      assert.deepStrictEqual(Object.keys(disk.tree("/")), ["in", "in/a", "in/a/d", "in/a/d/file", "moved"])
      // The plan has opened it, too.
      assert.deepStrictEqual(opened.filter((path) => path === "/in" || path === "/in/a"), ["/in", "/in", "/in/a"])
      assert.strictEqual(disk.openCount, 0)
    }))

  it.effect("finds the way out of folders deeper than it keeps open", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (const folder of ["/in", "/in/y", "/in/y/inner", "/in/z"]) disk.folder(folder)
      let deep = ""
      for (let depth = 0; depth < 50; depth++) {
        deep += `${depth === 0 ? "" : "/"}d`
        disk.folder(`/in/${deep}`)
      }
      for (const folder of [`${deep}/one`, `${deep}/two`, "y/inner/d"]) disk.folder(`/in/${folder}`)
      disk.file("/in/z/file", "")
      const folders = [
        { path: p(deep), names: [p("one")] },
        { path: p("y/inner"), names: [p("d")] },
        { path: p(deep), names: [p("two")] },
        { path: p(""), names: [p("z")] }
      ]

      const result = yield* removeFolder(disk, Effect.void, { folders })

      assert.deepStrictEqual(result, { ...noted, removedFiles: 1, removedFolders: 57 })
      assert.deepStrictEqual(Object.keys(disk.tree("/")), [])
      assert.strictEqual(disk.openCount, 0)
    }))

  it.effect("keeps what it has told from time to time, in the midst of a folder, too", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (const folder of ["/in", "/in/0"]) disk.folder(folder)
      for (let i = 0; i < 2500; i++) disk.file(`/in/0/${i}`, "")
      const kept: Array<number> = []
      const cell: TaskCheckpoint.Cell = {
        checkpoint: undefined,
        saveUnsafe: () => void kept.push(Object.keys(disk.tree("/")).length),
        recorded: Effect.void
      }
      const result = yield* Effect.provideService(removeFolder(disk, Effect.void), TaskCheckpoint.Cell, cell)
      assert.deepStrictEqual(result, { ...noted, removedFiles: 2500, removedFolders: 2 })
      // With the last two the folder is gone, and then the root.
      assert.deepStrictEqual(kept, [2502 - 1024, 2502 - 2048, 1, 0])
    }))

  it.effect("leaves the files that it is told to leave", () =>
    Effect.gen(function*() {
      const disk = plant(40)
      const { roots: [root] } = yield* Effect.provideService(plan(), Files.Files, MemoryFiles.make(disk))
      const folders = [{ path: p(""), names: [p("0"), p("1")] }]
      yield* DeleteBatchLive.remove({ root, oneFileSystem: true, folders, size: 4, left: [p("/in/0/1")] }).pipe(
        Effect.provideService(Files.Files, MemoryFiles.make(disk))
      )
      assert.deepStrictEqual(Object.keys(disk.tree("/in/0")), ["1"])
      assert.isUndefined(disk.see("/in/1"))
    }))

  it.effect("removes nothing where the folder is another one, a mount point, a link or a file by now", () =>
    Effect.gen(function*() {
      const changes: ReadonlyArray<(disk: MemoryFiles.Disk) => void> = [
        (disk) => disk.mount("/in/0"),
        (disk) => disk.mount("/in/0", "same"),
        (disk) => {
          disk.rename("/in", "/moved")
          disk.folder("/in")
          disk.folder("/in/0")
          disk.file("/in/0/1", "another one")
        },
        (disk) => {
          disk.rename("/in/0", "/moved")
          disk.symlink("/in/0", "/moved")
        },
        (disk) => {
          disk.rename("/in/0", "/moved")
          disk.file("/in/0", "")
        }
      ]
      for (const change of changes) {
        for (const folders of [undefined, [{ path: p("0"), names: [p("inner")] }]]) {
          const disk = plant(40)
          let before: unknown
          const removed = yield* removeFolder(
            disk,
            Effect.sync(() => {
              disk.folder("/in/0/inner")
              change(disk)
              before = disk.tree("/")
            }),
            folders === undefined ? {} : { folders }
          )
          assert.deepStrictEqual(removed, noted)
          assert.deepStrictEqual(disk.tree("/"), before)
        }
      }
    }))
})

describe("DeleteBatchLive.layerShared", () => {
  it.effect("removes a little by itself, and starts nobody for it", () =>
    Effect.gen(function*() {
      const { files, folders, others, quick, started } = yield* share(plant(1000), { isQuick: true })
      assert.deepStrictEqual([files, folders, quick, others, started], [1000, 21, 1000, 0, 0])
    }))

  it.effect("has others remove what is much, once", () =>
    Effect.gen(function*() {
      const { files, folders, others, quick, started } = yield* share(plant(20_000), { isQuick: true })
      assert.deepStrictEqual([files, folders, quick + others, started], [20_000, 21, 20_000, 1])
      // They get two of the five pieces at least: those that come before they are there are done here.
      assert.isAtLeast(others, 8000)
    }))

  it.effect("leaves the rest to others once it is slow, in the midst of a folder", () =>
    Effect.gen(function*() {
      // That is looked at before each 32 names of a folder.
      const { files, folders, others, quick, started } = yield* share(plant(1000), { isQuick: true, slowAfter: 130 })
      assert.deepStrictEqual([files, folders, quick, others, started], [1000, 21, 132, 868, 1])
    }))

  it.effect("leaves it all to others where it is not quick", () =>
    Effect.gen(function*() {
      const { others, started } = yield* share(plant(1000), { isQuick: false })
      assert.deepStrictEqual([others, started], [1000, 1])
    }))

  it.effect("removes it all where nobody can be started", () =>
    Effect.gen(function*() {
      const slow = yield* share(plant(1000), { isQuick: false, hasOthers: false })
      assert.deepStrictEqual([slow.plain, slow.started], [1000, 1])
      const quick = yield* share(plant(20_000), { isQuick: true, hasOthers: false })
      assert.deepStrictEqual([quick.quick, quick.started], [20_000, 1])
    }))
})
