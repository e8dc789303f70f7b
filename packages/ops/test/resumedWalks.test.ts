import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { runs } from "../../../test/effort.ts"
import { listAfter } from "../src/internal/cloud/prefixListing.ts"
import * as FileTree from "../src/internal/tree/fileTree.ts"
import * as PairTree from "../src/internal/verify/pairTree.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import * as World from "./objectHarness.ts"

/** Names that begin alike, and go on with bytes below and above that of the slash. */
const Name = Schema.Literals(["a", "a.txt", "a!", "a0", "a-", "ab", "0", "b", "é", "\u{10ffff}", "\u{10fffd}a"])
const Kind = Schema.Literals(["file", "folder", "link"])
const Path = Schema.Array(Name).check(Schema.isMinLength(1), Schema.isMaxLength(3))
const Tree = Schema.Array(Schema.Struct({ path: Path, kind: Kind })).check(Schema.isMaxLength(12))
/** What becomes of an entry before the walk goes on. */
const Change = Schema.Struct({ nth: Schema.Natural, becomes: Schema.Literals(["gone", "gone", "file"]) })
const Changes = Schema.Array(Change).check(Schema.isMaxLength(6))

type Kind = typeof Kind.Type

/** Kinds of all entries by their paths. */
type Entries = ReadonlyMap<string, Kind>

const parentOf = (path: string): string => FilePath.parent(FilePath.make(path))

const entriesOf = (tree: typeof Tree.Type): Entries => {
  const entries = new Map<string, Kind>([["", "folder"]])
  for (const { kind, path } of tree) {
    path.forEach((_, index) => {
      const at = path.slice(0, index + 1).join("/")
      if (entries.get(parentOf(at)) !== "folder" || entries.has(at)) return
      entries.set(at, index < path.length - 1 ? "folder" : kind)
    })
  }
  return entries
}

/** The entries after some changes, and after what was done with the last one that the walk had met. */
const changed = (before: Entries, changes: typeof Changes.Type, last: string | undefined): Entries => {
  const entries = new Map(before)
  const change = (path: string | undefined, becomes: "gone" | "file"): void => {
    if (path === undefined || path === "" || !entries.has(path)) return
    for (const other of entries.keys()) {
      if (FilePath.isWithin(FilePath.make(other), FilePath.make(path))) entries.delete(other)
    }
    if (becomes === "file") entries.set(path, "file")
  }
  for (const { becomes, nth } of changes) change(Array.from(entries.keys())[nth % entries.size], becomes)
  change(last, "gone")
  return entries
}

/** What a walk meets, but ends of folders and what can't be read. */
interface Met {
  readonly cursor: string
  readonly path: string
  readonly kind: string
}

/** A walk over entries, from behind a cursor. */
type Walk = (entries: Entries, after: Option.Option<string>) => Effect.Effect<ReadonlyArray<Met>>

const plant = (roots: ReadonlyArray<string>, entries: Entries, tellsKinds = true): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  disk.tellsKinds = tellsKinds
  disk.folder("/other")
  disk.file("/other/0", "")
  for (const root of roots) {
    for (const [path, kind] of entries) {
      const at = path === "" ? root : `${root}/${path}`
      if (kind === "folder") disk.folder(at)
      else if (kind === "file") disk.file(at, "")
      else disk.symlink(at, "/other")
    }
  }
  return disk
}

const metIn = (elements: ReadonlyArray<FileTree.Element>): ReadonlyArray<Met> =>
  elements.flatMap(({ _tag, cursor, path, ...element }) => {
    if (_tag === "Unreadable") return []
    const kind = _tag === "Close" ? "end" : "kind" in element ? element.kind : "folder"
    return [{ cursor, path, kind }]
  })

const overFiles = (options: Partial<FileTree.WalkOptions>, tellsKinds = true): Walk => (entries, after) =>
  FileTree.walk({ sources: [FilePath.make("/one")], ...options, after }).pipe(
    Stream.runCollect,
    Effect.provide(MemoryFiles.layer(plant(["/one"], entries, tellsKinds))),
    Effect.map(metIn)
  )

/** A bucket in which files are objects, and folders are marked. */
const bucketOf = Effect.fnUntraced(function*(entries: Entries) {
  const world = yield* World.makeWorld()
  for (const [path, kind] of entries) yield* World.put(world, kind === "folder" ? `one/${path}/` : `one/${path}`, "")
  return world
})

const overPairs: Walk = (entries, after) =>
  PairTree.walk({ a: FilePath.make("/a"), b: FilePath.make("/b") }, after).pipe(
    Stream.runCollect,
    Effect.provideService(Files.Files, MemoryFiles.make(plant(["/a", "/b"], entries))),
    Effect.map((elements) =>
      elements.flatMap((element) =>
        element._tag === "Folder" || element._tag === "Pair"
          ? [{ ...element, kind: element._tag === "Folder" ? "folder" : element.a }]
          : []
      )
    )
  )

const overKeys: Walk = (entries, after) =>
  Effect.gen(function*() {
    const elements = yield* Stream.runCollect(World.walk(yield* bucketOf(entries), "s3://bucket/one", after))
    return metIn(elements)
  }).pipe(Effect.orDie)

const overPrefix: Walk = (entries, after) =>
  Effect.gen(function*() {
    const { store } = yield* bucketOf(entries)
    const objects = yield* Stream.runCollect(listAfter(store, "one/", Option.getOrUndefined(after)))
    return objects.map(({ key }) => ({
      cursor: key.slice("one/".length),
      path: key.replace(/^one\/|\/$/g, ""),
      kind: key.endsWith("/") ? "folder" : "file"
    }))
  }).pipe(Effect.orDie)

const orders: ReadonlyArray<readonly [name: string, walk: Walk]> = [
  ["names", overFiles({})],
  ["names, where folders do not tell kinds", overFiles({}, false)],
  ["keys", overFiles({ inKeyOrder: true })],
  ["keys, where folders do not tell kinds", overFiles({ inKeyOrder: true }, false)],
  ["keys, where links are followed", overFiles({ inKeyOrder: true, follow: { except: [] } })],
  ["pairs", overPairs],
  ["objects", overKeys],
  ["a listing of keys", overPrefix]
]

describe("A walk that goes on where entries have gone", () => {
  for (const [name, walk] of orders) {
    it.effect.prop(
      `meets what is left once, and nothing twice, in the order of ${name}`,
      { tree: Tree, changes: Changes, isLastGone: Schema.Boolean },
      ({ changes, isLastGone, tree }) =>
        Effect.gen(function*() {
          const before = entriesOf(tree)
          const whole = yield* walk(before, Option.none())

          for (const [index, last] of whole.entries()) {
            const after = changed(before, changes, isLastGone ? last.path : undefined)
            const rest = yield* walk(after, Option.some(last.cursor))
            const met = [...whole.slice(0, index + 1), ...rest].filter(({ kind }) => kind !== "end")

            const times = new Map<string, number>()
            for (const { path } of met) times.set(path, (times.get(path) ?? 0) + 1)
            const repeated = Array.from(times).filter(([, count]) => count > 1)
            assert.deepStrictEqual(repeated, [], `behind ${last.cursor}`)
            const missed = (yield* walk(after, Option.none())).filter(({ kind, path }) =>
              kind !== "end" && !times.has(path) && whole.some((one) => one.path === path && one.kind === kind)
            )
            assert.deepStrictEqual(missed, [], `behind ${last.cursor}`)
          }
        }),
      { arbitrary: { runs: runs(60) } }
    )
  }
})
