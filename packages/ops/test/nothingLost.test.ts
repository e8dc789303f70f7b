import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { runs } from "../../../test/effort.ts"
import { copy } from "./copyHarness.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import * as TouchingTrees from "./TouchingTrees.ts"

describe("nothing is lost", { timeout: 600_000 }, () => {
  it.effect.prop(
    "however sources and targets touch, wherever processes are killed, and whatever is tidied up in between",
    { world: TouchingTrees.World },
    ({ world }) =>
      Effect.gen(function*() {
        const { isOver, lost } = yield* TouchingTrees.run(world)
        assert.deepStrictEqual([isOver, lost], [true, []])
      }),
    { arbitrary: { runs: runs(6000) } }
  )

  it.effect("where a move takes a link away through which another one led to what is in its way", () =>
    Effect.gen(function*() {
      for (const together of [false, true]) {
        const disk = new MemoryFiles.Disk()
        for (const folder of ["/from", "/to", "/to/copy"]) disk.folder(folder)
        disk.symlink("/from/a", "/to/copy/b")
        disk.symlink("/from/b", "/from/a")
        disk.file("/to/copy/b", "text of b")

        const { rows } = yield* copy(disk, { together, moves: true, conflict: "overwrite" })

        assert.lengthOf(rows, 1)
        assert.include(disk.see("/to/copy/b"), { text: "text of b" })
        assert.include(disk.see("/from/b"), { kind: "link" })
      }
    }))

  it.effect("where two links lead to what is in each other's way", () =>
    Effect.gen(function*() {
      for (const together of [false, true]) {
        for (const moves of [false, true]) {
          const disk = new MemoryFiles.Disk()
          for (const folder of ["/from", "/to", "/to/copy"]) disk.folder(folder)
          for (const [name, other] of [["a", "b"], ["b", "a"]] as const) {
            disk.symlink(`/from/${name}`, `/to/copy/${other}`)
            disk.file(`/to/copy/${name}`, `text of ${name}`)
          }

          const { rows } = yield* copy(disk, { together, moves, conflict: "overwrite" })

          // One takes the place of a file, and the other one would take that of its own target.
          assert.lengthOf(rows, 1)
          const left = Object.values(disk.tree("/to")).flatMap((seen) => seen.kind === "file" ? [seen.text] : [])
          assert.lengthOf(left, 1)
        }
      }
    }))
})
