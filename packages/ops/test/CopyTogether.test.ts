import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import { stride } from "../../../test/effort.ts"
import { copy, type Options } from "./copyHarness.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const names = ["a", "b", "c", "inner/d", "inner/e"]

const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/from", "/from/inner"]) disk.folder(folder, { mode: 0o750 })
  for (const name of names) disk.file(`/from/${name}`, `text of ${name}`, { modified: 1_111_000n })
  disk.symlink("/from/link", "a")
  for (const folder of ["/from", "/from/inner"]) {
    disk.find(FilePath.make(folder)).times = { accessedNanos: 7n, modifiedNanos: 9_000n }
  }
  disk.folder("/to")
  disk.syncAll()
  return disk
}

/**
 * Stops it at one call after the other for lack of room, and lets it go on: then all is there, and nothing twice.
 * `lasts` has all calls fail from that one on until the job has stopped, so that it can't clean up either: what a kill
 * leaves.
 */
const stopEverywhere = (options: Options, lasts: boolean, how: (disk: MemoryFiles.Disk) => void = () => {}) =>
  Effect.gen(function*() {
    for (let n = 0;; n += stride(7)) {
      const disk = plant()
      const original = disk.tree("/from")
      let left = n
      let [isPlanned, isStopped, stoppedAt] = [false, false, ""]
      const { checksums, progress, rows, state } = yield* copy(disk, {
        ...options,
        together: true,
        goesOn: true,
        before: (call, path) =>
          Effect.suspend(() => {
            isPlanned ||= call === "mkdir"
            // Who is killed has all closed.
            if (!isPlanned || isStopped || (lasts && call === "close") || left-- > 0) return Effect.void
            if (!lasts) isStopped = true
            if (stoppedAt === "") stoppedAt = `${call} ${path} (${n})`
            return Effect.fail(FaultyFiles.error(call, path, "ENOSPC"))
          }),
        whenStopped: Effect.sync(() => {
          isStopped = true
          how(disk)
        })
      })
      if (left >= 0) {
        assert.isAbove(n, 20)
        return
      }
      // What is sources' own fails with them.
      if (stoppedAt.includes(" /from")) continue
      assert.deepStrictEqual([state, rows.filter((row) => !row.includes("skipped"))], ["Completed", []], stoppedAt)
      const strays = Object.keys(disk.tree("/to")).filter((path) => path.includes(".fanout-"))
      // A second name of a link that can't be removed does no harm.
      for (const path of strays) {
        assert.include(stoppedAt, "unlink /to")
        disk.remove(`/to/${path}`)
      }
      assert.deepStrictEqual(disk.tree("/to/copy"), original, stoppedAt)
      const { Copied = 0, Linked = 0, Unchanged = 0 } = progress.tally.tags
      assert.strictEqual(Copied + Linked + Unchanged, names.length + 1, stoppedAt)
      assert.strictEqual(checksums.length, options.checksums === undefined ? 0 : names.length, stoppedAt)
    }
  })

const ways: ReadonlyArray<readonly [string, Options]> = [
  ["plainly", {}],
  ["durably", { durable: true }],
  ["and verifies", { verify: true }],
  ["and tells checksums", { checksums: "sha256" }]
]

describe.each(ways)("a copy of files together that copies %s", (_, options) => {
  it.effect.each(["changed", "overwrite", "skip", "rename", "error"] as const)(
    "is stopped anywhere, and knows its own work from what others have put there (%s)",
    (conflict) => stopEverywhere({ ...options, conflict }, false)
  )
})

it.effect.each(["changed", "overwrite", "skip", "rename", "error"] as const)(
  "a copy of files together is cut off anywhere, and knows its own work from what others have put there (%s)",
  (conflict) => stopEverywhere({ conflict }, true)
)

it.effect.each(["changed", "skip", "rename", "error"] as const)(
  "a durable copy of files together is stopped anywhere by a power cut, and goes on (%s)",
  (conflict) => stopEverywhere({ durable: true, conflict }, false, (disk) => disk.cutPower())
)
