/**
 * Decides what becomes of a file whose place is taken.
 *
 * One pure function decides for every file, in folders too, so that a dry run says what the
 * real one will do. It sees facts, never the disk.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { CopyOptions } from "../../CopyOptions.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import { SkipReason } from "../../SkipReason.ts"
import { isSameTime } from "../files/statComparison.ts"
import * as Destination from "../path/destination.ts"
import * as NumberedName from "../path/numberedName.ts"
import * as Place from "../path/place.ts"
import * as ProtectedFiles from "../work/protectedFiles.ts"

/**
 * Schema for what to do where something has the name already.
 *
 * - `changed`: leave what has the same kind, size and time (a link: target and time), replace the rest.
 * - `overwrite`: replace it. Neither of the two replaces a FIFO, a socket or a device.
 * - `skip`: leave it.
 * - `rename`: give the copy a numbered name.
 * - `error`: fail this one file.
 */
export const Mode = Schema.Literals(["changed", "overwrite", "skip", "rename", "error"])
export type Mode = typeof Mode.Type

/** Schema for what a decision rests on, of the source and of what is at the destination. */
export const Facts = Schema.TaggedUnion({
  File: { sizeBytes: Schema.Natural, modifiedNanos: Schema.BigInt },
  Link: { target: FilePath.FilePath, modifiedNanos: Schema.BigInt },
  Folder: {},
  Special: {}
})
export type Facts = typeof Facts.Type

/**
 * Schema for what is to be done.
 *
 * - `Create`: the name is free.
 * - `Merge`: both are folders; the content goes into the one that exists.
 * - `Replace`: the copy takes the place of what is there.
 * - `Unchanged`: what is there is taken for a copy already.
 * - `Skip`: left out on purpose.
 * - `RenameTo`: the copy gets this number.
 * - `Refuse`: failed, since it would destroy what nobody gave up.
 */
export const Decision = Schema.TaggedUnion({
  Create: {},
  Merge: {},
  Replace: {},
  Unchanged: {},
  Skip: { reason: Schema.Literals(["Exists", "Special", "Database", "Output"]) },
  RenameTo: { number: Schema.Natural },
  Refuse: {
    reason: Schema.Literals([
      "Exists",
      "FolderOverFile",
      "FileOverFolder",
      "OverSpecial",
      "SameFile",
      "LinkToNothing",
      "Database",
      "Output"
    ])
  }
})
export type Decision = typeof Decision.Type

const { Create, Merge, Refuse, RenameTo, Replace, Skip, Unchanged } = Decision.cases

/** Decides what is to be done. For `rename` it gives the first number, whether or not that is free. */
export const decide = (mode: Mode, source: Facts, destination: Option.Option<Facts>): Decision => {
  if (source._tag === "Special") return Skip.make({ reason: "Special" })
  if (Option.isNone(destination)) return Create.make({})
  const there = destination.value
  if (source._tag === "Folder") {
    return there._tag === "Folder" ? Merge.make({}) : Refuse.make({ reason: "FolderOverFile" })
  }
  if (there._tag === "Folder") return Refuse.make({ reason: "FileOverFolder" })
  if (there._tag === "Special" && (mode === "changed" || mode === "overwrite")) {
    return Refuse.make({ reason: "OverSpecial" })
  }
  switch (mode) {
    case "changed":
      return isSame(source, there) ? Unchanged.make({}) : Replace.make({})
    case "overwrite":
      return Replace.make({})
    case "skip":
      return Skip.make({ reason: "Exists" })
    case "rename":
      return RenameTo.make({ number: 1 })
    case "error":
      return Refuse.make({ reason: "Exists" })
  }
}

const isSame = (a: Facts, b: Facts): boolean => {
  if (a._tag === "File" && b._tag === "File") {
    return a.sizeBytes === b.sizeBytes && isSameTime(a.modifiedNanos, b.modifiedNanos)
  }
  return a._tag === "Link" && b._tag === "Link" && a.target === b.target && isSameTime(a.modifiedNanos, b.modifiedNanos)
}

/** The facts of what was looked at, and leads to the target if it is a link. */
export const factsOf = ({ kind, modifiedNanos, sizeBytes }: Files.FileStat, target: FilePath.FilePath): Facts =>
  kind === "folder"
    ? Facts.cases.Folder.make({})
    : kind === "special"
    ? Facts.cases.Special.make({})
    : kind === "file"
    ? { _tag: "File", sizeBytes, modifiedNanos }
    : { _tag: "Link", target, modifiedNanos }

