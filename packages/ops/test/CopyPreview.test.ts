import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import { Mode } from "../src/internal/steps/conflict.ts"
import { copy, plant, preview } from "./copyHarness.ts"
import * as FaultyFiles from "./FaultyFiles.ts"

/** A tree to copy, and a destination in which something of each kind is in the way. */
const plantConflicts = () => {
  const disk = plant()
  for (const folder of ["/to/copy", "/to/copy/folder", "/to/copy/b-folder"]) disk.folder(folder)
  disk.folder("/from/a-folder")
  disk.file("/from/a-folder/lost", "text")
  disk.file("/to/copy/a-folder", "in the way")
  disk.file("/from/b-folder", "text")
  disk.file("/to/copy/a", "text of a", { modified: 1_111_111n })
  disk.file("/to/copy/folder/b", "another text")
  disk.symlink("/to/copy/link", "folder/c")
  disk.file("/to/copy/to-its-own", "the only one")
  disk.symlink("/from/to-its-own", "../to/copy/to-its-own")
  disk.file("/from/jobs.db", "text")
  return disk
}

const leaveOut = ["/to/copy/jobs.db"]

describe("CopyPreview", () => {
  it.effect.each(Mode.literals)(
    "does nothing, and says what the copy does then (%s)",
    (conflict) =>
      Effect.gen(function*() {
        const disk = plantConflicts()
        const before = disk.tree("/to")

        const entries = yield* preview(disk, { conflict, leaveOut })

        assert.deepStrictEqual(disk.tree("/to"), before)
        const { rows } = yield* copy(disk, { conflict, leaveOut })
        for (const { action, kind, source, target, why } of entries) {
          const row = rows.find((row) => row.startsWith(`${source} `))
          const isWritten = action === "Create" || action === "Replace" || action === "RenameTo"
          if (isWritten && kind !== "folder") assert.deepStrictEqual(disk.see(target), disk.see(source))
          if (action === "Unchanged") assert.deepStrictEqual(disk.see(target), before[target.slice("/to/".length)])
          const expected = action === "Skip"
            ? `${source} skipped: ${why}`
            : action === "Refuse"
            ? `${source} failed: ${target}: ${why}`
            : undefined
          assert.strictEqual(row, expected)
        }
        assert.sameMembers(
          rows.map((row) => row.split(" ")[0]),
          [
            ...entries.filter(({ why }) => why !== "").map(({ source }) => source),
            // What is in a folder that is refused is one row more.
            "/from/a-folder"
          ]
        )
      })
  )

  it.effect("says that what was named fails, where it is not there or no file, folder or link", () =>
    Effect.gen(function*() {
      const disk = plantConflicts()
      disk.special("/from/socket")
      const sources = ["/from/a", "/from/missing", "/from/socket"] as const
      const entries = yield* preview(disk, { sources })
      assert.deepStrictEqual(entries.map(({ action, source }) => `${action} ${source}`), [
        "Create /from/a",
        "Fail /from/missing",
        "Fail /from/socket"
      ])
      const { rows } = yield* copy(disk, { sources })
      const why = entries.filter(({ action }) => action === "Fail").map(({ source, why }) => `${source} failed: ${why}`)
      assert.deepStrictEqual(rows, why)
    }))

  it.effect("says nothing of what the rules exclude, in a folder that is refused either", () =>
    Effect.gen(function*() {
      const disk = plantConflicts()
      const rules = ["/folder", "*.db", "lost", "pipe"]

      const entries = yield* preview(disk, { rules })

      assert.deepStrictEqual(
        entries.map(({ action, source }) => `${action} ${source}`),
        [
          "Merge /from",
          "Unchanged /from/a",
          "Refuse /from/a-folder",
          "Refuse /from/b-folder",
          "Replace /from/link",
          "Refuse /from/to-its-own"
        ]
      )
      const { rows } = yield* copy(disk, { rules })
      assert.deepStrictEqual(rows.map((row) => row.split(" ")[0]), [
        "/from/a-folder",
        "/from/b-folder",
        "/from/to-its-own"
      ])
    }))

  it.effect("says what could not be looked at, and what is gone", () =>
    Effect.gen(function*() {
      const codes = new Map([["scandir /from/folder", "EACCES"], ["lstat /from/a", "ENOENT"]])

      const entries = yield* preview(plant(), {
        before: FaultyFiles.failingBy(codes)
      })

      assert.deepStrictEqual(
        entries.filter(({ kind }) => kind === "unknown").map(({ action, source }) => [action, source]),
        [["Skip", FilePath.make("/from/a")], ["Fail", FilePath.make("/from/folder")]]
      )
    }))
})
