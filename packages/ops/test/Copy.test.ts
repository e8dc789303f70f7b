import { assert, describe, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import * as Outcome from "@fanout/core/Outcome"
import * as Pools from "@fanout/core/Pools"
import { layer, settle } from "@fanout/core/testing"
import type * as Conflict from "@fanout/ops/Conflict"
import * as Copy from "@fanout/ops/Copy"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

/** A tree to copy: what the job meets of each kind. */
const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/from", "/from/folder", "/to"]) disk.folder(folder)
  disk.file("/from/a", "text of a", { mode: 0o640, modified: 1_111_111n })
  disk.file("/from/folder/b", "text of b")
  disk.symlink("/from/link", "folder/b")
  disk.special("/from/pipe")
  return disk
}

const runtime = layer({ jobs: [Copy.job] }).pipe(
  Layer.provide(Layer.provide(Copy.layer, Pools.layer({ io: 4 })))
)

const outcomeText = Outcome.Outcome.match({
  Done: () => "done",
  Skipped: ({ reason }) => `skipped: ${reason}`,
  Failed: ({ failure }) => `failed: ${Outcome.message(failure)}`
})

/** Copies `/from` to `/to/copy` by a job, and tells what that came to. */
const copy = (
  disk: MemoryFiles.Disk,
  options: {
    readonly before?: FaultyFiles.Before
    readonly conflict?: Conflict.Mode
    readonly leaveOut?: ReadonlyArray<string>
  } = {}
) => {
  const files = Layer.succeed(
    Files.Files,
    FaultyFiles.intercept(MemoryFiles.make(disk), options.before ?? (() => Effect.void))
  )
  return Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const payload = yield* Copy.plan({
      sources: [FilePath.make("/from")],
      destination: FilePath.make("/to/copy"),
      noTargetDirectory: true,
      conflict: options.conflict ?? "changed"
    }, options.leaveOut?.map(FilePath.make))
    const { id } = yield* manager.start(Copy.job, payload)
    yield* settle
    yield* TestClock.adjust("10 seconds")
    const rows = yield* Stream.runCollect(manager.outcomes(id))
    return {
      state: (yield* manager.get(id)).state._tag,
      progress: yield* manager.progress(id),
      rows: rows.map(({ key, outcome }) => `${key} ${outcomeText(outcome)}`)
    }
  }).pipe(Effect.provide(Layer.provideMerge(runtime, files)))
}

describe("Copy", () => {
  it.effect("copies a tree, and says what it left out", () =>
    Effect.gen(function*() {
      const disk = plant()

      const { progress, rows, state } = yield* copy(disk)

      assert.strictEqual(state, "Completed")
      assert.deepStrictEqual(rows, ["/from/pipe skipped: it is no file, folder or link"])
      assert.deepStrictEqual(progress.tally.tags, { Copied: 2, Linked: 1, FolderMade: 2, FolderEnded: 2 })
      assert.deepStrictEqual(progress.tally.units, { bytes: 18 })
      disk.remove(FilePath.make("/from/pipe"))
      assert.deepStrictEqual(disk.tree("/to/copy"), disk.tree("/from"))
    }))

  it.effect("counts what copies could not be given", () =>
    Effect.gen(function*() {
      const without = (call: string) => call === "fchmod" || call === "lutimes"

      const { progress, rows, state } = yield* copy(plant(), {
        before: (call, path) => without(call) ? Effect.fail(FaultyFiles.error(call, path, "EPERM")) : Effect.void
      })

      assert.strictEqual(state, "Completed")
      assert.lengthOf(rows, 1)
      // Two files and two folders, and the link.
      assert.deepStrictEqual(progress.tally.units, { bytes: 18, lostMode: 4, lostTimes: 1 })
    }))

  it.effect.each(["changed", "overwrite", "rename", "skip", "error"] as const)(
    "neither copies nor replaces the database of its job (%s)",
    (conflict) =>
      Effect.gen(function*() {
        const disk = plant()
        disk.folder("/to/copy")
        for (const name of ["jobs.db", "jobs.db-wal", "other"]) disk.file(`/from/${name}`, `mine: ${name}`)
        disk.file("/to/copy/jobs.db", "database")
        disk.hardLink("/to/copy/jobs.db", "/to/copy/other")
        disk.hardLink("/to/copy/jobs.db", "/from/folder/c")

        const { rows, state } = yield* copy(disk, {
          conflict,
          leaveOut: ["/to/copy/jobs.db", "/to/copy/jobs.db-wal"]
        })

        const has = "the database of this job has that name"
        const ending = conflict === "skip" ? "skipped: it is there already" : "failed: "
        assert.strictEqual(state, "CompletedWithErrors")
        assert.include(rows, "/from/folder/c skipped: it belongs to the database of this job")
        assert.isTrue(rows.some((row) => row.startsWith(`/from/jobs.db-wal failed: /to/copy/jobs.db-wal: ${has}`)))
        for (const name of ["jobs.db", "other"]) {
          const isNumbered = disk.see(`/to/copy/${name.replace(/(\.|$)/, " (1)$1")}`) !== undefined
          assert.strictEqual(isNumbered, conflict === "rename")
          assert.strictEqual(rows.some((row) => row.startsWith(`/from/${name} ${ending}`)), conflict !== "rename")
          assert.include(disk.see(`/to/copy/${name}`), { text: "database" })
        }
        assert.isUndefined(disk.see("/to/copy/jobs.db-wal"))
        assert.isUndefined(disk.see("/to/copy/folder/c"))
      })
  )

  it.effect("calls what is gone when its turn comes vanished, a folder with all in it", () =>
    Effect.gen(function*() {
      const gone = new Set(["lstat /from/a", "scandir /from/folder"])

      const { rows, state } = yield* copy(plant(), {
        before: (call, path) =>
          gone.has(`${call} ${path}`) ? Effect.fail(FaultyFiles.error(call, path, "ENOENT")) : Effect.void
      })

      assert.strictEqual(state, "Completed")
      assert.sameMembers(rows, [
        "/from/a skipped: it vanished",
        "/from/folder skipped: it vanished",
        "/from/pipe skipped: it is no file, folder or link"
      ])
    }))
})
