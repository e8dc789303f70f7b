/**
 * Tasks of a deletion: one removes folders with the files in them, many at once, on threads; the other removes what
 * that has left, one by one, and says why where it can't.
 */
import * as Task from "@fanout/core/Task"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as FilePath from "../../FilePath.ts"
import { Rule } from "../../Filter.ts"
import * as DeleteRoot from "./deleteRoot.ts"

/** Error of something that was not deleted. */
export class DeleteFailed extends Schema.TaggedError<DeleteFailed>("@fanout/ops/DeleteTask/DeleteFailed")(
  "DeleteFailed",
  {
    /**
     * The file system's own code, such as `EACCES`; `Mounted` where another file system begins, `Replaced` where a root
     * is another one than when the job started, `Trash` where the trash did not take it.
     */
    code: Schema.String,
    path: FilePath.FilePath,
    why: Schema.String
  }
) {
  override get message(): string {
    return this.why
  }
}

const where = {
  root: DeleteRoot.DeleteRoot,
  /** Whether it is to stay on the file system of its root. */
  oneFileSystem: Schema.Boolean
}

const Folders = Schema.Array(Schema.Struct({
  /** Path under the root of the folder that they are in; `null` where that is the one that the root is in. */
  path: Schema.NullOr(FilePath.FilePath),
  names: Schema.Array(FilePath.FilePath),
  /** Whether each is removed with all that is below it. */
  areWhole: Schema.optionalKey(Schema.Boolean)
}))

/** Folders that are to be removed, by those that they are in. */
export type Folders = typeof Folders.Type

/**
 * The task that removes what is in folders and no folder itself, as much of it as it can, then each of them that is
 * empty, and those above it. It never fails: what it can't remove is left. Where it is stopped it gives what it has not
 * come to.
 */
export const DeleteBatch = Task.make("@fanout/ops/DeleteBatch", {
  payload: {
    ...where,
    folders: Folders,
    /** How many names were in them. */
    size: Schema.Natural,
    /** Files under the root that are not removed. */
    left: Schema.Array(FilePath.FilePath),
    /** What else is not removed, by paths under the root. */
    rules: Schema.optionalKey(Schema.Array(Rule))
  },
  success: Schema.TaggedStruct("Batch", { rest: Folders }),
  key: ({ folders: [{ names: [name = FilePath.empty], path } = { names: [], path: null }], root }) =>
    FilePath.display(path === null ? root.path : FilePath.join(root.path, FilePath.join(path, name))),
  cost: ({ folders, size }) => folders.reduce((cost, { names }) => cost + names.length, size),
  pool: "io"
})

/** The tasks of a deletion that run on threads. */
export class ThreadTasks extends RpcGroup.make(DeleteBatch) {}

/**
 * Schema for what a single thing came to.
 *
 * - `Removed`: it is gone. `Trashed`: it is in the trash.
 * - `FolderMet`: what is in the folder can be removed now. `FolderLeft`: something is left in it, so it stays.
 */
export const Deleted = Schema.TaggedUnion({ Removed: {}, Trashed: {}, FolderMet: {}, FolderLeft: {} })

/** The task that removes one thing. */
export const DeleteOne = Task.make("@fanout/ops/DeleteOne", {
  payload: {
    ...where,
    kind: Schema.Literals(["leaf", "folder", "folderEnd", "trash"]),
    /** Path under the root; empty for the root itself. */
    path: FilePath.FilePath
  },
  success: Deleted,
  error: DeleteFailed,
  key: ({ path, root }) => FilePath.display(FilePath.join(root.path, path)),
  pool: "io"
})
