import { assert, describe, it } from "@effect/vitest"
import * as Pools from "@fanout/core/Pools"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CopyEntryLive from "../src/internal/copy/copyEntryLive.ts"
import { CopyEntry } from "../src/internal/copy/copyTask.ts"
import * as CopyUnitLive from "../src/internal/copy/copyUnitLive.ts"
import { QuickFiles } from "../src/internal/files/quickFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { Sides } from "./sides.ts"

const [from, to] = [FilePath.make("/from"), FilePath.make("/to")]

/** Copies eight pieces of ten files each, and tells how often others were started, and what of them was theirs. */
const copy = Effect.fnUntraced(function*({ readMillis = 0, startsAfter }: {
  readonly readMillis?: number
  readonly startsAfter: number
}) {
  const disk = new MemoryFiles.Disk()
  for (const folder of [from, to]) disk.folder(folder)
  const names = Array.from({ length: 80 }, (_, n) => FilePath.make(`${n}`))
  for (const name of names) disk.file(`/from/${name}`, "text")
  const sides = new Sides(disk, 0)
  const clock = yield* Clock.Clock
  const monotonicNanos = () => BigInt((sides.here + sides.there) * readMillis) * 1_000_000n
  const passing: Clock.Clock = {
    currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
    currentTimeMillis: clock.currentTimeMillis,
    currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
    currentTimeNanos: clock.currentTimeNanos,
    monotonicTimeNanosUnsafe: monotonicNanos,
    monotonicTimeNanos: Effect.sync(monotonicNanos),
    sleep: (duration) => clock.sleep(duration)
  }
  const { files } = sides
  const others = sides.others(CopyUnitLive.layer)
  const { run } = yield* TaskDispatcher.TaskDispatcher
  const copied = yield* Effect.forEach(
    Array.from({ length: 8 }, (_, piece) => names.slice(piece * 10, piece * 10 + 10)),
    (names) => run(CopyEntry, { kind: "files", source: from, target: to, names, conflict: "overwrite" }),
    { concurrency: 4 }
  ).pipe(
    Effect.provide(CopyEntryLive.layerShared(others, { paths: [from, to], startsAfter })),
    Effect.provideService(QuickFiles, {
      throughout: () => Effect.succeedSome(files),
      isSlow: () => false
    }),
    Effect.provideService(Files.Files, files),
    Effect.provideService(Clock.Clock, passing)
  )
  assert.deepStrictEqual(copied.map((one) => one._tag === "Files" && one.copied), Array.from({ length: 8 }, () => 10))
  return sides
})

describe("CopyEntryLive.layerShared", () => {
  const dispatching = Effect.provide(Layer.provideMerge(TaskDispatcher.layer, Pools.layer()))

  it.effect("copies here what is little", () =>
    Effect.gen(function*() {
      const { here, started, there } = yield* copy({ startsAfter: 2 })
      assert.strictEqual(started, 0)
      assert.isAbove(here, 0)
      assert.strictEqual(there, 0)
    }).pipe(Effect.scoped, dispatching))

  it.effect("has others help once there are many files", () =>
    Effect.gen(function*() {
      const { here, started, there } = yield* copy({ startsAfter: 0.5 })
      assert.strictEqual(started, 1)
      assert.isAbove(here, 0)
      assert.isAbove(there, 0)
    }).pipe(Effect.scoped, dispatching))

  it.effect("has others help once few files take long", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* copy({ startsAfter: 2, readMillis: 2 })).started, 1)
    }).pipe(Effect.scoped, dispatching))
})
