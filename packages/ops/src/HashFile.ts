/**
 * Task: hashes the content of one file.
 *
 * @since 0.1.0
 */
import * as Task from "@fanout/core/Task"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"
import * as HashAlgorithm from "./HashAlgorithm.ts"
import { Stamp } from "./HashCache.ts"

/**
 * Error of a file that was not hashed, or is not what was expected.
 *
 * @category errors
 * @since 0.1.0
 */
export class HashFailed extends Schema.TaggedError<HashFailed>("@fanout/ops/HashFile/HashFailed")("HashFailed", {
  /**
   * The file system's own code, such as `EACCES`; `Changed` where it changed while it was read, `Different` where its
   * digest is another than the one it was to have, `NoFile` where a file was expected.
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
 * Schema for what is to be made of a file.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Method = Schema.TaggedUnion({
  /**
   * Hash all of it, or take its digest from the cache. A link is not followed, and what is not there any more is
   * skipped.
   */
  Whole: { algorithm: HashAlgorithm.HashAlgorithm, cache: Schema.optionalKey(Schema.Boolean) },
  /** Identify it by samples, as `SampledHash` does. Of links and what is gone the same holds. */
  Sampled: {},
  /** See whether it has the digest, by any of the algorithms, tried in this order. Links are followed. */
  Check: { digest: Schema.String, algorithms: Schema.NonEmptyArray(HashAlgorithm.HashAlgorithm) }
})

/**
 * What is to be made of a file.
 *
 * @category models
 * @since 0.1.0
 */
export type Method = typeof Method.Type

/**
 * Schema for what was hashed.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Hashed = Schema.TaggedStruct("Hashed", {
  /** In hexadecimal digits, lower case. */
  digest: Schema.String,
  sizeBytes: Schema.Natural,
  /** What the cache is to remember it by, if it is to. */
  stamp: Schema.optionalKey(Stamp)
})

/**
 * Schema for what was identified by samples.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Sampled = Schema.TaggedStruct("Sampled", {
  /** Spacedrive's content id: no digest of the whole content. */
  contentId: Schema.String,
  sizeBytes: Schema.Natural
})

/**
 * Schema for what has the digest that it was to have.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Matched = Schema.TaggedStruct("Matched", {
  algorithm: HashAlgorithm.HashAlgorithm,
  sizeBytes: Schema.Natural
})

/**
 * The task.
 *
 * @category constructors
 * @since 0.1.0
 */
export const HashFile = Task.make("@fanout/ops/HashFile", {
  payload: {
    path: FilePath.FilePath,
    method: Method
  },
  success: Schema.Union([Hashed, Sampled, Matched]),
  error: HashFailed,
  key: ({ path }) => FilePath.display(path),
  pool: "cpu"
})

/**
 * The tasks of this package that run on threads. One pool of them serves all.
 *
 * @category models
 * @since 0.1.0
 */
export class ThreadTasks extends RpcGroup.make(HashFile) {}
