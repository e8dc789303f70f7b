/**
 * A unit of a copy, and its results: names of one folder, each a file, a link, or a folder with everything in it.
 *
 * All copies of a unit are made in a draft: a folder of the job's own, in the target folder. Once the copies are
 * flushed and compared, where the job asks for that, each copy gets its name by one rename.
 */
import * as Num from "effect/Number"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import * as CopyOptions from "../../CopyOptions.ts"
import * as FilePath from "../../FilePath.ts"
import * as Filter from "../../Filter.ts"
import { HashAlgorithm } from "../../HashAlgorithm.ts"
import * as Conflict from "./conflict.ts"

/** The names to copy, and the options of the job. */
export const Unit = Schema.Struct({
  /** Real paths of folders. */
  source: FilePath.FilePath,
  target: FilePath.FilePath,
  names: Schema.Array(FilePath.FilePath),
  areFolders: Schema.Boolean,
  /** How many files, links and folders the names stand for, as far as the walk has counted. */
  size: Schema.Natural,
  /** How many entries the walk has counted in each folder; 0 where it has not counted. */
  sizes: Schema.Array(Schema.Natural),
  /** Name of the draft, in the target. */
  draft: FilePath.FilePath,
  conflict: Conflict.Mode,
  /** Whether an earlier owner of the job may have copied some of these names. */
  isAgain: Schema.Boolean,
  /** Whether the job itself has made the target, so that no name is taken in it. */
  isFree: Schema.Boolean,
  /** Properties to keep beside the content. */
  keeps: Schema.Array(CopyOptions.Property),
  /** Files that are neither copied nor replaced, under any name: the job's database, and its output. */
  avoid: Schema.Array(Schema.Struct({ device: Schema.BigInt, inode: Schema.BigInt })),
  /** Rules that leave out entries of folders, and the path that the rules know the source folder by. */
  rules: Schema.Array(Filter.Rule),
  below: FilePath.FilePath,
  /** Algorithm of the checksums to report, if the job reports checksums. */
  checksums: Schema.optionalKey(HashAlgorithm),
  isFollowing: Schema.Boolean,
  /** Whether the result has the editions of the sources, which a move removes afterwards. */
  isMove: Schema.Boolean,
  /** Whether copies get their names in a later step, after a flush or a commit. */
  waits: Schema.Boolean,
  /** Whether copies are compared with their sources before they get their names. */
  isVerified: Schema.Boolean,
  /** Bytes after which the unit stops, and leaves the rest to later elements. */
  mostBytes: Schema.Natural
})
export type Unit = typeof Unit.Type

/** How many copies could not be given a property of their sources, by the property. */
const Losses = Schema.Record(Schema.String, Schema.Natural)
export type Losses = typeof Losses.Type

/** Counts of finished copies. */
const Counts = Schema.Struct({
  copied: Schema.Natural,
  linked: Schema.Natural,
  bytes: Schema.Natural,
  /** Folders that are whole, with mode and times. */
  ended: Schema.Natural,
  lost: Schema.optionalKey(Losses)
})
type Counts = typeof Counts.Type

/** Entries of an existing folder that the unit has left: not copied, and not made. */
const Rest = Schema.Struct({
  /** Path below the target; empty for the target. */
  path: FilePath.FilePath,
  names: Schema.Array(FilePath.FilePath),
  folders: Schema.Array(FilePath.FilePath),
  /** How many entries are in each of the folders; 0 where nobody has counted. */
  sizes: Schema.Array(Schema.Natural)
})
export type Rest = typeof Rest.Type

/** Checksums of files of a folder. */
const Digests = Schema.Struct({
  path: FilePath.FilePath,
  names: Schema.Array(FilePath.FilePath),
  digests: Schema.Array(Schema.String)
})

/** Editions of the sources that were copied from one folder. */
const Editions = Schema.Struct({
  path: FilePath.FilePath,
  names: Schema.Array(FilePath.FilePath),
  editions: Schema.Array(Schema.String),
  /** Keys by which hard links to the same file find each other. */
  linkedAs: Schema.Array(Schema.String)
})

/** Contents of one placement, which are reported once the placement has its name. */
const Copied = Schema.Struct({
  counts: Counts,
  rest: Schema.Array(Rest),
  digests: Schema.Array(Digests),
  editions: Schema.Array(Editions)
})
export type Copied = typeof Copied.Type

/** A finished copy in the draft, and the name that it is to get. */
export const Placement = Schema.Struct({
  /** Name in the draft. */
  as: FilePath.FilePath,
  /** Path of its folder below the target, and its name there. */
  path: FilePath.FilePath,
  name: FilePath.FilePath,
  isFolder: Schema.Boolean,
  /** Whether it takes the place of a file. */
  replaces: Schema.Boolean,
  /** Mode that a folder gets after it has its name, if the draft could not have that mode. */
  mode: Schema.optionalKey(Schema.Natural),
  copied: Copied
})
export type Placement = typeof Placement.Type

/** A folder that existed before, and gets its mode and times after everything has been placed in it. */
const Ending = Schema.Struct({
  path: FilePath.FilePath,
  mode: Schema.Natural,
  owner: Schema.Natural,
  group: Schema.Natural,
  accessedNanos: Schema.BigInt,
  modifiedNanos: Schema.BigInt
})
export type Ending = typeof Ending.Type

