import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { copy } from "./copyHarness.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { move } from "./moveHarness.ts"

const names = ["A", "README", "a", "readme"]

/** Files whose names one folder takes for two, which another one takes for one. */
const plant = (isElsewhere: boolean): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  disk.folder("/from")
  for (const [n, name] of names.entries()) disk.file(`/from/${name}`, `text of ${name}`, { modified: BigInt(n) })
  if (isElsewhere) disk.device = 2n
  disk.folder("/to")
  disk.takes("/to", { fold: (name) => name.toLowerCase() })
  disk.folder("/to/copy")
  return disk
}

const texts = (disk: MemoryFiles.Disk, folder: string) =>
  Object.values(disk.see(folder) === undefined ? {} : disk.tree(folder)).flatMap((seen) =>
    seen.kind === "file" ? [seen.text] : []
  ).toSorted()

/** One file, beside another one that has its name in another spelling at the destination. */
const plantOne = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  disk.folder("/from")
  disk.file("/from/readme", "the new one")
  disk.device = 2n
  disk.folder("/to")
  disk.takes("/to", { fold: (name) => name.toLowerCase() })
  disk.folder("/to/copy")
  disk.file("/to/copy/README", "there before")
  return disk
}

describe("names that the destination takes for one", () => {
  it.effect("cost no file where these are moved, whatever the mode, the route and the device", () =>
    Effect.gen(function*() {
      for (const isElsewhere of [true, false]) {
        for (const together of [false, true]) {
          for (const conflict of ["changed", "overwrite", "skip", "rename", "error"] as const) {
            const why = `${conflict} ${isElsewhere ? "elsewhere" : "here"} ${together ? "together" : "alone"}`
            const disk = plant(isElsewhere)
            const { progress: { tally: { failed, tags } }, rows } = yield* move(disk, { conflict, together })
            const all = [...texts(disk, "/from"), ...texts(disk, "/to/copy")].toSorted()
            assert.deepStrictEqual(all, names.map((name) => `text of ${name}`), why)
            const moved = texts(disk, "/to/copy").length
            assert.strictEqual(tags["Moved"], moved, why)
            assert.strictEqual(moved, conflict === "rename" ? 4 : 2, why)
            assert.strictEqual(failed, conflict === "rename" || conflict === "skip" ? 0 : 2, `${why} ${rows.join()}`)
          }
        }
      }
    }))

  it.effect("are told of a copy once for each, and the second is refused by the name of the first", () =>
    Effect.gen(function*() {
      for (const together of [false, true]) {
        const disk = plant(true)
        const { progress: { tally: { failed, tags } }, rows } = yield* copy(disk, { together })
        assert.deepStrictEqual([failed, tags["Copied"]], [2, 2])
        assert.strictEqual(texts(disk, "/to/copy").length, 2)
        assert.include(rows[0], "which takes both for one name")
      }
    }))

  it.effect("are those of folders, too: the second is refused with all that is in it", () =>
    Effect.gen(function*() {
      for (const moves of [false, true]) {
        const disk = plant(true)
        for (const folder of ["Dir", "dir"]) {
          disk.folder(`/from/${folder}`)
          disk.file(`/from/${folder}/file`, `in ${folder}`)
          disk.file(`/from/${folder}/only in the ${folder === "Dir" ? "first" : "second"}`, "more")
        }
        const { progress: { tally: { failed, skipped } }, rows } = yield* (moves ? move : copy)(disk, {})
        assert.deepStrictEqual([failed, skipped], [3, 2])
        assert.isTrue(
          rows.some((row) => row.startsWith("/from/dir failed: \"/from/dir\" is not copied: \"Dir\" has that"))
        )
        assert.include(disk.see("/to/copy/Dir/file"), { text: "in Dir" })
        assert.isUndefined(disk.see("/to/copy/Dir/only in the second"))
        assert.include(disk.see("/from/dir/file"), { text: "in dir" })
      }
    }))

  it.effect("are replaced by a copy where they were there before, and not by a move: they may be nowhere else", () =>
    Effect.gen(function*() {
      const [copied, moved] = [plantOne(), plantOne()]
      assert.strictEqual((yield* copy(copied)).state, "Completed")
      assert.deepStrictEqual(texts(copied, "/to/copy"), ["the new one"])
      const { rows } = yield* move(moved)
      assert.include(rows[0], "\"README\" has that name already")
      assert.deepStrictEqual([texts(moved, "/from"), texts(moved, "/to/copy")], [["the new one"], ["there before"]])
    }))
})
