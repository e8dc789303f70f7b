/**
 * Says why something is not deleted at all: because it was refused before the job started, or since it is not what it
 * was then.
 */
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"
import { FilesError } from "./FilesError.ts"

const at = { path: FilePath.FilePath }

/**
 * Schema for what is wrong.
 *
 * **Details**
 *
 * - `NothingThere`: nothing of what was named exists.
 * - `IsRoot`: it is the root of all files, by whatever name.
 * - `IsBucket`: it is a whole bucket of an object store.
 * - `Address`: it is an address that can't be deleted, as the sentence says.
 * - `IsDots`: its name is `.` or `..`.
 * - `FollowsLink`: a slash behind the name of a link means what the link leads to.
 * - `NotAFolder`: there is a slash behind the name of something else.
 * - `IsDatabase`, `HoldsDatabase`: it is, or has in it, a file of the database of this job.
 * - `Inaccessible`: the file system could not be asked.
 * - `Replaced`: a root of the job, or the folder that it is in, is another one than when the job started.
 * - `StillThere`: others have put something in it for as long as it was deleted.
 *
 * @category schemas
 */
export const Reason = Schema.TaggedUnion({
  NothingThere: { paths: Schema.NonEmptyArray(FilePath.FilePath) },
  IsRoot: at,
  IsBucket: at,
  Address: { why: Schema.String },
  IsDots: at,
  FollowsLink: at,
  NotAFolder: at,
  IsDatabase: at,
  HoldsDatabase: at,
  Inaccessible: { error: FilesError },
  Replaced: at,
  StillThere: at
})
export type Reason = typeof Reason.Type

const show = (path: FilePath.FilePath): string => `"${FilePath.display(path)}"`

const database = "the database of jobs: name another database with --db to delete this one"

/**
 * Error of what is not deleted.
 *
 * @category errors
 */
export class DeleteError extends Schema.TaggedError<DeleteError>("@fanout/ops/DeleteError")("DeleteError", {
  reason: Reason
}) {
  override get message(): string {
    return Reason.match(this.reason, {
      NothingThere: ({ paths }) =>
        `There is nothing at ${paths.map(show).join(", ")}: check the spelling, or mount what it is on`,
      IsRoot: ({ path }) => `${show(path)} is the root of all files, which is never deleted: name what is in it`,
      IsBucket: ({ path }) => `${show(path)} is a whole bucket, which is never deleted: name what is in it`,
      Address: ({ why }) => why,
      IsDots: ({ path }) => `${show(path)} is named by dots, which is refused: name the folder itself`,
      FollowsLink: ({ path }) =>
        `${show(path)} means what a link leads to: leave out the slash to remove the link, or name the folder itself`,
      NotAFolder: ({ path }) => `${show(path)} is not a folder: leave out the slash`,
      IsDatabase: ({ path }) => `${show(path)} belongs to ${database}`,
      HoldsDatabase: ({ path }) => `${show(path)} can't go to the trash, since in it is ${database}`,
      Inaccessible: ({ error }) => error.message,
      Replaced: ({ path }) =>
        `${
          show(path)
        }, or the folder it is in, is another one than when the job started, so nothing of it is deleted: ` +
        "put the old one back, or cancel this job and start another",
      StillThere: ({ path }) => `${show(path)} is still there: something was put in it again and again`
    })
  }
}