/** Reads the facts of what is at a place. */
const facts = ({ folder, name }: Place.Place, stat: Files.FileStat): Effect.Effect<Facts, FilesError> =>
  stat.kind === "link"
    ? Effect.map(folder.readLink(name), (target) => factsOf(stat, target))
    : Effect.succeed(factsOf(stat, FilePath.empty))

/** What is to be copied, as it was looked at. */
export interface Source {
  readonly place: Place.Place
  readonly stat: Files.FileStat
}

/** What nobody may copy, or write, leaves nothing to decide. */
const useOf = Effect.fnUntraced(function*(path: FilePath.FilePath, stat: Option.Option<Files.FileStat>) {
  return ProtectedFiles.useOf(yield* ProtectedFiles.ProtectedFiles, path, stat)
})

/**
 * Why a link can't take the place of a file. If it leads there, it would lead to itself then, and the content be gone.
 * Where it leads to nothing, a move may have taken a link away that it led through.
 */
const whyNotReplaced = Effect.fnUntraced(function*({ place, stat }: Source, there: Option.Option<Files.FileStat>) {
  if (stat.kind !== "link" || Option.isNone(there) || there.value.kind !== "file") return undefined
  const followed = yield* Destination.follow(Place.path(place))
  if (Option.isNone(followed)) return (yield* CopyOptions).isMove ? "LinkToNothing" : undefined
  return Files.isSameInode(followed.value, there.value) ? "SameFile" : undefined
})

/**
 * Decides by what is at the target now, and for `rename` finds the first number whose name is free. Where nothing has
 * the name, as far as is known, the target is its path: where not even its folder is there, which a copy would have
 * made by then, or in a folder that the copy has made itself. What is among the `ProtectedFiles` is neither copied nor
 * replaced, in no mode.
 */
export const resolve = Effect.fnUntraced(function*(
  mode: Mode,
  source: Source,
  target: FilePath.FilePath | Place.Place
): Effect.fn.Return<Decision, FilesError | NumberedName.NoFreeName, Files.Files> {
  const own = yield* useOf(Place.path(source.place), Option.some(source.stat))
  if (own !== undefined) return Skip.make({ reason: own })
  const [place, path] = typeof target === "string" ? [undefined, target] : [target, Place.path(target)]
  const found = place === undefined ? Option.none() : yield* Place.find(place)
  const here = yield* facts(source.place, source.stat)
  const there = place !== undefined && Option.isSome(found)
    ? Option.some(yield* facts(place, found.value))
    : Option.none()
  const first = decide(mode, here, there)
  const lost = first._tag === "Replace" ? yield* whyNotReplaced(source, found) : undefined
  if (lost !== undefined) return Refuse.make({ reason: lost })
  const decision = first._tag === "RenameTo" && place !== undefined
    ? RenameTo.make({ number: yield* NumberedName.firstFree(place) })
    : first
  if (decision._tag === "Merge" || decision._tag === "Skip" || decision._tag === "Refuse") return decision
  const use = yield* useOf(placeOf(decision, path), decision._tag === "RenameTo" ? Option.none() : found)
  if (use === undefined) return decision
  return decision._tag === "Unchanged" ? Skip.make({ reason: use }) : Refuse.make({ reason: use })
})

/** Says why a decision leaves something out; empty where it does not. */
export const why = (decision: Decision): string =>
  decision._tag === "Skip"
    ? SkipReason[decision.reason]
    : decision._tag === "Refuse"
    ? refusals[decision.reason]
    : ""

const refusals = {
  Exists: "it is there already, and the conflict mode is error",
  FolderOverFile: "a folder can't take the place of what is there",
  FileOverFolder: "a file can't take the place of the folder that is there",
  OverSpecial: "a FIFO, a socket or a device is there",
  SameFile: "it is what the link leads to, and would be gone",
  LinkToNothing: "the link leads to nothing, and may have led to it through what was moved: it would be gone",
  Database: "the database of this job has that name: keep it elsewhere, or copy to another place",
  Output: "the checksums of this job get that name: have them written elsewhere"
}

/** Path, or bare name, that a copy gets by a decision: the target's, or a numbered one beside it. */
export const placeOf = (decision: Decision, target: FilePath.FilePath): FilePath.FilePath =>
  decision._tag === "RenameTo" ? NumberedName.make(target, decision.number) : target
