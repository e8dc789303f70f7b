/**
 * What the task that copies an entry keeps, for when it is run again.
 */
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import type { CopyOptions } from "../../CopyOptions.ts"
import * as FilePath from "../../FilePath.ts"
import { Compared } from "../content/contentComparison.ts"
import * as Conflict from "./conflict.ts"
import { Placement } from "./unit.ts"

/** How far a large file was copied. */
export const Partial = Schema.Struct({
  /** What the source was. */
  edition: Schema.String,
  /** Name, in the folder of the target, of what was written, and which file that is. */
  name: FilePath.FilePath,
  inode: Schema.BigInt,
  bytes: Schema.Natural,
  /** How many of them are on the device for sure. The others are there as long as the machine runs. */
  flushed: Schema.Natural,
  /** Names the run of the machine; empty where it has no name. */
  boot: Schema.String,
  /** Number of the mount. */
  mount: Schema.BigInt,
  /** How many bytes of whatever was there were counted. */
  counted: Schema.Natural
})
export type Partial = typeof Partial.Type

/** An upload in parts that was begun, or is about to be. */
export const Uploading = Schema.Struct({
  key: Schema.String,
  /** Not there until the store has told it. */
  id: Schema.optionalKey(Schema.String),
  /** When it was about to be begun, by the clock of this machine. */
  begunMillis: Schema.Natural,
  /** Uploads of the same key that were open before: they are not this one. Not there where that is not known. */
  others: Schema.optionalKey(Schema.Array(Schema.String)),
  /** What the object is to have in its metadata, so that who finds the upload gone knows whether it was completed. */
  nonce: Schema.String,
  partBytes: Schema.Natural,
  /** What the source was. */
  edition: Schema.String,
  /** How many bytes were counted. */
  counted: Schema.Natural
})
export type Uploading = typeof Uploading.Type

/** A source that was to get its place by another name, which is known by these. */
export const Renamed = Schema.Struct({ device: Schema.BigInt, inode: Schema.BigInt, target: FilePath.FilePath })
export type Renamed = typeof Renamed.Type

/** A source that was named and was to get its place by another name, with all that is in it. */
export const RenamedRoot = Schema.Struct({ ...Renamed.fields, bornNanos: Schema.optionalKey(Schema.BigInt) })
export type RenamedRoot = typeof RenamedRoot.Type

/** What became of a source that was named. That is settled once: later another one may have its name. */
export const Root = Schema.Union([RenamedRoot, Schema.Literals(["moved", "walked"])])
export type Root = typeof Root.Type

/** A source that was copied and is to be removed. */
export const Copied = Schema.Struct({
  /** What it was. */
  edition: Schema.String,
  /** Name that it gets in its folder right before it is removed. */
  aside: FilePath.FilePath,
  /** Its copy. */
  ...Renamed.fields,
  modifiedNanos: Schema.BigInt,
  sizeBytes: Schema.Natural
})
export type Copied = typeof Copied.Type

export const Saved = Schema.Struct({
  /** Once a copy that may be repeated has begun, its own work is in the destination: what was decided before stands. */
  decision: Schema.optionalKey(Conflict.Decision),
  partial: Schema.optionalKey(Partial),
  upload: Schema.optionalKey(Uploading),
  /** The source is about to be renamed, or was. */
  renamed: Schema.optionalKey(Renamed),
  /** The source was copied, and is about to be removed, or was. */
  copied: Schema.optionalKey(Copied),
  /** How far what is at the place of the copy was compared with the source. */
  compared: Schema.optionalKey(Compared)
})
export type Saved = typeof Saved.Type

export const checkpoint = TaskCheckpoint.make(Saved)

/** What names that are copied together are to go on from by themselves, by their places. */
export const Recorded = Schema.Array(Schema.Struct({ index: Schema.Natural, saved: Saved }))
type Recorded = typeof Recorded.Type

/** Paths below a target that a unit is about to get there, or has got. */
const Made = Schema.Struct({ made: Schema.Array(FilePath.FilePath) })

/** Sources that a unit has copied, and is about to remove, or has begun to. */
export const Moved = Schema.Struct({
  /** Name of the folder, beside the sources, that they are put into. */
  aside: FilePath.FilePath,
  placed: Schema.Array(Placement),
  /** Folders that there is more to do in, by their paths, with all those that they are in. They are not removed. */
  kept: Schema.Array(FilePath.FilePath)
})
export type Moved = typeof Moved.Type

/** What a unit keeps for a run after this one. */
export const together = TaskCheckpoint.make(Schema.Union([Recorded, Made, Moved]))

const nothing: Saved = {}

/** What was kept. */
export const get: Effect.Effect<Saved> = Effect.map(checkpoint.get, Option.getOrElse(() => nothing))

/** Keeps this beside what was kept. */
export const save = (change: Saved): Effect.Effect<void> =>
  Effect.flatMap(get, (saved) => checkpoint.save({ ...saved, ...change }))

/** Keeps this beside what was kept, and goes on once it is stored. */
export const commit = (change: Saved): Effect.Effect<void> =>
  Effect.flatMap(get, (saved) => checkpoint.commit({ ...saved, ...change }))

/** Keeps no longer that there is a copy of the source: it is not what was copied any more. */
export const forgetCopied: Effect.Effect<void> = Effect.flatMap(
  get,
  (saved) => checkpoint.save(Struct.omit(saved, ["copied"]))
)

/** Where it is kept how far a file was compared. */
export const comparing = {
  get: Effect.map(get, ({ compared }) => Option.fromUndefinedOr(compared)),
  save: (compared: Compared): Effect.Effect<void> => save({ compared })
}

/**
 * Whether a mode could take its own work for somebody else's, so that what was decided on is kept before it is done.
 * What is only skipped is neither flushed nor read, whoever has copied it.
 */
export const isKeptFirst = (
  mode: Conflict.Mode,
  { checksums, isDurable, isVerified }: Pick<CopyOptions, "checksums" | "isDurable" | "isVerified">
): boolean =>
  mode === "rename" || mode === "error" || (mode === "skip" && (isDurable || isVerified || checksums !== undefined))

/** All of the names, each of which goes on by itself from what is recorded of it. */
export const goingOn = (names: ReadonlyArray<FilePath.FilePath>, recorded: Recorded): ReadonlyArray<{
  readonly index: number
  readonly saved?: Saved
}> => {
  const known = new Map(recorded.map((one) => [one.index, one]))
  return names.map((_, index) => known.get(index) ?? { index })
}
