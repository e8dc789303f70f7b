import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const n = FilePath.make

/** Steps that are made, but for looks at what is to be renamed. */
const steps = {
  "in one step": { file: ["rename from"], link: ["rename from"], folder: ["rename from"] },
  "by links": {
    file: ["rename from", "link from", "unlink from"],
    link: ["rename from", "lstat to", "rename from"],
    folder: ["rename from", "lstat to", "rename from"]
  },
  "without links": {
    file: ["rename from", "link from", "lstat to", "rename from"],
    link: ["rename from", "lstat to", "rename from"],
    folder: ["rename from", "lstat to", "rename from"]
  }
} as const

const plant = (way: keyof typeof steps, kind: keyof (typeof steps)[typeof way]) => {
  const disk = new MemoryFiles.Disk()
  disk.folder("/in")
  disk.takes("/in", { lacksLinks: way === "without links" })
  disk.renamesExclusively = way === "in one step"
  if (kind === "folder") disk.folder("/in/from")
  else if (kind === "link") disk.symlink("/in/from", "anywhere")
  else disk.file("/in/from", "text")
  return disk
}

const ways = ["in one step", "by links", "without links"] as const
const kinds = ["file", "link", "folder"] as const

describe("renameToFree", () => {
  it.effect.each(ways.flatMap((way) => kinds.map((kind) => [way, kind] as const)))(
    "gives a name that is free, and takes none that is not (%s, %s)",
    ([way, kind]) =>
      Effect.gen(function*() {
        const disk = plant(way, kind)
        const original = disk.see("/in/from")
        const made: Array<string> = []
        const files = FaultyFiles.intercept(MemoryFiles.make(disk), (call, path) =>
          Effect.sync(() => {
            const name = FilePath.name(path)
            if (call !== "open" && !(call === "lstat" && name === "from")) made.push(`${call} ${name}`)
          }))
        const folder = yield* files.folder(n("/in"))
        disk.file("/in/to", "of somebody else")
        const { code } = yield* Effect.flip(folder.renameExclusively(n("from"), n("to")))
        assert.strictEqual(code, "EEXIST")
        assert.deepStrictEqual(disk.see("/in/from"), original)
        assert.include(disk.see("/in/to"), { text: "of somebody else" })
        disk.remove("/in/to")
        made.length = 0
        yield* folder.renameExclusively(n("from"), n("to"))
        assert.deepStrictEqual(disk.see("/in/to"), original)
        assert.strictEqual(disk.see("/in/from"), undefined)
        assert.deepStrictEqual(made, [...steps[way][kind]])
      })
  )

  it.effect("tells that a file has both names where it can't lose its own", () =>
    Effect.gen(function*() {
      const disk = plant("by links", "file")
      const files = FaultyFiles.intercept(
        MemoryFiles.make(disk),
        FaultyFiles.failing("EIO", (call) => call === "unlink")
      )
      const folder = yield* files.folder(n("/in"))
      const { code } = yield* Effect.flip(folder.renameExclusively(n("from"), n("to")))
      assert.strictEqual(code, "EIO")
      assert.deepStrictEqual(disk.see("/in/to"), disk.see("/in/from"))
    }))
})
