import { assert, describe, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import { layer } from "@fanout/core/testing"
import * as ThreadSpawner from "@fanout/core/ThreadSpawner"
import * as Delete from "@fanout/ops/Delete"
import * as DeleteBatchLive from "@fanout/ops/DeleteBatchLive"
import * as DeleteNamesLive from "@fanout/ops/DeleteNamesLive"
import * as DeleteOneLive from "@fanout/ops/DeleteOneLive"
import * as Files from "@fanout/ops/Files"
import { QuickFiles } from "@fanout/ops/QuickFiles"
import * as Trash from "@fanout/ops/Trash"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
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
  { hasOthers = true, isQuick }: { readonly isQuick: boolean; readonly hasOthers?: boolean }
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
      ? Effect.succeed(Layer.provide(DeleteNamesLive.layer, Layer.succeed(Files.Files, files("others"))))
      : Effect.fail(new ThreadSpawner.ThreadsUnavailable({ why: "there are none" }))
  }))
  const batches = DeleteBatchLive.layerShared({ layer: others, count: 2 }, { startsAfter: 64 })
  const program = Delete.job.toLayer((payload) => Effect.provide(Delete.program(payload), batches)).pipe(
    Layer.provide(DeleteOneLive.layer),
    Layer.provide([
      Layer.succeed(Trash.Trash, { trash: () => Effect.void }),
      Layer.succeed(QuickFiles, {
        at: () => Effect.succeed(isQuick ? Option.some(files("quick")) : Option.none()),
        throughout: () => Effect.succeedNone
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

describe("DeleteNamesLive", () => {
  const removeNames = (disk: MemoryFiles.Disk, change: Effect.Effect<void>) =>
    Effect.gen(function*() {
      const { roots: [root] } = yield* plan()
      yield* change
      return yield* DeleteNamesLive.remove({ root, oneFileSystem: true, folder: p("0"), names: [p("0"), p("1")] })
    }).pipe(Effect.provideService(Files.Files, MemoryFiles.make(disk)))

  it.effect("removes names, the folder that they were in, and those above it once they are empty", () =>
    Effect.gen(function*() {
      const disk = plant(40)
      assert.deepStrictEqual(yield* removeNames(disk, Effect.void), { files: 2, folders: 1 })
      assert.isUndefined(disk.see("/in/0"))
      const last = plant(40)
      for (let i = 1; i < 20; i++) last.remove(`/in/${i}`)
      assert.deepStrictEqual(yield* removeNames(last, Effect.void), { files: 2, folders: 2 })
      assert.deepStrictEqual(Object.keys(last.tree("/")), [])
    }))

  it.effect("takes what is gone for removed, with the folder that it was in", () =>
    Effect.gen(function*() {
      const disk = plant(40)
      assert.deepStrictEqual(yield* removeNames(disk, Effect.sync(() => disk.remove("/in/0/1"))), {
        files: 2,
        folders: 1
      })
      const without = plant(40)
      assert.deepStrictEqual(yield* removeNames(without, Effect.sync(() => without.remove("/in/0"))), {
        files: 2,
        folders: 0
      })
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
        const disk = plant(40)
        let before: unknown
        const removed = yield* removeNames(
          disk,
          Effect.sync(() => {
            change(disk)
            before = disk.tree("/")
          })
        )
        assert.deepStrictEqual(removed, { files: 0, folders: 0 })
        assert.deepStrictEqual(disk.tree("/"), before)
      }
    }))
})

describe("DeleteBatchLive", () => {
  it.effect("removes a little by itself, and starts nobody for it", () =>
    Effect.gen(function*() {
      const { files, folders, others, quick, started } = yield* share(plant(1000), { isQuick: true })
      assert.deepStrictEqual([files, folders, quick, others, started], [1000, 21, 1000, 0, 0])
    }))

  it.effect("has others remove what is much, once", () =>
    Effect.gen(function*() {
      const { files, folders, others, quick, started } = yield* share(plant(20_000), { isQuick: true })
      assert.deepStrictEqual([files, folders, quick + others, started], [20_000, 21, 20_000, 1])
      assert.isAbove(others, 10_000)
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
