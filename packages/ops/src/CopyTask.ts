/**
 * Tasks of a copy: one copies one file, one link, one folder without what is in it, or files of a folder; the other
 * copies files of a folder for it, on threads, those that are plain files and whose names are free,
 * or folders with all that is in them.
 *
 * @since 0.1.0
 */
import * as Task from "@fanout/core/Task"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Conflict from "./Conflict.ts"
import { Checksums } from "./CopyChecksum.ts"
import * as CopyOptions from "./CopyOptions.ts"
import * as FilePath from "./FilePath.ts"
import * as Filter from "./Filter.ts"
import { HashAlgorithm } from "./HashAlgorithm.ts"
import * as SavedCopy from "./internal/savedCopy.ts"
import { isTransient } from "./internal/transient.ts"

/**
 * Error of an entry that was not copied: what the file system answered to which call, or why it was refused.
 *
 * @category errors
 * @since 0.1.0
 */
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

/**
 * Schema for what files of a folder came to, by their places among the names.
 *
 * @category schemas
 * @since 0.1.0
 */
export const CopiedFiles = Schema.Struct({
  copied: Schema.Natural,
  /** How many were moved, in place of copied: their sources are removed. */
  moved: Schema.optionalKey(Schema.Natural),
  linked: Schema.Natural,
  /** How many were left alone, since the destination is as the source. */
  unchanged: Schema.Natural,
  /**
   * What takes more than to copy it to a free name: what is large, is taken, is not what it was, or fails; and what
   * that goes on from, if it was begun.
   */
  alone: Schema.Array(Schema.Struct({ index: Schema.Natural, saved: Schema.optionalKey(SavedCopy.Saved) })),
  /** Places of names that are taken, and are to be left then. */
  skipped: Schema.Array(Schema.Natural),
  /** How many of the last names were not come to. */
  left: Schema.Natural,
  /** How much was copied. */
  bytes: Schema.Natural,
  /** Checksum of each that was copied, by their places among the names, if it is asked for; null for the others. */
  digests: Schema.optionalKey(Schema.Array(Schema.NullOr(Schema.String))),
  /** What became of folders. What is told of files is told of those in them, then. */
  folders: Schema.optionalKey(Schema.Struct({
    /** How many are whole, with mode and times, those below the named ones included. */
    ended: Schema.Natural,
    /** What there is more to do in folders that are there, by their paths, which begin with a name. */
    rest: Schema.Array(Schema.Struct({
      path: FilePath.FilePath,
      names: Schema.Array(FilePath.FilePath),
      folders: Schema.Array(FilePath.FilePath),
      /** How much there is in each of the folders; 0 where that is not known. */
      sizes: Schema.Array(Schema.Natural)
    })),
    /** Those of the names that nothing was done with. */
    untouched: Schema.Array(FilePath.FilePath),
    /** Those of the names in which there is less by now than when they were measured, and how much less. */
    fewer: Schema.Array(Schema.Struct({ path: FilePath.FilePath, count: Schema.Natural }))
  }))
})

/**
 * What files of a folder came to.
 *
 * @category models
 * @since 0.1.0
 */
export type CopiedFiles = typeof CopiedFiles.Type

const told = { checksums: Schema.optionalKey(Checksums) }

/**
 * Schema for how an entry was copied.
 *
 * **Details**
 *
 * - `Copied`: a file, in the named way. `Linked`: a link. `FolderMade`, `FolderEnded`: a folder was made or was
 *   there, and has got its mode and times.
 * - `Moved`: a file or link, or all of a source, in the named way; it is not where it was any more.
 * - `Unchanged`: the destination is as the source, and was left alone.
 * - `Files`: files of a folder, or folders with all in them, were copied, as far as they are ordinary.
 * - `Listed`: what is in a folder. `Unlisted`: why that is not known.
 *
 * `checksums` is there for files, where it is asked for.
 *
 * @category schemas
 * @since 0.1.0
 */
export const EntryCopied = Schema.TaggedUnion({
  Copied: { strategy: Schema.String, sizeBytes: Schema.Natural, ...told },
  Moved: { strategy: Schema.String, sizeBytes: Schema.Natural, ...told },
  Linked: {},
  FolderMade: {},
  FolderEnded: {},
  Unchanged: told,
  Files: CopiedFiles.fields,
  Listed: { names: Schema.Array(FilePath.FilePath), folders: Schema.Array(FilePath.FilePath) },
  Unlisted: { code: Schema.String, why: Schema.String }
})

/** Three seconds in all. */
const retry = Schedule.exponential("100 millis").pipe(
  Schedule.jittered,
  Schedule.setInputType<EntryFailed | Task.TimedOut>(),
  Schedule.while(({ input }) => input._tag === "EntryFailed" && isTransient(input.code)),
  Schedule.upTo({ times: 5 })
)

/**
 * The task that copies an entry. What may be over in a moment is tried again, five times within three seconds.
 *
 * @category constructors
 * @since 0.1.0
 */
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

/**
 * The task that copies an entry.
 *
 * @category models
 * @since 0.1.0
 */
export type CopyEntry = typeof CopyEntry

/**
 * The task that copies files of a folder, or folders, as many of them as it can. It fails for none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const CopyFiles = Task.make("@fanout/ops/CopyFiles", {
  payload: {
    /** Real paths of folders. */
    source: FilePath.FilePath,
    target: FilePath.FilePath,
    /** What of the source is copied: files and links, or folders with all that is in them. */
    names: Schema.Array(FilePath.FilePath),
    areFolders: Schema.Boolean,
    /** How much that is, as far as is known. */
    size: Schema.Natural,
    /** How much there was in each of folders; 0 where that is not known. */
    sizes: Schema.Array(Schema.Natural),
    conflict: Conflict.Mode,
    /** Whether an owner of the job before this one may have copied what is the same. */
    isAgain: Schema.Boolean,
    /** Whether no name is taken, as far as is known. */
    isFree: Schema.Boolean,
    /** What is kept of files beside their content; mode and times are among that. */
    keeps: Schema.Array(CopyOptions.Property),
    /** Files that are not copied, whatever they are called. */
    avoid: Schema.Array(Schema.Struct({ device: Schema.BigInt, inode: Schema.BigInt })),
    /** What in folders is left out, and where the rules for that find the source. */
    rules: Schema.Array(Filter.Rule),
    below: FilePath.FilePath,
    /** By what they are hashed on their way, if they are. */
    checksums: Schema.optionalKey(HashAlgorithm),
    /** Once so much is copied, the rest is left. */
    mostBytes: Schema.Natural
  },
  success: CopiedFiles,
  key: ({ source }) => FilePath.display(source),
  cost: ({ size }) => size,
  pool: "io"
})

/**
 * The tasks of a copy that run on threads.
 *
 * @category models
 * @since 0.1.0
 */
export class ThreadTasks extends RpcGroup.make(CopyFiles) {}
