import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as FolderListing from "@fanout/ops/FolderListing"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { inKeyOrder } from "../src/internal/tree/keyOrder.ts"
import * as World from "./objectHarness.ts"

/** Names that often begin alike, and have characters on both sides of the slash. */
const Name = Schema.Array(Schema.Literals(["a", "b", "!", "-", ".", "0", "é", "\u{ffff}", "😀", " "])).check(
  Schema.isMinLength(1),
  Schema.isMaxLength(3)
)

const Tree = Schema.Array(Schema.Struct({
  path: Schema.Array(Name).check(Schema.isMinLength(1), Schema.isMaxLength(3)),
  isFolder: Schema.Boolean
})).check(Schema.isMaxLength(12))

/** Makes what of a tree can be made: what is below a file can't. */
const plant = ({ disk }: World.World, tree: typeof Tree.Type): void => {
  const made = new Map<string, boolean>([["/from", true]])
  for (const { isFolder, path } of tree) {
    let at = "/from"
    for (const [index, characters] of path.entries()) {
      const name = characters.join("")
      if (name === "." || name === ".." || made.get(at) !== true) break
      at = `${at}/${name}`
      if (made.has(at)) continue
      const becomesFolder = isFolder || index < path.length - 1
      if (becomesFolder) disk.folder(at)
      else disk.file(at, `text of ${at}`, { mode: 0o644, modified: 1_000_000n })
      made.set(at, becomesFolder)
    }
  }
}

describe("trees and objects", () => {
  it.effect.prop(
    "are the same there and back, whatever the names are",
    { tree: Tree },
    ({ tree }) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld()
        plant(world, tree)

        const up = yield* World.copy(world, "/from", "s3://bucket/copy")
        const again = yield* World.copy(world, "/from", "s3://bucket/copy")
        const down = yield* World.copy(world, "s3://bucket/copy", "/to/copy")

        assert.deepStrictEqual([up.rows, again.rows, down.rows], [[], [], []])
        assert.strictEqual(again.tally.tags?.["Copied"], undefined)
        assert.deepStrictEqual(World.treeOf(world, "/to/copy"), World.treeOf(world, "/from"))
      }),
    { arbitrary: { runs: 30 } }
  )

  it.effect.prop(
    "have one order, from any name on",
    { names: Schema.Array(Name), folders: Schema.Array(Name) },
    (given) =>
      Effect.gen(function*() {
        const folders = new Set(given.folders.map((name) => name.join("")))
        const names = new Set(given.names.map((name) => name.join("")))
        const builder = FolderListing.builderUnsafe()
        const latin1 = (name: string): string => Buffer.from(name).toString("latin1")
        for (const name of folders) builder.addUnsafe(latin1(name), "folder")
        for (const name of names) if (!folders.has(name)) builder.addUnsafe(latin1(name), "file")

        const listing = inKeyOrder(yield* builder.build)

        const all = Array.from({ length: listing.size }, (_, index) => listing.nameAt(index))
        const keyOf = (name: string): Buffer => Buffer.from(folders.has(name) ? `${name}/` : name)
        assert.deepStrictEqual(all, all.toSorted((a, b) => Buffer.compare(keyOf(a), keyOf(b))))
        all.forEach((name, index) => {
          assert.strictEqual(listing.kindAt(index), folders.has(name) ? "folder" : "file")
          assert.strictEqual(listing.indexAfter(FilePath.make(name)), index + 1)
        })
      })
  )
})
