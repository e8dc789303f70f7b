import { assert, describe, it } from "@effect/vitest"
import type { JobId } from "@fanout/core/JobId"
import * as JobManager from "@fanout/core/JobManager"
import * as Pools from "@fanout/core/Pools"
import { layer, settle } from "@fanout/core/testing"
import * as Copy from "@fanout/ops/Copy"
import * as Delete from "@fanout/ops/Delete"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Filter from "@fanout/ops/Filter"
import * as HardLinks from "@fanout/ops/HardLinks"
import * as Hash from "@fanout/ops/Hash"
import * as Trash from "@fanout/ops/Trash"
import * as Verify from "@fanout/ops/Verify"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Struct from "effect/Struct"
import * as TestClock from "effect/testing/TestClock"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const p = (text: string): FilePath.FilePath => FilePath.make(text)

/** Two trees that are alike but for the size of one file, and for a file that only one has. */
const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const top of ["/in", "/other"]) {
    for (const folder of ["", "/a", "/a/b", "/empty"]) disk.folder(top + folder)
    disk.file(`${top}/a/first`, "first")
    disk.file(`${top}/a/b/second`, "second")
    disk.file(`${top}/large`, top === "/in" ? "large" : "larger")
    disk.symlink(`${top}/link`, "a")
  }
  disk.file("/in/z", "last")
  return disk
}

const runtime = layer({ jobs: [Copy.job, Delete.job, Hash.job, Verify.job] }).pipe(
  Layer.provide([Copy.layer, Delete.layer, Hash.layer, Verify.layer]),
  Layer.provide([Pools.layer(), HardLinks.layerNone, Layer.succeed(Trash.Trash, { trash: () => Effect.void })])
)

const sources = [p("/in")] as const

/** What may be said of all jobs. */
interface Options {
  readonly rules?: ReadonlyArray<Filter.Rule>
}

/** Ways to start a job on the first tree. */
const starts = {
  copy: Effect.fnUntraced(function*(options: Options) {
    const request = { ...options, sources, destination: p("/to"), noTargetDirectory: true, conflict: "skip" } as const
    return yield* (yield* JobManager.JobManager).start(Copy.job, yield* Copy.plan(request))
  }),
  delete: Effect.fnUntraced(function*(options: Options) {
    const plan = yield* Delete.plan({ ...options, paths: sources, trash: false, oneFileSystem: true })
    return yield* (yield* JobManager.JobManager).start(Delete.job, plan)
  }),
  hash: Effect.fnUntraced(function*(options: Options) {
    const plan = yield* Hash.plan({ ...options, sources, algorithm: "sha256", leaveOut: [] })
    return yield* (yield* JobManager.JobManager).start(Hash.job, plan)
  }),
  verify: Effect.fnUntraced(function*(options: Options) {
    const plan = yield* Verify.plan({ ...options, a: p("/in"), b: p("/other"), ignore: ["times"], leaveOut: [] })
    return yield* (yield* JobManager.JobManager).start(Verify.job, plan)
  })
}

/** What there is, by unit. */
const expected = {
  // Folders have an end, too.
  copy: { items: 13 },
  delete: { removedFiles: 5, removedFolders: 4 },
  hash: { items: 4, bytes: 20 },
  // What differs in its size is not read.
  verify: { items: 9, bytes: 11 }
} satisfies Record<keyof typeof starts, Readonly<Record<string, number>>>

/** What there is without a folder with a file in it. */
const withoutFolder = {
  copy: { items: 10 },
  // The folders that it is in stay, too.
  delete: { removedFiles: 4, removedFolders: 1 },
  hash: { items: 3, bytes: 14 },
  verify: { items: 7, bytes: 5 }
} satisfies Record<keyof typeof starts, Readonly<Record<string, number>>>

/** What takes ten seconds: to open this folder, or the first work that is done at once. */
type Slow = FilePath.FilePath | "at once" | "nothing"

