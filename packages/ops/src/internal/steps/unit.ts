/**
 * What a copy does with one unit: names of one folder, each a file, a link, or a folder with all that is in it.
 *
 * All copies of a unit are made in a draft, a folder of this job's own beside where they are to be. Once they are on
 * the device and compared, as far as that is asked for, each gets its name by one rename.
 */
import * as Num from "effect/Number"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import * as CopyOptions from "../../CopyOptions.ts"
import * as FilePath from "../../FilePath.ts"
import * as Filter from "../../Filter.ts"
import { HashAlgorithm } from "../../HashAlgorithm.ts"
import * as Conflict from "./conflict.ts"

/** What is to be copied, and how. */
export const Unit = Schema.Struct({
  /** Real paths of folders. */
  source: FilePath.FilePath,
  target: FilePath.FilePath,
  names: Schema.Array(FilePath.FilePath),
  areFolders: Schema.Boolean,
  /** How much that is, as far as is known. */
  size: Schema.Natural,
  /** How much there was in each of folders; 0 where that is not known. */
  sizes: Schema.Array(Schema.Natural),
  /** Name of the draft, in the target. */
  draft: FilePath.FilePath,
  conflict: Conflict.Mode,
  /** Whether an owner of the job before this one may have copied what is the same. */
  isAgain: Schema.Boolean,
  /** Whether no name is taken in the target, as far as is known. */
  isFree: Schema.Boolean,
  /** What is kept of files beside their content. */
  keeps: Schema.Array(CopyOptions.Property),
  /** Files that are not copied, whatever they are called. */
  avoid: Schema.Array(Schema.Struct({ device: Schema.BigInt, inode: Schema.BigInt })),
  /** What in folders is left out, and where the rules for that find the source. */
  rules: Schema.Array(Filter.Rule),
  below: FilePath.FilePath,
  /** By what files are hashed, if that is told. */
  checksums: Schema.optionalKey(HashAlgorithm),
  isFollowing: Schema.Boolean,
  /** Whether it is told by what sources are known, which are to be removed. */
  isMove: Schema.Boolean,
  /** Whether copies get their names in a step of its own. */
  waits: Schema.Boolean,
  /** Whether copies are compared with their sources before that. */
  isVerified: Schema.Boolean,
  /** Once so much is copied, the rest is left. */
  mostBytes: Schema.Natural
})
export type Unit = typeof Unit.Type

/** What copies have come to. */
const Counts = Schema.Struct({
  copied: Schema.Natural,
  linked: Schema.Natural,
  bytes: Schema.Natural,
  /** Folders that are whole, with mode and times. */
  ended: Schema.Natural,
  /** Copies that could not be given the owners of their sources. */
  ownersLost: Schema.Natural
})
type Counts = typeof Counts.Type

/** What there is more to do in a folder that is there: these are neither copied nor made. */
const Rest = Schema.Struct({
  /** Path below the target; empty for the target. */
  path: FilePath.FilePath,
  names: Schema.Array(FilePath.FilePath),
  folders: Schema.Array(FilePath.FilePath),
  /** How much there is in each of the folders; 0 where that is not known. */
  sizes: Schema.Array(Schema.Natural)
})
export type Rest = typeof Rest.Type

/** Checksums of files of a folder. */
const Digests = Schema.Struct({
  path: FilePath.FilePath,
  names: Schema.Array(FilePath.FilePath),
  digests: Schema.Array(Schema.String)
})

/** What sources were that were copied out of a folder. */
const Editions = Schema.Struct({
  path: FilePath.FilePath,
  names: Schema.Array(FilePath.FilePath),
  editions: Schema.Array(Schema.String),
  /** By which other names of each know it. */
  linkedAs: Schema.Array(Schema.String)
})

/** What was copied, and is told of once it has its name. */
const Copied = Schema.Struct({
  counts: Counts,
  rest: Schema.Array(Rest),
  digests: Schema.Array(Digests),
  editions: Schema.Array(Editions)
})
export type Copied = typeof Copied.Type

/** A copy in the draft that is to get its name. */
export const Placement = Schema.Struct({
  /** Name in the draft. */
  as: FilePath.FilePath,
  /** Folder that it is to be in, by its path below the target, and its name there. */
  path: FilePath.FilePath,
  name: FilePath.FilePath,
  isFolder: Schema.Boolean,
  /** Whether it takes the place of a file. */
  replaces: Schema.Boolean,
  /** Mode that a folder gets once it has its name, if that is another one than it has. */
  mode: Schema.optionalKey(Schema.Natural),
  copied: Copied
})
export type Placement = typeof Placement.Type

/** A folder that was there, and gets mode and times once all that comes into it has. */
const Ending = Schema.Struct({
  path: FilePath.FilePath,
  mode: Schema.Natural,
  owner: Schema.Natural,
  group: Schema.Natural,
  accessedNanos: Schema.BigInt,
  modifiedNanos: Schema.BigInt
})
export type Ending = typeof Ending.Type

