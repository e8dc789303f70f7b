import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as FolderListing from "@fanout/ops/FolderListing"
import type { Capabilities } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { runs } from "../../../test/effort.ts"
import { inKeyOrder, keyOf } from "../src/internal/tree/keyOrder.ts"
import * as MemoryStore from "./memoryStore.ts"
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

/** A store with parts of 16 KiB. */
const ofTinyParts: Capabilities = {
  ...World.ofSmallParts,
  limits: { ...World.ofSmallParts.limits, putBytes: 2 ** 14, mostPartBytes: 2 ** 14 }
}

/** Sizes about those at which another way is taken. */
const Size = Schema.Literals(
  [0, 1, 2 ** 14 - 1, 2 ** 14, 2 ** 14 + 1, 2 ** 15, 2 ** 15 + 1, 2 ** 17]
)

/** Makes what of a tree can be made: what is below a file can't. */
const plant = (
  { disk }: World.World,
  tree: typeof Tree.Type,
  textOf: (path: string, index: number) => string = (path) => `text of ${path}`
): void => {
  const made = new Map<string, boolean>([["/from", true]])
  for (const [nth, { isFolder, path }] of tree.entries()) {
    let at = "/from"
    for (const [index, characters] of path.entries()) {
      const name = characters.join("")
      if (name === "." || name === ".." || made.get(at) !== true) break
      at = `${at}/${name}`
      if (made.has(at)) continue
      const becomesFolder = isFolder || index < path.length - 1
      if (becomesFolder) disk.folder(at)
      else disk.file(at, textOf(at, nth), { mode: 0o644, modified: 1_000_000n })
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
        const same = yield* World.verify(world, "/from", "s3://bucket/copy")
        const down = yield* World.copy(world, "s3://bucket/copy", "/to/copy")
        const back = yield* World.verify(world, "s3://bucket/copy", "/to/copy")

        assert.deepStrictEqual([up.rows, again.rows, down.rows], [[], [], []])
        assert.deepStrictEqual([same.differences, back.differences], [{}, {}])
        assert.strictEqual(again.tally.tags?.["Copied"], undefined)
        assert.deepStrictEqual(World.treeOf(world, "/to/copy"), World.treeOf(world, "/from"))
      }),
    { arbitrary: { runs: 30 } }
  )

  it.effect.prop(
    "are the same up, across and down, copied and moved, whatever the sizes are",
    { tree: Tree, sizes: Schema.NonEmptyArray(Size), moves: Schema.Boolean, isOneProvider: Schema.Boolean },
    ({ isOneProvider, moves, sizes, tree }) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld(ofTinyParts, isOneProvider ? "memory" : "elsewhere")
        const textOf = (path: string, index: number): string => path.padEnd(sizes[index % sizes.length] ?? 0, "x")
        plant(world, tree, textOf)
        const before = World.treeOf(world, "/from")
        const options = { conflict: "overwrite", moves } as const

        const up = yield* World.copy(world, "/from", "s3://bucket/copy", options)
        const across = yield* World.copy(world, "s3://bucket/copy", "s3://other/copy", options)
        const down = yield* World.copy(world, "s3://other/copy", "/to/copy", options)

        assert.deepStrictEqual([up.rows, across.rows, down.rows], [[], [], []])
        assert.deepStrictEqual(World.treeOf(world, "/to/copy"), before)
        for (const store of [world.store, world.other]) {
          assert.deepStrictEqual(yield* World.openUploads({ store }), [])
          if (moves) assert.deepStrictEqual(yield* World.keys({ store }), [])
        }
        if (moves) assert.deepStrictEqual(Object.keys(world.disk.tree("/")).includes("from"), false)
      }),
    { arbitrary: { runs: 30 } }
  )

  it.effect.prop(
    "differ where a byte does, in whichever, wherever, and however it is compared",
    {
      size: Schema.Literals([1, 2 ** 20, 2 ** 20 + 1, 2 ** 23, 2 ** 23 + 1, 2 ** 24, 2 ** 24 + 1]),
      part: Schema.Literals([0, 0.3, 0.999, 1]),
      changes: Schema.Literals(["file", "object"]),
      isKept: Schema.Boolean
    },
    ({ changes, isKept, part, size }) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld(
          isKept ? MemoryStore.memoryCapabilities : { ...World.ofSmallParts, checksum: undefined }
        )
        const at = Math.round((size - 1) * part)
        const bytes = Buffer.alloc(size, "some text\n")
        const others = Buffer.from(bytes)
        others[at] = 0
        const properties = { mode: 0o644, modified: 1_000_000_000n }
        world.disk.file("/from/file", bytes, properties)
        yield* World.copy(world, "/from", "s3://bucket/copy")
        const same = yield* World.verify(world, "/from", "s3://bucket/copy")
        if (changes === "file") {
          world.disk.remove("/from/file")
          world.disk.file("/from/file", others, properties)
        } else {
          world.disk.folder("/other")
          world.disk.file("/other/file", others, properties)
          yield* World.copy(world, "/other", "s3://bucket/copy", { conflict: "overwrite" })
        }
        const { differences } = yield* World.verify(world, "/from", "s3://bucket/copy")
        const { differences: back } = yield* World.verify(world, "s3://bucket/copy", "/from")

        assert.deepStrictEqual(same.differences, {})
        for (const { file } of [differences, back]) {
          assert.match(file ?? "", isKept ? /^(md5|crc32) / : /^(md5|differs) /)
        }
      }),
    { arbitrary: { runs: 12 } }
  )

  it.effect.prop(
    "have one order, from any key on, whether or not it is there",
    { names: Schema.Array(Name), folders: Schema.Array(Name), gone: Schema.Array(Name) },
    ({ gone, ...given }) =>
      Effect.gen(function*() {
        const folders = new Set(given.folders.map((name) => name.join("")))
        const names = new Set(given.names.map((name) => name.join("")))
        const builder = FolderListing.builderUnsafe()
        const latin1 = (name: string): string => Buffer.from(name).toString("latin1")
        for (const name of folders) builder.addUnsafe(latin1(name), "folder")
        for (const name of names) if (!folders.has(name)) builder.addUnsafe(latin1(name), "file")

        const listing = inKeyOrder(yield* builder.build)

        const all = Array.from({ length: listing.size }, (_, index) => listing.nameAt(index))
        const keys = all.map((name) => Buffer.from(folders.has(name) ? `${name}/` : name))
        assert.deepStrictEqual(keys, keys.toSorted((a, b) => Buffer.compare(a, b)))
        all.forEach((name, index) => {
          assert.strictEqual(listing.kindAt(index), folders.has(name) ? "folder" : "file")
        })
        for (const name of [...all, ...gone.map((name) => FilePath.make(name.join("")))]) {
          for (const isFolder of [true, false]) {
            const key = keyOf(name, isFolder)
            const expected = keys.filter((other) => Buffer.compare(other, Buffer.from(key)) <= 0).length
            assert.strictEqual(listing.indexAfter(key), expected)
          }
        }
      })
  )
})

