import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { copy } from "./copyHarness.ts"
import type * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/from", "/from/folder", "/to"]) disk.folder(folder)
  disk.file("/from/a", "text of a")
  disk.file("/from/empty", "")
  disk.file("/from/folder/b", "text of b")
  disk.file("/from/large", Buffer.alloc(9 * 2 ** 20, 3))
  disk.symlink("/from/link", "folder/b")
  return disk
}

const isText = (content: Uint8Array): boolean => Buffer.from(content).toString("latin1") === "text of a"

describe.each([false, true])("a copy that is read back (files of a folder together: %s)", (together) => {
  it.effect("is compared with what was copied, file by file", () =>
    Effect.gen(function*() {
      for (const preserve of [undefined, ["mode", "times"] as const]) {
        const disk = plant()
        const read: Array<string> = []
        const before: FaultyFiles.Before = (call, path) =>
          Effect.sync(() => {
            if (call === "fadvise") read.push(path)
          })
        const { progress, state } = yield* copy(disk, {
          together,
          verify: true,
          before,
          ...preserve === undefined ? {} : { preserve }
        })
        assert.strictEqual(state, "Completed")
        assert.strictEqual(progress.tally.units["verified"], 4)
        assert.strictEqual(read.length, 4)
        assert.deepStrictEqual(disk.tree("/to/copy"), disk.tree("/from"))
      }
    }))

  it.effect("is left where it is as its source already, and neither read nor flushed", () =>
    Effect.gen(function*() {
      const disk = plant()
      yield* copy(disk)
      const made: Array<string> = []
      const { progress: { tally: { tags, units } } } = yield* copy(disk, {
        together,
        verify: true,
        before: (call, path) => Effect.sync(() => void made.push(`${call} ${path}`))
      })
      assert.deepStrictEqual([tags["Unchanged"], units["verified"]], [5, undefined])
      assert.deepStrictEqual(
        made.filter((call) => /^(?:open|read|fadvise|fsync|create) .*\/(?:a|b|empty|large)$/.test(call)),
        []
      )
      // One is to see whether there is such a thing, the others are of folders that are dealt with by themselves.
      assert.lengthOf(made.filter((call) => call.startsWith("syncfs")), together ? 2 : 3)
    }))

  it.effect("is written once more where that is something else", () =>
    Effect.gen(function*() {
      const disk = plant()
      let times = 0
      disk.corrupts = (content) => isText(content) && times++ === 0 ? Buffer.from("text of b") : content
      const { progress, rows, state } = yield* copy(disk, { together, verify: true })
      assert.deepStrictEqual([state, rows, times], ["Completed", [], 2])
      assert.strictEqual(progress.tally.units["verified"], 4)
      // What was written in vain is not counted.
      assert.strictEqual(progress.tally.units["bytes"], 2 * "text of a".length + 9 * 2 ** 20)
      assert.deepStrictEqual(disk.tree("/to/copy"), disk.tree("/from"))
    }))

  it.effect("fails where it is something else each time, and leaves the old one", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.folder("/to/copy")
      disk.file("/to/copy/a", "the old one")
      disk.corrupts = (content) => isText(content) || content.length > 1000 ? content.slice(1) : content
      const { rows, state } = yield* copy(disk, { together, verify: true })
      assert.strictEqual(state, "CompletedWithErrors")
      assert.deepStrictEqual(rows, [
        `/from/a failed: The copy "/to/copy/a" is not what was written`,
        `/from/large failed: The copy "/to/copy/large" is not what was written`
      ])
      assert.include(disk.see("/to/copy/a"), { kind: "file", text: "the old one" })
      assert.strictEqual(disk.see("/to/copy/large"), undefined)
      assert.isFalse(Object.keys(disk.tree("/to/copy")).some((name) => name.includes(".fanout-")))
    }))
})