/** What is told of a unit, whatever becomes of what waits for its name. */
const met = {
  unchanged: Schema.Natural,
  /** Of those that are unchanged, where checksums are told. */
  unchangedDigests: Schema.Array(Digests),
  rest: Schema.Array(Rest),
  /** Paths below the target that are taken, and are to be left then. */
  skipped: Schema.Array(FilePath.FilePath),
  /** How many of the last names were not come to. */
  left: Schema.Natural,
  /** Those of the names in which less was met than there was to be, and how much less. */
  fewer: Schema.Array(Schema.Struct({ path: FilePath.FilePath, count: Schema.Natural }))
}

/** What a unit has come to, with what waits for its name. */
export const Filled = Schema.Struct({
  placements: Schema.Array(Placement),
  endings: Schema.Array(Ending),
  ended: Counts.fields.ended,
  ownersLost: Counts.fields.ownersLost,
  ...met
})
export type Filled = typeof Filled.Type

/** What became of what was in a draft, by places. */
export const Settled = Schema.Struct({
  /** How many of the placements, of those that are asked for, were dealt with. */
  through: Schema.Natural,
  /** Which of them have their names. */
  placed: Schema.Array(Schema.Natural),
  /** Which of these are folders that could not be given the mode that they are to have. */
  modeless: Schema.Array(Schema.Natural),
  /** Which of the endings are done. */
  ended: Schema.Array(Schema.Natural),
  ownersLost: Schema.Natural,
  /** How many files were compared, and are the same. */
  verified: Schema.Natural
})
export type Settled = typeof Settled.Type

/** What became of a source that was to be removed, a file or a folder with what is in it. */
export const Removed = Schema.Struct({
  /** Files and links that were copied and are left, by their paths, and what each is if it is what was copied. */
  left: Schema.Array(Schema.Struct({ path: FilePath.FilePath, edition: Schema.String })),
  isGone: Schema.Boolean,
  /** Whether a folder that was copied is left, for what has come into it or since it can't be removed. */
  isFolderLeft: Schema.Boolean,
  /** How many folders were removed. */
  folders: Schema.Natural
})
export type Removed = typeof Removed.Type

/** What a unit has come to in the end. */
export const CopiedUnit = Schema.Struct({
  ...Struct.omit(Counts.fields, ["ownersLost"]),
  ...met,
  digests: Schema.Array(Digests)
})
export type CopiedUnit = typeof CopiedUnit.Type

/** What is left to do with names of a folder. */
export const restOf = (
  path: FilePath.FilePath,
  names: ReadonlyArray<FilePath.FilePath> = [],
  folders: ReadonlyArray<FilePath.FilePath> = []
): Rest => ({ path, names, folders, sizes: folders.map(() => 0) })

/** Adds what there is more to do in folders, one for each path. */
const merged = (all: ReadonlyArray<Rest>): ReadonlyArray<Rest> =>
  Array.from(Map.groupBy(all, ({ path }) => path), ([path, rests]) => ({
    path,
    names: rests.flatMap(({ names }) => names),
    folders: rests.flatMap(({ folders }) => folders),
    sizes: rests.flatMap(({ sizes }) => sizes)
  }))

/** A unit that nothing was done with. */
export const untouched = ({ areFolders, names }: Pick<Unit, "areFolders" | "names">): Filled => ({
  placements: [],
  endings: [],
  ended: 0,
  ownersLost: 0,
  unchanged: 0,
  unchangedDigests: [],
  rest: [areFolders ? restOf(FilePath.empty, [], names) : restOf(FilePath.empty, names)],
  skipped: [],
  left: 0,
  fewer: []
})

/** So far it is before anything was dealt with. */
export const unsettled: Settled = { through: 0, placed: [], modeless: [], ended: [], ownersLost: 0, verified: 0 }

/** Puts together what a unit has come to. */
export const resultOf = (filled: Filled, { ended, modeless, ownersLost, placed }: Settled): {
  readonly result: CopiedUnit
  readonly ownersLost: number
} => {
  const { endings, placements, ...told } = filled
  const isPlaced = new Set(placed)
  const isEnded = new Set(ended)
  const there = placements.filter((_, index) => isPlaced.has(index))
  const gone = placements.filter((_, index) => !isPlaced.has(index))
  const count = (what: keyof Counts) => Num.sumAll(there.map(({ copied }) => copied.counts[what]))
  const unended = [
    ...endings.filter((_, index) => !isEnded.has(index)).map(({ path }) => path),
    ...modeless.flatMap((index) => {
      const one = placements[index]
      return one === undefined ? [] : [FilePath.join(one.path, one.name)]
    })
  ]
  return {
    result: {
      ...Struct.omit(told, ["ownersLost"]),
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
    ownersLost: told.ownersLost + count("ownersLost") + ownersLost
  }
}

/** What is told of a unit that nothing was done with. */
export const nothingDone = (unit: Pick<Unit, "areFolders" | "names">): CopiedUnit =>
  resultOf(untouched(unit), unsettled).result
