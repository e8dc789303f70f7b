/**
 * Task: reads what a photo, a sound or a film says of itself.
 */
import * as Task from "@fanout/core/Task"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"
import { MediaRecord } from "./MediaRecord.ts"

/**
 * Most bytes that are read of one file. That is enough for the tables of a film of some hours, and for a sound with
 * large covers; what claims to need more is not believed.
 *
 * @category models
 */
export const mostBytes = 2 ** 25

/**
 * Error of a file of which nothing could be read.
 *
 * @category errors
 */
export class MediaFailed extends Schema.TaggedError<MediaFailed>("@fanout/ops/MediaTask/MediaFailed")("MediaFailed", {
  /**
   * The file system's own code, such as `EACCES`; `Malformed` where the content is not what its first bytes say it is,
   * `TooMuch` where nothing was found in `mostBytes`, and more would have to be read.
   */
  code: Schema.String,
  path: FilePath.FilePath,
  why: Schema.String
}) {
  override get message(): string {
    return this.why
  }
}

/**
 * Schema for a file that was read.
 *
 * @category schemas
 */
export const MediaRead = Schema.TaggedStruct("Read", { record: MediaRecord })

/**
 * The task. It has a deadline: nobody else waits for what a broken file does to those who read it.
 *
 * @category constructors
 */
export const ReadMedia = Task.make("@fanout/ops/ReadMedia", {
  payload: {
    /** Real path of the file. A link is not followed. */
    path: FilePath.FilePath,
    /** Whether all tags are to be given, too. */
    raw: Schema.optionalKey(Schema.Boolean)
  },
  success: MediaRead,
  error: MediaFailed,
  key: ({ path }) => FilePath.display(path),
  timeout: "20 seconds",
  pool: "cpu"
})

/**
 * The tasks of reading metadata, for a pool of threads.
 *
 * @category models
 */
export class ThreadTasks extends RpcGroup.make(ReadMedia) {}