const MiB = 2 ** 20

/** A request at which a process is killed, before it is made or once it was answered. */
const Kill = Schema.Struct({
  at: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 24 })),
  when: Schema.Literals(["before", "after"])
})

/** Has each request take so long: meanwhile a job records what is done. */
const slowly = (millis: number) => ({ before: () => Effect.sleep(millis) })

/** Content of so many bytes, no two pieces of which are the same. */
const contentOf = (sizeBytes: number): string => World.long(Math.ceil(sizeBytes / MiB)).slice(0, sizeBytes)

/** Copies files of these sizes up and down by processes that are killed, and compares what there is. */
const thereAndBack = Effect.fnUntraced(function*(
  world: World.World,
  sizes: ReadonlyArray<number>,
  kills: { readonly up: typeof Kill.Type; readonly down: typeof Kill.Type }
) {
  sizes.forEach((sizeBytes, n) =>
    world.disk.file(`/from/${n}`, contentOf(sizeBytes), {
      mode: 0o600 | n % 64,
      modified: 1_700_000_000_123_456_789n + BigInt(n)
    })
  )

  Object.assign(world, slowly(500))
  const up = yield* World.copy(world, "/from", "s3://bucket/copy", { kill: kills.up })
  const keys = yield* World.keys(world)
  const down = yield* World.copy(world, "s3://bucket/copy", "/to/copy", { kill: kills.down })

  assert.deepStrictEqual([up.rows, down.rows], [[], []])
  assert.deepStrictEqual(keys, sizes.map((_, n) => `copy/${n}`).toSorted())
  assert.deepStrictEqual(yield* World.openUploads(world), [])
  const [from, to] = [World.treeOf(world, "/from"), World.treeOf(world, "/to/copy")]
  assert.deepStrictEqual(Object.keys(to), Object.keys(from))
  // A difference of megabytes would take minutes to be shown.
  for (const [name, seen] of Object.entries(from)) {
    const copied = to[name]
    if (seen.kind !== "file" || copied?.kind !== "file") continue
    assert.isTrue(copied.text === seen.text, `${name} of ${seen.text.length} bytes has other content`)
    assert.deepStrictEqual({ ...copied, text: "" }, { ...seen, text: "" })
  }
})

