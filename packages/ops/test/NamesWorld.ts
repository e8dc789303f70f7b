/**
 * Copies and moves generated trees to file systems that take names in ways of their own, by processes that are killed.
 */
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Copy from "@fanout/ops/Copy"
import * as FilePath from "@fanout/ops/FilePath"
import * as Move from "@fanout/ops/Move"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Conflict from "../src/internal/steps/conflict.ts"
import { remembering } from "./copyHarness.ts"
import * as KilledProcess from "./KilledProcess.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const cut = (name: string, bytes: number): string =>
  FilePath.toBytes(FilePath.make(name)).length <= bytes ? name : cut(Array.from(name).slice(0, -1).join(""), bytes)

/** How a file system may take names, and names that it takes for one, folders first. */
interface Taker extends Pick<MemoryFiles.Ways, "fold" | "store"> {
  readonly folders: readonly [string, string]
  readonly names: readonly [string, string, string, string, string]
}

const isTemporary = (name: string): boolean => name.startsWith(".fanout-")

const long = "long".repeat(12).padEnd(50, "-")

const exactly: Taker = { folders: ["dir", "Dir"], names: ["a", "A", "b", "B", "c"] }

const takers: Readonly<Record<string, Taker>> = {
  exactly,
  "folding case": {
    fold: (name) => name.toUpperCase().toLowerCase(),
    folders: ["dir", "Dir"],
    names: ["a", "A", "b", "B", "c"]
  },
  "folding and normalising": {
    fold: (name) => name.normalize("NFKD").toUpperCase().toLowerCase(),
    folders: ["d\u00e9", "De\u0301"],
    names: ["\u00e9", "e\u0301", "\u00c9", "\u00df", "SS"]
  },
  "as NFC": {
    store: (name) => name.normalize("NFC"),
    folders: ["d\u00e9", "de\u0301"],
    names: ["\u00e9", "e\u0301", "x\u00e9", "xe\u0301", "e"]
  },
  "as NFD": {
    store: (name) => name.normalize("NFD"),
    folders: ["d\u00e9", "de\u0301"],
    names: ["\u00e9", "e\u0301", "x\u00e9", "xe\u0301", "e"]
  },
  "as NFD, folding case": {
    store: (name) => name.normalize("NFD"),
    fold: (name) => name.toLowerCase(),
    folders: ["d\u00e9", "DE\u0301"],
    names: ["\u00e9", "e\u0301", "\u00c9", "E\u0301", "e"]
  },
  "in upper case": {
    store: (name) => name.toUpperCase(),
    folders: ["dir", "Dir"],
    names: ["a", "A", "b", "B", "\u00df"]
  },
  "without dots and spaces at the end": {
    store: (name) => name.replace(/[. ]+$/, "") || "_",
    folders: ["dir", "dir."],
    names: ["a", "a.", "a. ", "b.", "c"]
  },
  "cut": {
    store: (name) => cut(name, 4),
    folders: ["long", "longer"],
    names: ["name", "name1", "name2", "na\u00e9", "b"]
  },
  "cut where they are long": {
    store: (name) => cut(name, 50),
    folders: [long, `${long}er`],
    names: [long, `${long}1`, `${long}2`, `${long}\u00e9`, "b"]
  },
  "some": {
    store: (name) => /[^a-z.]/.test(name) && !isTemporary(name) ? { code: "EINVAL" } : name,
    folders: ["dir", "Dir"],
    names: ["a", "A", "b", "b:", "c"]
  }
}

const Entry = Schema.Struct({
  /** In the folder itself, or in one of these. */
  folder: Schema.Literals([-1, -1, -1, -1, 0, 1]),
  name: Schema.Literals([0, 1, 2, 3, 4]),
  isLink: Schema.Literals([false, false, false, true]),
  size: Schema.Literals([2, 3]),
  modified: Schema.Literals([4, 4, 5]),
  /** Whether it has the same content as others. */
  isSame: Schema.Literals([false, false, true])
})
const Tree = Schema.Array(Entry).pipe(Schema.check(Schema.isMinLength(6), Schema.isMaxLength(14)))

