import { assert, describe, it } from "@effect/vitest"
import * as LimitedTaskDispatcher from "@fanout/core/LimitedTaskDispatcher"
import * as Pools from "@fanout/core/Pools"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import { HashFiles } from "@fanout/ops/HashTask"
import * as HashTaskLive from "@fanout/ops/HashTaskLive"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const mebi = 2 ** 20

/** Hashes four files of 8 MiB at 4 MiB/s, and tells how much was read after each second. */
const read = (algorithm: "sha256" | "sampled") =>
  Effect.gen(function*() {
    const disk = new MemoryFiles.Disk()
    const names = ["a", "b", "c", "d"].map((name) => FilePath.make(name))
    for (const name of names) disk.file(`/${FilePath.display(name)}`, Buffer.alloc(8 * mebi))
    let reads = 0
    const files = FaultyFiles.intercept(MemoryFiles.make(disk), (call) =>
      Effect.sync(() => {
        if (call === "read") reads++
      }))
    const others = { layer: HashTaskLive.layer.pipe(Layer.provide(Layer.succeed(Files.Files, files))), count: 1 }
    const { run } = yield* TaskDispatcher.TaskDispatcher
    const each = (name: FilePath.FilePath) =>
      run(HashFiles, {
        root: FilePath.make("/"),
        folders: [{ path: FilePath.empty, names: [name] }],
        algorithm,
        isAlone: true
      })
    const hashing = yield* Effect.forEach(names, each, { concurrency: "unbounded" }).pipe(
      Effect.provide(HashTaskLive.layerShared(others, { paths: [FilePath.make("/")] })),
      Effect.provideService(Files.Files, files),
      Effect.forkScoped
    )
    yield* settle
    const seconds: Array<number> = []
    for (let second = 0; second < 9 && hashing.pollUnsafe() === undefined; second++) {
      yield* TestClock.adjust("1 second")
      // A tenth of a second's at once.
      seconds.push(reads * 0.4)
    }
    return seconds
  })

const atRate = LimitedTaskDispatcher.layer({ bytesPerSecond: 4 * mebi }).pipe(
  Layer.provide(TaskDispatcher.layer),
  Layer.provide(Pools.layer())
)

describe("HashTaskLive", () => {
  it.effect("reads at the rate of the job, also within a file", () =>
    Effect.gen(function*() {
      const seconds = yield* read("sha256")
      assert.deepStrictEqual(seconds.length, 8)
      // Each file has one more read, which meets its end.
      seconds.forEach((moved, i) => assert.closeTo(moved, 4 * (i + 1), 4 * 0.4 + 0.01))
    }).pipe(Effect.scoped, Effect.provide(atRate)))

  it.effect("owes no more than was read", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* read("sampled")).length, 1)
    }).pipe(Effect.scoped, Effect.provide(atRate)))
})
