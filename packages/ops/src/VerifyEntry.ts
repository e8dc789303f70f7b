/**
 * Task: compares what is at two paths, without what is in a folder.
 *
 * @since 0.1.0
 */
import * as Task from "@fanout/core/Task"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import { Code, codeOf, Difference, explain } from "./Difference.ts"
import * as FilePath from "./FilePath.ts"
import { Aspect } from "./Metadata.ts"

/**
 * Error of an entry that is not the same in both trees, or of which that is not known.
 *
 * @category errors
 * @since 0.1.0
 */
export class EntryDiffers
  extends Schema.TaggedError<EntryDiffers>("@fanout/ops/VerifyEntry/EntryDiffers")("EntryDiffers", {
    code: Code,
    difference: Difference
  })
{
  override get message(): string {
    return explain(this.difference)
  }
}

/**
 * Creates the error of a difference.
 *
 * @category constructors
 * @since 0.1.0
 */
export const differs = (difference: Difference): EntryDiffers =>
  new EntryDiffers({ code: codeOf(difference), difference })

/**
 * Schema for what of an entry is to be compared.
 *
 * **Details**
 *
 * - `file`, `link`: all of what was such in both trees.
 * - `folder`: the metadata of what was one in both trees.
 * - `again`: what was missing or of another kind, whatever it is by now, unless it is a folder.
 * - `apart`: the same, and of a folder that it can be listed in both trees. What is in it is compared next.
 * - `end`: the metadata of what is a folder in both trees, once all in it was compared apart.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Part = Schema.Literals(["file", "link", "folder", "again", "apart", "end"])

/**
 * Schema for an entry that is the same.
 *
 * **Details**
 *
 * `Same` is a file or a link. `FolderSame` is a folder, and `FolderEnded` one whose content was compared apart.
 *
 * @category schemas
 * @since 0.1.0
 */
export const EntrySame = Schema.TaggedUnion({
  Same: { sizeBytes: Schema.Natural },
  FolderSame: {},
  FolderEnded: {}
})

/**
 * The task.
 *
 * @category constructors
 * @since 0.1.0
 */
export const VerifyEntry = Task.make("@fanout/ops/VerifyEntry", {
  payload: {
    /** By their real paths. */
    a: FilePath.FilePath,
    b: FilePath.FilePath,
    part: Part,
    ignore: Schema.Array(Aspect)
  },
  success: EntrySame,
  error: EntryDiffers,
  key: ({ a }) => FilePath.display(a),
  pool: "cpu"
})

/**
 * The tasks of a comparison, for a pool of threads.
 *
 * @category models
 * @since 0.1.0
 */
export class VerifyTasks extends RpcGroup.make(VerifyEntry) {}