describe("files of any size", () => {
  it.effect.prop(
    "are the same there and back by killed processes, where parts are small",
    {
      sizes: Schema.Array(
        Schema.Literals([0, 1, MiB - 1, MiB, MiB + 1, 2 * MiB - 1, 2 * MiB, 2 * MiB + 1, 5 * MiB - 1, 5 * MiB + 1])
      ).check(Schema.isMinLength(1), Schema.isMaxLength(4)),
      up: Kill,
      down: Kill
    },
    ({ sizes, ...kills }) =>
      Effect.flatMap(World.makeWorld(World.ofSmallParts), (world) => thereAndBack(world, sizes, kills)),
    { arbitrary: { runs: runs(75) } }
  )

  it.effect.prop(
    "are the same there and back by killed processes, around the sizes at which ways change",
    {
      // By one request or by ranges, by one request or in parts, and one part or two.
      sizes: Schema.Array(Schema.Literals([8, 16, 32].flatMap((size) => [size * MiB - 1, size * MiB, size * MiB + 1])))
        .check(Schema.isMinLength(1), Schema.isMaxLength(2)),
      up: Kill,
      down: Kill
    },
    ({ sizes, ...kills }) => Effect.flatMap(World.makeWorld(), (world) => thereAndBack(world, sizes, kills)),
    { arbitrary: { runs: runs(20) } }
  )
})

describe("keys of any number", () => {
  it.effect.prop(
    "are copied there and back by killed processes, and are asked for by pages",
    {
      // Some of them on each side of a page, and folders that begin there.
      first: Schema.Int.check(Schema.isBetween({ minimum: 997, maximum: 1001 })),
      second: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 })),
      killAt: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1100 }))
    },
    ({ first, killAt, second }) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld()
        for (const [folder, count] of [["a", first], ["b", second]] as const) {
          world.disk.folder(`/from/${folder}`)
          for (let n = 0; n < count; n++) world.disk.file(`/from/${folder}/${n}`, `${n}`)
        }
        Object.assign(world, slowly(20))

        const up = yield* World.copy(world, "/from", "s3://bucket/copy", { kill: { at: killAt, when: "after" } })
        const again = yield* World.copy(world, "/from", "s3://bucket/copy")
        const lists = world.requests.filter((request) => request === "list copy/")
        const down = yield* World.copy(world, "s3://bucket/copy", "/to/copy", { kill: { at: killAt, when: "before" } })

        assert.deepStrictEqual([up.rows, again.rows, down.rows], [[], [], []])
        assert.strictEqual(again.tally.tags?.["Copied"], undefined)
        assert.isAtMost(lists.length, 3)
        assert.deepStrictEqual(World.treeOf(world, "/to/copy"), World.treeOf(world, "/from"))
      }),
    { arbitrary: { runs: runs(10) } }
  )

  it.effect.prop(
    "are each told once where they are not UTF-8, and those beside them are copied",
    {
      keys: Schema.Array(
        Schema.Array(Schema.Literals(["a", "-", "é", "\u{ffff}", "😀", "\udcff", "\udc80"]))
          .check(Schema.isMinLength(1), Schema.isMaxLength(3))
      ),
      folder: Schema.Literals(["", "f/", "f\udcff/"]),
      pageKeys: Schema.Literals([1, 2, 1000]),
      killAt: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 }))
    },
    ({ folder, keys, killAt, pageKeys }) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld()
        const all = Array.from(new Set(keys.map((key) => `${folder}${key.join("")}`)))
        const [good, bad] = [all.filter((key) => key.isWellFormed()), all.filter((key) => !key.isWellFormed())]
        // The folder itself is there, whatever else.
        for (const key of ["0", ...good]) yield* World.put(world, `x/${key}`, `text of ${key}`)
        Object.assign(world, { strange: bad.map((key) => `x/${key}`), pageKeys, ...slowly(1000) })

        const { rows, tally } = yield* World.copy(world, "s3://bucket/x", "/to/copy", {
          kill: { at: killAt, when: "after" }
        })

        assert.strictEqual(tally.failed, bad.length)
        const told = rows.map((row) => row.replace(/^.*: The object "x\/(.*)" can't be a file: it is not UTF-8$/, "$1"))
        assert.deepStrictEqual(told.toSorted(), bad.map(FilePath.printable).toSorted())
        const files = Object.entries(World.treeOf(world, "/to/copy")).filter(([, { kind }]) => kind === "file")
        assert.deepStrictEqual(files.map(([name]) => name).toSorted(), ["0", ...good].toSorted())
      }),
    { arbitrary: { runs: runs(200) } }
  )
})
