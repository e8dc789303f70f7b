/**
 * Task: copies one file, one link, or one folder without what is in it.
 *
 * @since 0.1.0
 */
import * as Task from "@fanout/core/Task"
import * as Schema from "effect/Schema"
import * as Conflict from "./Conflict.ts"
import * as FilePath from "./FilePath.ts"

/**
 * Error of an entry that was not copied: what the file system answered to which call, or why it was refused.
 *
 * @category errors
 * @since 0.1.0
 */
export class EntryFailed extends Schema.TaggedError<EntryFailed>("@fanout/ops/CopyEntry/EntryFailed")("EntryFailed", {
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
 * Schema for how an entry was copied.
 *
 * **Details**
 *
 * - `Copied`: a file, by the named strategy. `Linked`: a link. `FolderMade`, `FolderEnded`: a folder was made or was
 *   there, and has got its mode and times.
 * - `Unchanged`: the destination is as the source, and was left alone.
 *
 * @category schemas
 * @since 0.1.0
 */
export const EntryCopied = Schema.TaggedUnion({
  Copied: { strategy: Schema.String, sizeBytes: Schema.Natural },
  Linked: {},
  FolderMade: {},
  FolderEnded: {},
  Unchanged: {}
})

/**
 * The task.
 *
 * @category constructors
 * @since 0.1.0
 */
export const CopyEntry = Task.make("@fanout/ops/CopyEntry", {
  payload: {
    kind: Schema.Literals(["file", "link", "folder", "folderEnd"]),
    source: FilePath.FilePath,
    target: FilePath.FilePath,
    conflict: Conflict.Mode
  },
  success: EntryCopied,
  error: EntryFailed,
  key: ({ source }) => FilePath.display(source),
  pool: "io"
})

/**
 * The task.
 *
 * @category models
 * @since 0.1.0
 */
export type CopyEntry = typeof CopyEntry
