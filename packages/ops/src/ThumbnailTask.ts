/**
 * Task that makes the thumbnails of one file. It belongs on a process of its own: decoders are native code, and a file
 * that crashes or hangs one must cost that file and nothing else.
 */
import * as Task from "@fanout/core/Task"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"
import { Format, ThumbnailVariant } from "./ThumbnailVariant.ts"

/**
 * Error of a file that has no thumbnails.
 *
 * **Details**
 *
 * The code is the file system's own, such as `EACCES`, or one of these:
 *
 * - `Corrupt`, `Truncated`: it can't be decoded, or ends too soon.
 * - `TooLarge`: it has more pixels, or more bytes, than are decoded.
 * - `Unsupported`: nothing here decodes it.
 * - `Mislabelled`: it is called an image and is nothing that is known.
 * - `Changed`: it changed while it was read.
 *
 * @category errors
 */
export class ThumbnailFailed
  extends Schema.TaggedError<ThumbnailFailed>("@fanout/ops/ThumbnailTask/ThumbnailFailed")("ThumbnailFailed", {
    code: Schema.String,
    path: FilePath.FilePath,
    why: Schema.String
  })
{
  override get message(): string {
    return this.why
  }
}

/**
 * Schema for what a file came to: thumbnails that were not there, or all of them were.
 *
 * @category schemas
 */
export const Thumbnails = Schema.TaggedUnion({
  Made: {
    /** Names what the file holds, and the folder that its thumbnails are in. */
    contentId: Schema.String,
    /** What was done that the file does not show by itself: that it was turned, or is the first of several frames. */
    notes: Schema.Array(Schema.String),
    variants: Schema.Array(ThumbnailVariant)
  },
  Existing: { contentId: Schema.String }
})
export type Thumbnails = typeof Thumbnails.Type

/**
 * Path of the folder for thumbnails of a content, in that for all: `ab/cd/abcd…`. There are 65,536 folders beside it at
 * most, each in one of 256.
 *
 * @category accessors
 */
export const folderOf = (contentId: string): FilePath.FilePath =>
  FilePath.make([contentId.slice(0, 2), contentId.slice(2, 4), contentId].join("/"))

/**
 * The task that makes the thumbnails of a file, those that are missing. What is no picture is skipped.
 *
 * @category constructors
 */
export const MakeThumbnails = Task.make("@fanout/ops/MakeThumbnails", {
  payload: {
    /** Real path. */
    path: FilePath.FilePath,
    /** Real path of the folder that thumbnails are in. */
    output: FilePath.FilePath,
    variants: Schema.Array(ThumbnailVariant),
    format: Format
  },
  success: Thumbnails,
  error: ThumbnailFailed,
  key: ({ path }) => FilePath.display(path),
  pool: "cpu",
  // What takes longer hardly ends: an image of as many pixels as are decoded takes some seconds.
  timeout: "30 seconds"
})

/**
 * The tasks that run on processes of their own.
 *
 * @category models
 */
export class ProcessTasks extends RpcGroup.make(MakeThumbnails) {}