export const World = Schema.Struct({
  tree: Tree,
  there: Schema.Array(Entry),
  names: Schema.Literals(Object.keys(takers)),
  ways: Schema.Struct({
    stepNanos: Schema.Literals([1, 2]),
    forgets: Schema.Boolean,
    hidesAttributes: Schema.Boolean,
    inodesByName: Schema.Boolean,
    lacksLinks: Schema.Boolean
  }),
  conflict: Conflict.Mode,
  moves: Schema.Boolean,
  isElsewhere: Schema.Boolean,
  isTogether: Schema.Boolean,
  /** After so many calls each process but the last is killed. */
  kills: Schema.Array(Schema.Literals([10, 20, 30, 45, 60, 80, 110])).pipe(Schema.check(Schema.isMaxLength(2)))
})
export type World = typeof World.Type

type Entry = typeof Entry.Type

const put = (
  disk: MemoryFiles.Disk,
  root: string,
  { folders, names }: Taker,
  { folder, isLink, isSame, modified, name, size }: Entry,
  id: number
) => {
  const text = isSame ? "same" : String.fromCharCode(256 + id).padEnd(size, ".")
  const inside = [root, ...folders.slice(folder, folder + 1)].slice(0, folder + 2).join("/")
  try {
    if (disk.see(inside) === undefined) disk.folder(inside)
    const path = `${inside}/${names[name]}`
    if (isLink) disk.symlink(path, text, { modified: BigInt(modified) })
    else disk.file(path, Buffer.from(text, "utf16le"), { modified: BigInt(modified) })
  } catch {
    // It is there, or refused.
  }
}

const plant = ({ isElsewhere, names, there, tree, ways }: World): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  disk.folder("/from")
  // On the file system that has told them apart names are stored as they are.
  const chosen = takers[names] ?? exactly
  const taker = isElsewhere || chosen.store === undefined ? chosen : exactly
  for (const [n, entry] of tree.entries()) put(disk, "/from", taker, entry, n)
  if (isElsewhere) disk.device = 2n
  disk.folder("/to")
  const inodesByName = ways.inodesByName && isElsewhere
  disk.takes("/to", { ...ways, ...taker, inodesByName, stepNanos: BigInt(ways.stepNanos) })
  if (there.length > 0) disk.folder("/to/copy")
  for (const [n, entry] of there.entries()) put(disk, "/to/copy", taker, { ...entry, isSame: false }, 1000 + n)
  return disk
}

/** What all files and links at a path hold, as many times as they do. */
const contents = (disk: MemoryFiles.Disk, path: string): ReadonlyArray<string> =>
  Object.values(disk.see(path) === undefined ? {} : disk.tree(path)).flatMap((seen) =>
    seen.kind === "file" ? [`file ${seen.text}`] : seen.kind === "link" ? [`link ${seen.target}`] : []
  )

/** Runs a world to its end. */
export const run = (world: World) =>
  Effect.gen(function*() {
    const { conflict, kills, moves } = world
    const disk = plant(world)
    const before = contents(disk, "/from")
    const memory = remembering()
    const begin = (calls: number) => KilledProcess.open(disk, world, memory, calls)
    const manager = yield* KilledProcess.starter(disk, memory)
    const plan = Effect.provide(
      Copy.plan({
        sources: [FilePath.make("/from")],
        destination: FilePath.make("/to/copy"),
        noTargetDirectory: true,
        conflict
      }),
      MemoryFiles.layer(disk)
    )
    const tags: Record<string, number> = {}
    let isOver = true
    // A move is done once more, as by somebody who wants to see what is left.
    for (const [n, processes] of (moves ? [kills, []] : [kills]).entries()) {
      if (disk.see("/from") === undefined) break
      const { id } = yield* manager.start(moves ? Move.job : Copy.job, yield* plan)
      for (const calls of [...processes, Number.POSITIVE_INFINITY]) {
        yield* begin(calls)
        yield* TestClock.adjust("10 seconds")
      }
      // On a busy machine the clock does not wait for all that it has woken.
      const ended = Effect.map(manager.get(id), ({ state }) => state._tag.startsWith("Completed"))
      const waited = Effect.andThen(TestClock.adjust("1 second"), ended)
      isOver &&= yield* Effect.repeat(waited, { until: (isOver) => isOver, times: 60 })
      const { tally } = yield* manager.progress(id)
      for (const [tag, count] of Object.entries(tally.tags)) {
        // What was there before this job may be taken for a copy, by size and time.
        if (tag !== "Unchanged" || n === 0) tags[tag] = (tags[tag] ?? 0) + count
      }
    }
    return {
      before,
      from: contents(disk, "/from"),
      to: contents(disk, "/to"),
      isOver,
      tags
    }
  }).pipe(Effect.scoped, Effect.provide(Layer.fresh(MemoryJobStore.layer)))