/** Starts a job on files of which some are slow, and does something with it. */
const on = <A, E>(
  name: keyof typeof starts,
  slow: Slow,
  run: (id: JobId, disk: MemoryFiles.Disk) => Effect.Effect<A, E, JobManager.JobManager>,
  options: Options = {}
) => {
  const disk = plant()
  const files = MemoryFiles.make(disk)
  let [isStarted, works] = [false, 0]
  const before: FaultyFiles.Before = (call, path) =>
    isStarted && call === "open" && path === slow ? Effect.sleep("10 seconds") : Effect.void
  const slowFiles: Files.Files["Service"] = {
    ...FaultyFiles.intercept(files, before),
    atOnce: (work) => Effect.delay(files.atOnce(work), works++ === 0 && slow === "at once" ? "10 seconds" : 0)
  }
  return Effect.gen(function*() {
    const { id } = yield* starts[name](options)
    isStarted = true
    return yield* run(id, disk)
  }).pipe(Effect.provide(Layer.provideMerge(runtime, Layer.succeed(Files.Files, slowFiles))))
}

const progressAfter = Effect.fnUntraced(function*(id: JobId, wait: Duration.Input) {
  const manager = yield* JobManager.JobManager
  yield* settle
  yield* TestClock.adjust(wait)
  yield* settle
  const { items, totals, units } = yield* manager.progress(id)
  return { items, totals, units, state: (yield* manager.get(id)).state._tag }
})

// What walks in whole folders must not wait for the first look.
const slowIn = { copy: p("/in/a"), delete: p("/in"), hash: "at once", verify: "at once" } as const

describe("the count of elements", () => {
  for (const name of Struct.keys(starts)) {
    it.effect(`tells how much there is to ${name} while that is under way`, () =>
      on(
        name,
        slowIn[name],
        Effect.fnUntraced(function*(id) {
          const before = yield* progressAfter(id, "900 millis")
          assert.deepStrictEqual([before.state, before.totals], ["Running", {}])
          // The walk of a deletion goes into the folder before the removal does.
          const { state, totals } = yield* progressAfter(id, name === "delete" ? "14 seconds" : "5 seconds")
          assert.deepStrictEqual([state, totals], ["Running", expected[name]])
          const after = yield* progressAfter(id, "1 minute")
          assert.include(after.state, "Completed")
          assert.deepStrictEqual(after.totals, expected[name])
          const { items, units } = after
          const all = Struct.keys(after.totals).map((unit) => [unit, unit === "items" ? items : units[unit]])
          assert.deepStrictEqual(Object.fromEntries(all), expected[name])
        })
      ))

    it.effect(`does not count what patterns leave out, to ${name}`, () =>
      on(
        name,
        slowIn[name],
        Effect.fnUntraced(function*(id) {
          yield* progressAfter(id, name === "delete" ? "15 seconds" : "6 seconds")
          const { items, state, totals, units } = yield* progressAfter(id, "1 minute")
          assert.include(state, "Completed")
          assert.deepStrictEqual(totals, withoutFolder[name])
          const all = Struct.keys(totals).map((unit) => [unit, unit === "items" ? items : units[unit]])
          assert.deepStrictEqual(Object.fromEntries(all), withoutFolder[name])
        }),
        { rules: [Filter.Rule.make("/a/b")] }
      ))

    it.effect(`does not tell of a disk that is gone how much there is, to ${name}`, () =>
      on(
        name,
        slowIn[name],
        Effect.fnUntraced(function*(id, disk) {
          yield* progressAfter(id, "900 millis")
          disk.fileSystems.set(1n, "another")
          const { totals } = yield* progressAfter(id, "14 seconds")
          assert.deepStrictEqual(totals, {})
        })
      ))

    it.effect(`does not count what is over at once, to ${name}`, () =>
      on(
        name,
        "nothing",
        Effect.fnUntraced(function*(id) {
          const { state, totals } = yield* progressAfter(id, "10 seconds")
          assert.include(state, "Completed")
          assert.deepStrictEqual(totals, {})
        })
      ))

    it.effect(`knows it where it goes on, to ${name}`, () =>
      on(
        name,
        slowIn[name],
        Effect.fnUntraced(function*(id) {
          const manager = yield* JobManager.JobManager
          yield* progressAfter(id, "5 seconds")
          yield* manager.pause(id)
          assert.strictEqual((yield* progressAfter(id, "1 minute")).state, "Paused")
          yield* manager.resume(id)
          const { state, totals } = yield* progressAfter(id, "1 minute")
          assert.include(state, "Completed")
          assert.deepStrictEqual(totals, expected[name])
        })
      ))
  }
})