/** Results that do not depend on the later placement. */
const met = {
  unchanged: Schema.Natural,
  /** Checksums of the unchanged files, where the job reports checksums. */
  unchangedDigests: Schema.Array(Digests),
  rest: Schema.Array(Rest),
  /** Paths below the target that are taken, and that the conflict mode leaves alone. */
  skipped: Schema.Array(FilePath.FilePath),
  /** How many names, counted from the end, the unit has not begun. */
  left: Schema.Natural,
  /** Folders that held fewer entries than the walk had counted, with the difference. Reported as vanished. */
  fewer: Schema.Array(Schema.Struct({ path: FilePath.FilePath, count: Schema.Natural }))
}

/** Result of the first step of a unit: the placements that wait for their names, and the rest. */
export const Filled = Schema.Struct({
  placements: Schema.Array(Placement),
  endings: Schema.Array(Ending),
  ended: Counts.fields.ended,
  lost: Losses,
  ...met
})
export type Filled = typeof Filled.Type

/** Result of the placement, by indexes into the placements and endings. */
export const Settled = Schema.Struct({
  /** How many of the placements have been tried. */
  through: Schema.Natural,
  /** The placements that have their names. */
  placed: Schema.Array(Schema.Natural),
  /** The placed folders whose final mode could not be set. */
  modeless: Schema.Array(Schema.Natural),
  /** The endings that are done. */
  ended: Schema.Array(Schema.Natural),
  lost: Losses,
  /** How many files were compared and found equal. */
  verified: Schema.Natural
})
export type Settled = typeof Settled.Type

/** Result of the removal of one source: a file, or a folder with everything in it. */
export const Removed = Schema.Struct({
  /** Copied files and links that were not removed: the path of each, and its edition. */
  left: Schema.Array(Schema.Struct({ path: FilePath.FilePath, edition: Schema.String })),
  isGone: Schema.Boolean,
  /** Whether a copied folder remains, because it is not empty or can't be removed. */
  isFolderLeft: Schema.Boolean,
  /** How many folders were removed. */
  folders: Schema.Natural
})
export type Removed = typeof Removed.Type

/** Final result of a unit. */
export const CopiedUnit = Schema.Struct({
  ...Struct.omit(Counts.fields, ["lost"]),
  ...met,
  digests: Schema.Array(Digests)
})
export type CopiedUnit = typeof CopiedUnit.Type

/** Makes the rest of one folder. */
export const restOf = (
  path: FilePath.FilePath,
  names: ReadonlyArray<FilePath.FilePath> = [],
  folders: ReadonlyArray<FilePath.FilePath> = []
): Rest => ({ path, names, folders, sizes: folders.map(() => 0) })

/** Merges rests of the same folder. */
const merged = (all: ReadonlyArray<Rest>): ReadonlyArray<Rest> =>
  Array.from(Map.groupBy(all, ({ path }) => path), ([path, rests]) => ({
    path,
    names: rests.flatMap(({ names }) => names),
    folders: rests.flatMap(({ folders }) => folders),
    sizes: rests.flatMap(({ sizes }) => sizes)
  }))

/** All of these losses together. */
export const sumOf = (all: ReadonlyArray<Losses | undefined>): Losses => {
  const sums: Record<string, number> = {}
  for (const losses of all) {
    for (const property in losses) sums[property] = (sums[property] ?? 0) + (losses[property] ?? 0)
  }
  return sums
}

/** Result of a unit that has done nothing. */
export const untouched = ({ areFolders, names }: Pick<Unit, "areFolders" | "names">): Filled => ({
  placements: [],
  endings: [],
  ended: 0,
  lost: {},
  unchanged: 0,
  unchangedDigests: [],
  rest: [areFolders ? restOf(FilePath.empty, [], names) : restOf(FilePath.empty, names)],
  skipped: [],
  left: 0,
  fewer: []
})

/** Result of a placement that has not begun. */
export const unsettled: Settled = { through: 0, placed: [], modeless: [], ended: [], lost: {}, verified: 0 }

/** Combines the results of both steps: placements without names become a part of the rest. */
export const resultOf = (filled: Filled, { ended, lost, modeless, placed }: Settled): {
  readonly result: CopiedUnit
  readonly lost: Losses
} => {
  const { endings, placements, ...told } = filled
  const isPlaced = new Set(placed)
  const isEnded = new Set(ended)
  const there = placements.filter((_, index) => isPlaced.has(index))
  const gone = placements.filter((_, index) => !isPlaced.has(index))
  const count = (what: Exclude<keyof Counts, "lost">) => Num.sumAll(there.map(({ copied }) => copied.counts[what]))
  const unended = [
    ...endings.filter((_, index) => !isEnded.has(index)).map(({ path }) => path),
    ...modeless.flatMap((index) => {
      const one = placements[index]
      return one === undefined ? [] : [FilePath.join(one.path, one.name)]
    })
  ]
  return {
    result: {
      ...Struct.omit(told, ["lost"]),
      copied: count("copied"),
      linked: count("linked"),
      bytes: count("bytes"),
      ended: told.ended + count("ended") + ended.length - modeless.length,
      rest: merged([
        ...told.rest,
        ...there.flatMap(({ copied }) => copied.rest),
        ...gone.map(({ isFolder, name, path }) => isFolder ? restOf(path, [], [name]) : restOf(path, [name])),
        ...unended.map((path) => restOf(path))
      ]),
      digests: there.flatMap(({ copied }) => copied.digests)
    },
    lost: sumOf([told.lost, lost, ...there.map(({ copied }) => copied.counts.lost)])
  }
}

/** Final result of a unit that has done nothing. */
export const nothingDone = (unit: Pick<Unit, "areFolders" | "names">): CopiedUnit =>
  resultOf(untouched(unit), unsettled).result
