/**
 * Tasks of a copy: one copies one file, one link, one folder without what is in it, or files of a folder; the other
 * copies files of a folder for it, on threads, those that are plain files and whose names are free,
 * or folders with all that is in them.
 */
import * as Task from "@fanout/core/Task"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { Checksums } from "../../CopyChecksum.ts"
import * as FilePath from "../../FilePath.ts"
import * as Conflict from "../steps/conflict.ts"
import * as SavedCopy from "../steps/savedCopy.ts"
import { CopiedUnit, Filled, Removed, Settled, Unit } from "../steps/unit.ts"

/** Error of an entry that was not copied: what the file system answered to which call, or why it was refused. */
export class EntryFailed extends Schema.TaggedError<EntryFailed>("@fanout/ops/CopyTask/EntryFailed")("EntryFailed", {
  /** The file system's own code, such as `EACCES`; `Refused` where it was not asked. */
  code: Schema.String,
  path: FilePath.FilePath,
  why: Schema.String
}) {
  override get message(): string {
    return this.why
  }
}

/** Paths below a target of what a run of the job before has put there, or was about to. */
const Made = Schema.Array(FilePath.FilePath)

/** What was moved and could not be removed where it was, by its path, and what it goes on from. */
const Unremoved = Schema.Array(Schema.Struct({ path: FilePath.FilePath, saved: SavedCopy.Saved }))

const told = { checksums: Schema.optionalKey(Checksums) }

/**
 * Schema for how an entry was copied.
 *
 * - `Copied`: a file, in the named way. `Linked`: a link. `FolderMade`, `FolderEnded`: a folder was made or was
 *   there, and has got its mode and times.
 * - `Moved`: a file or link, or all of a source, in the named way; it is not where it was any more.
 * - `Unchanged`: the destination is as the source, and was left alone.
 * - `Files`: files of a folder, or folders with all in them, were copied, as far as they are ordinary.
 * - `Listed`: what is in a folder. `Unlisted`: why that is not known. `FolderFound`: it is a folder by now.
 *
 * `checksums` is there for files, where it is asked for.
 */
export const EntryCopied = Schema.TaggedUnion({
  Copied: { strategy: Schema.String, sizeBytes: Schema.Natural, ...told },
  Moved: { strategy: Schema.String, sizeBytes: Schema.Natural, ...told },
  Linked: {},
  FolderMade: {},
  FolderEnded: {},
  Unchanged: told,
  Files: {
    ...CopiedUnit.fields,
    /** How many were moved, in place of copied: their sources are removed. */
    moved: Schema.optionalKey(Schema.Natural),
    /** What names in the unit's own folder go on from, by their places in the rest, where that is known. */
    saved: Schema.optionalKey(SavedCopy.Recorded),
    made: Schema.optionalKey(Made),
    unremoved: Schema.optionalKey(Unremoved),
    /** What was put aside and could not be given its name again, so that the unit has to go on with that. */
    stuck: Schema.optionalKey(SavedCopy.Moved)
  },
  Listed: { names: Schema.Array(FilePath.FilePath), folders: Schema.Array(FilePath.FilePath) },
  Unlisted: { code: Schema.String, why: Schema.String },
  FolderFound: {}
})

// A file that is in use, a server that does not answer, a lock or memory that is lacking.
const transient = new Set(
  // Of stores: an answer that was lost or damaged, or an object that is another one by now.
  [
    "Unreachable Corrupt PreconditionFailed UploadMissing EAGAIN EBUSY ENOLCK ENOMEM ENOBUFS",
    "ETIMEDOUT ENETDOWN ENETUNREACH EHOSTDOWN EHOSTUNREACH ECONNRESET"
  ].flatMap((codes) => codes.split(" "))
)

/** Whether an error may be over in a moment. */
export const isTransient = (code: string): boolean => transient.has(code)

/** Three seconds in all. */
const retry = Schedule.exponential("100 millis").pipe(
  Schedule.jittered,
  Schedule.setInputType<EntryFailed | Task.TimedOut>(),
  Schedule.while(({ input }) => input._tag === "EntryFailed" && isTransient(input.code)),
  Schedule.upTo({ times: 5 })
)

/** The task that copies an entry. What may be over in a moment is tried again, five times within three seconds. */
export const CopyEntry = Task.make("@fanout/ops/CopyEntry", {
  payload: {
    /** `files` are some of a folder, `folders` some with all that is in them; `list` is what a folder has in it. */
    kind: Schema.Literals(["file", "link", "folder", "folderEnd", "files", "folders", "list"]),
    source: FilePath.FilePath,
    target: FilePath.FilePath,
    /** What of the source, a folder, is copied into the target, of the kinds `files` and `folders`. */
    names: Schema.optionalKey(Schema.Array(FilePath.FilePath)),
    /** How much there was in each of `folders`; 0 where that is not known. */
    sizes: Schema.optionalKey(Schema.Array(Schema.Natural)),
    /** Path of the source below what was to be copied, of the kinds `folders` and `list`. */
    below: Schema.optionalKey(FilePath.FilePath),
    /** What of it a run before this one has put there, of the kind `list`; the empty path stands for all of it. */
    made: Schema.optionalKey(Made),
    /** What of it, as a source, a move has copied and not removed, of the kind `list`. */
    unremoved: Schema.optionalKey(Unremoved),
    /** Whether its sources could not be given their names again, of the kinds `files` and `folders`. */
    isStuck: Schema.optionalKey(Schema.Literal(true)),
    /** Whether the destination may take its name for that of another source. */
    mayFold: Schema.optionalKey(Schema.Literal(true)),
    conflict: Conflict.Mode
  },
  success: EntryCopied,
  error: EntryFailed,
  key: ({ source }) => FilePath.display(source),
  pool: "io",
  retry
})

/** The task that copies an entry. */
export type CopyEntry = typeof CopyEntry

/** The task that does one step of a unit. It fails for nothing: what it does not do is left. */
export const CopyUnit = Task.make("@fanout/ops/CopyUnit", {
  payload: {
    unit: Unit,
    step: Schema.TaggedUnion({
      Fill: {},
      Settle: {
        placements: Filled.fields.placements,
        endings: Filled.fields.endings,
        /** Which of the placements get no names after all, by their places. */
        dropped: Schema.Array(Schema.Natural)
      },
      Remove: {
        ...SavedCopy.Moved.fields,
        /** Whether a run before this one may have begun with that. */
        isAgain: Schema.Boolean
      }
    })
  },
  success: Schema.TaggedUnion({
    Filled: { filled: Filled, settled: Schema.optionalKey(Settled) },
    Settled: { settled: Settled },
    Removed: {
      removed: Schema.Array(Removed),
      /** Whether something that was put aside could not be given its name again. */
      isStuck: Schema.Boolean
    }
  }),
  key: ({ unit: { source } }) => FilePath.display(source),
  cost: ({ unit: { size } }) => size,
  pool: "io"
})

/** The tasks of a copy that run on threads. */
export class ThreadTasks extends RpcGroup.make(CopyUnit) {}
