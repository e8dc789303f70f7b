import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import { copy, plant } from "./copyHarness.ts"
import * as FaultyFiles from "./FaultyFiles.ts"

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
