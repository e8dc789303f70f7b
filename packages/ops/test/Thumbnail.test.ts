import { assert, describe, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import * as Pools from "@fanout/core/Pools"
import { layer, settle } from "@fanout/core/testing"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Thumbnail from "@fanout/ops/Thumbnail"
import { MakeThumbnails, ProcessTasks, ThumbnailFailed } from "@fanout/ops/ThumbnailTask"
import * as ThumbnailVariant from "@fanout/ops/ThumbnailVariant"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as MemoryFiles from "./MemoryFiles.ts"

describe("Thumbnail of memory", () => {
  it.effect("is paused where its pictures are on another file system by now, and fails few", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      disk.folder("/in")
      for (let n = 0; n < 5000; n++) disk.file(`/in/${n}.jpg`, "")
      disk.folder("/out")
      let asked = 0
      const tasks = ProcessTasks.toLayer({
        [MakeThumbnails._tag]: ({ path }: { readonly path: FilePath.FilePath }) =>
          Effect.suspend(() => {
            if (++asked === 100) {
              for (const device of disk.fileSystems.keys()) disk.fileSystems.set(device, "another")
            }
            return Effect.fail(new ThumbnailFailed({ code: "ENOENT", path, why: "gone" }))
          })
      })
      const files = Layer.succeed(Files.Files, MemoryFiles.make(disk))
      const jobs = layer({ jobs: [Thumbnail.job] }).pipe(
        Layer.provide(Layer.provide(Thumbnail.layer, [tasks, Pools.layer({ io: 8 })]))
      )
      yield* Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const [sources, output] = [[FilePath.make("/in")] as const, FilePath.make("/out")]
        const variants = ThumbnailVariant.defaults
        const payload = yield* Thumbnail.plan({ sources, output, variants, format: "webp" })
        const { id } = yield* manager.start(Thumbnail.job, payload)
        yield* settle
        yield* TestClock.adjust("10 seconds")
        yield* settle
        assert.strictEqual((yield* manager.get(id)).state._tag, "Paused")
        assert.isBelow(asked, 2000)
      }).pipe(Effect.provide(Layer.provideMerge(jobs, files)))
    }))
})
