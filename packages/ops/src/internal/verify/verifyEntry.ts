/**
 * Task: compares what is at two paths, without what is in a folder, or many such entries of two trees.
 */
import * as Task from "@fanout/core/Task"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import { Code, codeOf, Difference, EntryDiffers } from "../../Difference.ts"
import * as FilePath from "../../FilePath.ts"
import { Aspect } from "./metadataComparison.ts"

/** Schema for the error of an entry as data: to make an error takes longer than to compare a small file. */
export const EntryFailed = Schema.TaggedStruct("EntryDiffers", { code: Code, difference: Difference })

/** Creates the error of a difference. */
export const differs = (difference: Difference): EntryDiffers =>
  new EntryDiffers({ code: codeOf(difference), difference })

/**
 * Schema for what of an entry is to be compared.
 *
 * - `entries`: files, links and folders of both trees, one after the other; of folders the metadata. What can't be
 *   compared with others is left.
 * - `again`: what is compared by itself, whatever it is by now, unless it is a folder. For jobs that were begun by an
 *   earlier version `file` and `link` are the same.
 * - `folder`: the metadata of what was one in both trees.
 * - `apart`: the same, and of a folder that it can be listed in both trees. What is in it is compared next.
 * - `end`: the metadata of what is a folder in both trees, once all in it was compared apart.
 */
const Part = Schema.Literals(["entries", "file", "link", "folder", "again", "apart", "end"])

/** Schema for entries of both trees, by the folder that they are in. */
const EntriesIn = Schema.Struct({
  /** Path of the folder under both trees. */
  path: FilePath.FilePath,
  /** The empty name stands for the folder itself. */
  names: Schema.Array(FilePath.FilePath)
})

/** Schema for what entries came to that were compared together, by their places among all of their names. */
export const ComparedEntries = Schema.TaggedStruct("Entries", {
  /** How many files and links are the same, and how many folders. */
  same: Schema.Natural,
  folders: Schema.Natural,
  differing: Schema.Array(Schema.Struct({ index: Schema.Natural, difference: Difference })),
  /** Those that have to be compared by themselves; how large they are where that is why. */
  alone: Schema.Array(Schema.Struct({ index: Schema.Natural, sizeBytes: Schema.Natural }))
})
export type ComparedEntries = typeof ComparedEntries.Type

/**
 * Schema for an entry that is the same.
 *
 * `Same` is a file or a link. `FolderSame` is a folder, and `FolderEnded` one whose content was compared apart.
 */
export const EntrySame = Schema.TaggedUnion({
  Same: { sizeBytes: Schema.Natural },
  FolderSame: {},
  FolderEnded: {}
})

/** How many entries a payload is about. */
export const countOf = ({ folders }: { readonly folders?: ReadonlyArray<typeof EntriesIn.Type> }): number =>
  folders?.reduce((sum, { names }) => sum + names.length, 0) ?? 1

/** The task. */
export const VerifyEntry = Task.make("@fanout/ops/VerifyEntry", {
  payload: {
    /** By their real paths. */
    a: FilePath.FilePath,
    b: FilePath.FilePath,
    part: Part,
    ignore: Schema.Array(Aspect),
    /** The entries, where there are many: then `a` and `b` are the trees. */
    folders: Schema.optionalKey(Schema.Array(EntriesIn)),
    /** How large a file was that is compared by itself for that. */
    sizeBytes: Schema.optionalKey(Schema.Natural),
    /** Files of the job's own database that have other names: by none of these are they opened. */
    leaveOut: Schema.optionalKey(Schema.Array(FilePath.FilePath))
  },
  success: Schema.Union([EntrySame, ComparedEntries]),
  error: EntryDiffers,
  key: ({ a }) => FilePath.display(a),
  cost: countOf
})

/** The tasks of a comparison, for a pool of threads. */
export class VerifyTasks extends RpcGroup.make(VerifyEntry) {}
