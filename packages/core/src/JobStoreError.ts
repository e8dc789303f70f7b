/**
 * Errors of job stores.
 *
 * Every operation has the same error. Its `reason` tells the cause, so a new reason changes no public type.
 */
import * as Schema from "effect/Schema"
import { lineOf } from "./internal/messageOf.ts"
import { JobId } from "./JobId.ts"

/**
 * Reason: no job has this id, or the job has another definition: `job` is the expected name, `found` the actual name.
 * `inTransaction` says that the caller has a transaction open: a job that was started in it is there after the commit.
 *
 * @category errors
 */
export class JobNotFound
  extends Schema.TaggedError<JobNotFound>("@fanout/core/JobStoreError/JobNotFound")("JobNotFound", {
    id: JobId,
    job: Schema.optionalKey(Schema.String),
    found: Schema.optionalKey(Schema.String),
    inTransaction: Schema.optionalKey(Schema.Literal(true))
  })
{
  override get message(): string {
    if (this.found !== undefined) {
      return `The job with the id "${this.id}" is a "${this.found}", and not a "${this.job}"`
    }
    const missing = `No job has the id "${this.id}"`
    return this.inTransaction === undefined
      ? missing
      : `${missing} outside of the open transaction. If the transaction has started it, ask after the commit`
  }
}

/**
 * Reason: the job changed since it was read, or a new job has the id of a stored job.
 *
 * @category errors
 */
export class JobConflict
  extends Schema.TaggedError<JobConflict>("@fanout/core/JobStoreError/JobConflict")("JobConflict", {
    id: JobId
  })
{
  override get message(): string {
    return `Job "${this.id}" changed in the meantime`
  }
}

/**
 * Reason: the writer is not, or no longer, the job's owner. Nothing was written.
 *
 * @category errors
 */
export class Fenced extends Schema.TaggedError<Fenced>("@fanout/core/JobStoreError/Fenced")("Fenced", {
  id: JobId,
  token: Schema.Natural
}) {
  override get message(): string {
    return `Job "${this.id}" has another owner than the one with token ${this.token}`
  }
}

/**
 * Reason: the job can't become active again, because another active job has its idempotency key or its exclusive key.
 *
 * @category errors
 */
export class KeyTaken extends Schema.TaggedError<KeyTaken>("@fanout/core/JobStoreError/KeyTaken")("KeyTaken", {
  id: JobId,
  by: JobId
}) {
  override get message(): string {
    return `Job "${this.id}" can't become active again while job "${this.by}" does the same`
  }
}

/**
 * Reason: as many jobs of this name run, in all processes of the store, as its concurrency allows: `most`.
 *
 * @category errors
 */
export class ConcurrencyReached extends Schema.TaggedError<ConcurrencyReached>(
  "@fanout/core/JobStoreError/ConcurrencyReached"
)("ConcurrencyReached", { job: Schema.String, most: Schema.Natural }) {
  override get message(): string {
    return `No more than ${this.most} jobs of "${this.job}" may run at the same time: wait, or raise its concurrency`
  }
}

/**
 * Reason: a newer version of fanout has written the database. The database stays unchanged.
 *
 * @category errors
 */
export class StoreTooNew
  extends Schema.TaggedError<StoreTooNew>("@fanout/core/JobStoreError/StoreTooNew")("StoreTooNew", {
    found: Schema.Natural,
    supported: Schema.Natural
  })
{
  override get message(): string {
    return `The job store has schema ${this.found}, and this version of fanout knows schemas up to ${this.supported}`
  }
}

/**
 * Reason: processes that share a database on this file system can damage it.
 *
 * @category errors
 */
export class UnsafeFileSystem
  extends Schema.TaggedError<UnsafeFileSystem>("@fanout/core/JobStoreError/UnsafeFileSystem")("UnsafeFileSystem", {
    path: Schema.String,
    fileSystem: Schema.String
  })
{
  override get message(): string {
    return `The job store can't be kept in "${this.path}": processes that share a database on ${this.fileSystem} can ` +
      "damage it. Keep it on a local disk"
  }
}

/**
 * Reason: a job would be stored within an open transaction that the store is no part of, and would stay if that is
 * rolled back, or a child within any transaction of its parent's program. Nothing was written.
 *
 * @category errors
 */
export class OtherTransaction
  extends Schema.TaggedError<OtherTransaction>("@fanout/core/JobStoreError/OtherTransaction")("OtherTransaction", {})
{
  override get message(): string {
    return "The job can't be a part of the open transaction, since that is of another database, or of a client that " +
      "is not in the context, or since the job is a child: start it after the transaction, or provide the SqlClient " +
      "of the job store's database"
  }
}

/**
 * Schema for the problem of the storage.
 *
 * - `Busy`, `Unreachable`: it may go away by itself.
 * - `Denied`: this user has no rights to the storage. `Missing`: the server has no such database.
 * - `Unreadable`: the storage can't be opened for another reason. `Corrupt`: it is damaged, or no job store.
 * - `Full`, `ReadOnly`, `Faulty`: it can't be written, or its device fails.
 *
 * @category models
 */
export const StorageProblem = Schema.Literals([
  "Busy",
  "Full",
  "Faulty",
  "Corrupt",
  "Unreachable",
  "Denied",
  "Missing",
  "Unreadable",
  "ReadOnly",
  "Other"
])

/**
 * Reason: the storage failed.
 *
 * @category errors
 */
export class StorageFailure
  extends Schema.TaggedError<StorageFailure>("@fanout/core/JobStoreError/StorageFailure")("StorageFailure", {
    operation: Schema.String,
    problem: StorageProblem,
    cause: Schema.Defect()
  })
{
  override get message(): string {
    const why = lineOf(this.cause)
    const problem = {
      Busy: "it stays locked by another process",
      Full: "no space is left",
      Faulty: "the device that it is on fails to read or write",
      Corrupt: `it is damaged or not a job store: ${why}`,
      Unreachable: `its server can't be reached: ${why}`,
      ReadOnly: `it can't be written: ${why}`,
      Denied: why,
      Missing: why,
      Unreadable: why,
      Other: why
    }[this.problem]
    return `The job store failed to ${this.operation}: ${problem}`
  }
}

/**
 * Error of every `JobStore` operation.
 *
 * @category errors
 */
export class JobStoreError extends Schema.TaggedError<JobStoreError>("@fanout/core/JobStoreError")("JobStoreError", {
  reason: Schema.Union([
    JobNotFound,
    JobConflict,
    KeyTaken,
    ConcurrencyReached,
    Fenced,
    StoreTooNew,
    UnsafeFileSystem,
    OtherTransaction,
    StorageFailure
  ])
}) {
  override get message(): string {
    return this.reason.message
  }
}
