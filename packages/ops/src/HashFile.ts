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

/**
 * Error of a file that was not hashed: what the file system answered, or that it changed while it was read.
 *
 * @category errors
 * @since 0.1.0
 */
export class HashFailed extends Schema.TaggedError<HashFailed>("@fanout/ops/HashFile/HashFailed")("HashFailed", {
  /** The file system's own code, such as `EACCES`; `Changed` where there was something else at its end. */
  code: Schema.String,
  path: FilePath.FilePath,
  why: Schema.String
}) {
  override get message(): string {
    return this.why
  }
}

/**
 * Schema for what was hashed.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Hashed = Schema.TaggedStruct("Hashed", {
  /** In hexadecimal digits, lower case. */
  digest: Schema.String,
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
    algorithm: HashAlgorithm.HashAlgorithm
  },
  success: Hashed,
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
