import { assert, describe, it } from "@effect/vitest"
import * as Pools from "@fanout/core/Pools"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import { QuickFiles } from "../src/internal/files/quickFiles.ts"
import { VerifyEntry } from "../src/internal/verify/verifyEntry.ts"
import * as VerifyEntryLive from "../src/internal/verify/verifyEntryLive.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { Sides } from "./sides.ts"

const at = (tree: FilePath.FilePath, name: string) => FilePath.join(tree, FilePath.make(name))
const [a, b] = [FilePath.make("/a"), FilePath.make("/b")]

/** Compares as many pieces of ten files each, and tells how often others were started, and what of them was theirs. */
const compare = Effect.fnUntraced(function*(
  pieces: number,
  { isQuick = true, isSlow = false, readMillis = 0, startsAfter }: {
    readonly isQuick?: boolean
    readonly isSlow?: boolean
    readonly readMillis?: number
    readonly startsAfter: number
  }
) {
  const disk = new MemoryFiles.Disk()
  const names = Array.from({ length: 10 }, (_, n) => FilePath.make(`${n}`))
  for (const tree of [a, b]) {
    disk.folder(tree)
    for (let piece = 0; piece < pieces; piece++) {
      disk.folder(`${tree}/${piece}`)
      for (const name of names) disk.file(`${tree}/${piece}/${name}`, "text")
    }
  }
  const sides = new Sides(disk, readMillis)
  const { files } = sides
  const others = sides.others(VerifyEntryLive.layer)
  const { run } = yield* TaskDispatcher.TaskDispatcher
  const found = isQuick ? Option.some(files) : Option.none()
  const compared = yield* Effect.forEach(
    Array.from({ length: pieces }, (_, piece) => [{ path: FilePath.make(`${piece}`), names }]),
    (folders) => run(VerifyEntry, { a, b, part: "entries", ignore: [], folders }),
    { concurrency: 4 }
  ).pipe(
    Effect.provide(VerifyEntryLive.layerShared({ beside: others, alone: others }, { paths: [a, b], startsAfter })),
    Effect.provideService(QuickFiles, {
      throughout: () => Effect.succeed(found),
      isSlow: () => isSlow
    }),
    Effect.provideService(Files.Files, files),
    Effect.provideServiceEffect(Clock.Clock, sides.clock)
  )
  const same = { _tag: "Entries", same: 10, folders: 0, differing: [], alone: [] } as const
  assert.deepStrictEqual(compared, Array.from({ length: pieces }, () => same))
  return sides
})

describe("VerifyEntryLive", () => {
  const dispatching = Effect.provide(Layer.provideMerge(TaskDispatcher.layer, Pools.layer()))

  it.effect("reads both trees at the rate of its job", () =>
    Effect.gen(function*() {
      const disk = new MemoryFiles.Disk()
      for (const tree of [a, b]) {
        disk.folder(tree)
        for (const name of ["1", "2"]) disk.file(`${tree}/${name}`, new Uint8Array(2 ** 20))
      }
      const sides = new Sides(disk, 0)
      const { files } = sides
      const others = sides.others(VerifyEntryLive.layer)
      const { run } = yield* TaskDispatcher.TaskDispatcher
      const folders = [{ path: FilePath.empty, names: ["1", "2"].map((name) => FilePath.make(name)) }]
      const one = (name: string) => run(VerifyEntry, { a: at(a, name), b: at(b, name), part: "again", ignore: [] })
      const comparing = yield* Effect.gen(function*() {
        const together = yield* run(VerifyEntry, { a, b, part: "entries", ignore: [], folders })
        assert.deepInclude(together, { same: 0, alone: [{ index: 0, sizeBytes: 0 }, { index: 1, sizeBytes: 0 }] })
        yield* one("1")
        yield* one("2")
      }).pipe(
        Effect.provide(
          VerifyEntryLive.layerShared({ beside: others, alone: others }, { paths: [a, b], startsAfter: 0 })
        ),
        Effect.provideService(QuickFiles, { throughout: () => Effect.succeedSome(files), isSlow: () => false }),
        Effect.provideService(Files.Files, files),
        Effect.forkChild
      )
      let seconds = 0
      for (; comparing.pollUnsafe() === undefined; seconds++) yield* TestClock.adjust("1 second")
      yield* Fiber.join(comparing)
      assert.closeTo(seconds, 4, 1)
      assert.strictEqual(sides.there, 0)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        TaskDispatcher.layerLimited({ bytesPerSecond: 2 ** 20 }).pipe(
          Layer.provide(TaskDispatcher.layer),
          Layer.provide(Pools.layer())
        )
      )
    ))

  it.effect("compares here what is little", () =>
    Effect.gen(function*() {
      const { here, started, there } = yield* compare(8, { startsAfter: 4 })
      assert.deepStrictEqual([started, here, there], [0, 160, 0])
    }).pipe(Effect.scoped, dispatching))

  it.effect("has others help once there is much", () =>
    Effect.gen(function*() {
      const { here, started, there } = yield* compare(60, { startsAfter: 1 })
      assert.strictEqual(started, 1)
      assert.isAbove(here, 0)
      assert.isAbove(there, 0)
      assert.strictEqual(here + there, 1200)
    }).pipe(Effect.scoped, dispatching))

  it.effect("has others help once files come slowly", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* compare(8, { startsAfter: 4, readMillis: 2 })).started, 1)
    }).pipe(Effect.scoped, dispatching))

  it.effect("leaves all of it to others where calls may take long, or do", () =>
    Effect.gen(function*() {
      for (const how of [{ isQuick: false }, { isSlow: true }]) {
        const { here, started, there } = yield* compare(8, { ...how, startsAfter: 1000 })
        assert.strictEqual(started, 1)
        assert.isAtMost(here, 20)
        assert.strictEqual(here + there, 160)
      }
    }).pipe(Effect.scoped, dispatching))
})
