/**
 * Tasks of hashing: one hashes files, as many of them as it can; the other sees whether a file has the
 * digest that it is to have.
 */
import * as Task from "@fanout/core/Task"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import { CheckFailed } from "../../ChecksumLine.ts"
import * as FilePath from "../../FilePath.ts"
import * as HashAlgorithm from "../../HashAlgorithm.ts"
import { Stamp } from "./hashCache.ts"

/**
 * Schema for why a file was not hashed like the others.
 *
 * - `Failed`: with the file system's own code, such as `EACCES`, or `Changed` where it changed while it was read.
 * - `Skipped`: there is nothing to hash.
 * - `Alone`: it takes so long that it is a task of its own; 0 where nobody knows yet how large it is.
 */
export const Unhashed = Schema.TaggedUnion({
  Failed: { code: Schema.String, why: Schema.String },
  Skipped: { reason: Schema.String },
  Alone: { sizeBytes: Schema.Natural }
})
export type Unhashed = typeof Unhashed.Type

/** Schema for what files came to, each by its place among their names. */
export const HashedFiles = Schema.Struct({
  /** In hexadecimal digits, lower case; content ids where these were asked for. Nothing for those that have none. */
  digests: Schema.Array(Schema.NullOr(Schema.String)),
  /** 0 for those without a digest. */
  sizesBytes: Schema.Array(Schema.Natural),
  /** What the cache is to remember them by, if it is to. */
  stamps: Schema.optionalKey(Schema.Array(Schema.NullOr(Stamp))),
  /** Those without a digest; the folder that was to be listed, if it could not be. */
  unhashed: Schema.Array(Schema.Struct({ index: Schema.Natural, why: Unhashed })),
  /** What is in the folder that was to be listed. */
  listed: Schema.optionalKey(Schema.Struct({
    files: Schema.Array(FilePath.FilePath),
    folders: Schema.Array(FilePath.FilePath),
    special: Schema.Array(FilePath.FilePath),
    /** The last of these names, where there are more behind it. */
    after: Schema.optionalKey(FilePath.FilePath)
  }))
})
export type HashedFiles = typeof HashedFiles.Type

/** Schema for files by the folders that they are in. */
export const FilesIn = Schema.Struct({
  /** Path of the folder; empty for the one that it is under. */
  path: FilePath.FilePath,
  names: Schema.Array(FilePath.FilePath)
})

/** How many files a payload is about. */
export const countOf = ({ folders }: { readonly folders: ReadonlyArray<typeof FilesIn.Type> }): number =>
  folders.reduce((sum, { names }) => sum + names.length, 0)

/** The task that hashes files. It tells of each what became of it, and fails for none. */
export const HashFiles = Task.make("@fanout/ops/HashFiles", {
  payload: {
    /** Real path of the folder that all of them are under. */
    root: FilePath.FilePath,
    /** A link is not followed, and what is not there any more is skipped. */
    folders: Schema.NonEmptyArray(FilesIn),
    /** `"sampled"` for Spacedrive's content ids, which are no digests of the whole content. */
    algorithm: Schema.Union([HashAlgorithm.HashAlgorithm, Schema.Literal("sampled")]),
    /** Whether digests are taken from the cache, where it has them. Samples are not kept. */
    cache: Schema.optionalKey(Schema.Boolean),
    /** Whether it is hashed however long it takes. */
    isAlone: Schema.optionalKey(Schema.Boolean),
    /** Files of the job's own database that have other names: by none of these are they opened. */
    leaveOut: Schema.optionalKey(Schema.Array(FilePath.FilePath)),
    /** Lists the folder, which has no names here, instead: from behind this name on, if there is one. */
    lists: Schema.optionalKey(Schema.Struct({ after: Schema.optionalKey(FilePath.FilePath) })),
    /** How large a file was that is alone, where that is known. */
    sizeBytes: Schema.optionalKey(Schema.Natural)
  },
  success: HashedFiles,
  key: ({ folders: [{ names: [name], path }], root }) =>
    FilePath.display(FilePath.join(root, name === undefined ? path : FilePath.join(path, name))),
  cost: (payload) => Math.max(1, countOf(payload)),
  pool: "io"
})

/** What a line of a checksum file names: an address stands for itself, as an absolute path does. */
export const named = (root: FilePath.FilePath, path: FilePath.FilePath): FilePath.FilePath =>
  FilePath.isAddress(path) ? path : FilePath.join(root, path)

/**
 * Schema for what files came to that were checked: null where one has not the digest that it is to have, or takes more
 * than to be opened and read.
 */
export const CheckedFiles = Schema.Array(Schema.NullOr(Schema.Struct({
  /** The one by which the file has its digest. */
  algorithm: HashAlgorithm.HashAlgorithm,
  sizeBytes: Schema.Natural
})))
export type CheckedFiles = typeof CheckedFiles.Type

/**
 * The task that sees whether files have the digests that they are to have, by any of the algorithms, tried in this
 * order. Of many together it is told which have; one that is checked alone is followed where it is a link, and the task
 * fails with what is not well.
 */
export const CheckFiles = Task.make("@fanout/ops/CheckFiles", {
  payload: {
    /** Folder that names are under which begin with no slash. */
    root: FilePath.FilePath,
    paths: Schema.NonEmptyArray(FilePath.FilePath),
    /** Of each of them, in lower-case hexadecimal digits. */
    digests: Schema.Array(Schema.String),
    /** Lines of the checksum file that they are in, from 1 on. */
    lineNumbers: Schema.Array(Schema.Natural),
    algorithms: Schema.NonEmptyArray(HashAlgorithm.HashAlgorithm),
    /** Files of the job's own database, which are not opened. */
    leaveOut: Schema.optionalKey(Schema.Array(FilePath.FilePath)),
    /** Whether some of these have other names, so that each file is looked at first. */
    isLinked: Schema.optionalKey(Schema.Boolean)
  },
  success: CheckedFiles,
  error: CheckFailed,
  key: ({ paths: [path], root }) => FilePath.display(named(root, path)),
  cost: ({ paths }) => paths.length,
  pool: "io"
})

/** The tasks of hashing, which run on threads. One pool of them serves all. */
export class ThreadTasks extends RpcGroup.make(HashFiles, CheckFiles) {}
