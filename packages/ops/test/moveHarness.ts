import { assert } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import { stride } from "../../../test/effort.ts"
import { copy, type Options, remembering } from "./copyHarness.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const large = Buffer.alloc(9 * 2 ** 20, 7)

/** A tree to move, to the same file system or another, with some more small files. */
export const plant = (isElsewhere: boolean, hasLarge = true, more = 0): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/from", "/from/empty", "/from/folder"]) disk.folder(folder, { mode: 0o750, modified: 9_000n })
  disk.file("/from/a", "text of a", { mode: 0o640, modified: 1_111_000n })
  disk.file("/from/folder/b", "text of b")
  for (let n = 0; n < more; n++) disk.file(`/from/folder/${n}`, `text of ${n}`)
  if (hasLarge) disk.file("/from/large", large)
  disk.symlink("/from/link", "folder/b")
  disk.hardLink("/from/a", "/from/folder/a again")
  disk.hardLink("/from/a", "/from/z")
  // What is made above it has changed their times.
  for (const folder of ["/from", "/from/folder"]) {
    disk.find(FilePath.make(folder)).times = { accessedNanos: 7n, modifiedNanos: 9_000n }
  }
  if (isElsewhere) disk.device = 2n
  disk.folder("/to")
  return disk
}

export const files = ["a", "folder/a again", "folder/b", "large", "link", "z"]

export const move = (disk: MemoryFiles.Disk, options: Options = {}) =>
  copy(disk, { moves: true, conflict: "overwrite", hardLinks: remembering(), ...options })

export const inode = (disk: MemoryFiles.Disk, path: string) => disk.find(FilePath.make(path)).inode

/** Nothing is where it was, and all of it where it is to be. */
export const assertMoved = (disk: MemoryFiles.Disk, original: Record<string, MemoryFiles.Seen>, why = "") => {
  assert.strictEqual(disk.see("/from"), undefined, why)
  assert.deepStrictEqual(disk.tree("/to/copy"), original, why)
  const inodes = ["a", "folder/a again", "z"].map((name) => inode(disk, `/to/copy/${name}`))
  assert.strictEqual(new Set(inodes).size, 1, `${why}: hard links`)
}

/** Whether each file is whole where it was, or where it is to be. */
const assertWhole = (disk: MemoryFiles.Disk, original: Record<string, MemoryFiles.Seen>, why: string) => {
  const all = disk.tree("/")
  for (const name of Object.keys(original)) {
    if (original[name]?.kind === "folder") continue
    const places = [all[`from/${name}`], all[`to/copy/${name}`]]
    const wanted = original[name]
    const isWhole = places.some((seen) =>
      seen?.kind === "file" ? wanted?.kind === "file" && seen.text === wanted.text : seen?.kind === "link"
    )
    assert.isTrue(isWhole, `${name} ${why}`)
  }
}

/** Stops it at one call after the other, and lets it go on. */
export const stopEverywhere = (
  { code, conflict = "overwrite", how = () => {}, isElsewhere, merges, more = 0, every }: {
    readonly code: string
    readonly conflict?: Options["conflict"]
    /** Whether it is to another file system. */
    readonly isElsewhere: boolean
    /** Whether the folder that it goes to is there. */
    readonly merges: boolean
    /** So many calls lie between one stop and the next. */
    readonly every: number
    /** Small files that are moved together; one by one if there are none. */
    readonly more?: number
    /** What happens when it is stopped. */
    readonly how?: (disk: MemoryFiles.Disk) => void
  }
) =>
  Effect.gen(function*() {
    for (let n = 0;; n += every * stride(5)) {
      const disk = plant(isElsewhere, false, more)
      const original = disk.tree("/from")
      if (merges) disk.folder("/to/copy")
      disk.syncAll()
      let [left, isPlanned] = [n, false]
      let stoppedAt = ""
      const before: FaultyFiles.Before = (call, path) =>
        Effect.suspend(() => {
          isPlanned ||= call === "open"
          if (!isPlanned || left-- !== 0) return Effect.void
          stoppedAt = `${call} ${path} (${n})`
          return Effect.fail(FaultyFiles.error(call, path, code))
        })
      const { state } = yield* move(disk, {
        together: more > 0,
        conflict,
        before,
        goesOn: true,
        whenStopped: Effect.sync(() => {
          how(disk)
          assertWhole(disk, original, stoppedAt)
        })
      })
      if (left >= 0) {
        assert.isAbove(n, isElsewhere || merges ? 40 : 4)
        return
      }
      assertWhole(disk, original, stoppedAt)
      // A second name that can't be removed does no harm.
      for (const path of Object.keys(disk.tree("/to")).filter((path) => path.includes(".fanout-"))) {
        assert.include(stoppedAt, "unlink /to")
        disk.remove(`/to/${path}`)
      }
      // What can't be told from what is not there is left where it was.
      if (disk.see("/from") === undefined) assertMoved(disk, original, stoppedAt)
      else assert.include(["Completed", "CompletedWithErrors"], state, stoppedAt)
    }
  })

/** What may become of a copy, as it is said of it. */
export const edits: ReadonlyArray<readonly [string, (disk: MemoryFiles.Disk, path: string) => void]> = [
  ["gone from", (disk, path) => disk.remove(path)],
  ["shorter", (disk, path) => disk.change(FilePath.make(path), (text) => text.slice(1))]
]
