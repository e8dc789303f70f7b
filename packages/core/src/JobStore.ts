/**
 * Keeps jobs, their checkpoints and what their items came to, behind a replaceable backend.
 *
 * The contract is small on purpose: one compare-and-set for everything that decides a
 * job's life (`put`), one fenced transaction for everything that its owner learns
 * (`flush`), and reads. What a change means is decided above it, by `JobState`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { JobId } from "./JobId.ts"
import * as JobState from "./JobState.ts"
import type { JobStoreError } from "./JobStoreError.ts"
import { Outcome } from "./Outcome.ts"
import { Owner } from "./OwnerLiveness.ts"
import { Progress } from "./Progress.ts"

/**
 * Schema for who owns a running job. `token` is raised by every new owner, `beat` by every renewal.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Lease = Schema.Struct({ token: Schema.Natural, owner: Owner })

/**
 * Schema for what somebody asked of a running job, until its owner has done it.
 *
 * @category models
 * @since 0.1.0
 */
export const Request = Schema.Literals(["Pause", "Cancel"])

/**
 * What somebody asked of a running job.
 *
 * @category models
 * @since 0.1.0
 */
export type Request = typeof Request.Type

/**
 * Schema for how a finished job's program ended, encoded with the job's schemas.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Exit = Schema.TaggedUnion({
  Success: { value: Schema.Json },
  Failure: { error: Schema.Json, message: Schema.String },
  Defect: { message: Schema.String },
  Timeout: { millis: Schema.Number },
  OwnerLost: { times: Schema.Natural }
})

/**
 * How a finished job's program ended.
 *
 * @category models
 * @since 0.1.0
 */
export type Exit = typeof Exit.Type

/**
 * Job as it is kept in a store. Times are milliseconds since the epoch, from `Clock`.
 *
 * **Details**
 *
 * `revision` is 0 for a job that was never stored, and raised by every `put`.
 * `token` is the highest token any owner has had. `availableAt` is when a queued job may
 * be claimed. `ownersLost` counts owners lost in a row without anything recorded.
 *
 * @category models
 * @since 0.1.0
 */
export class JobRecord extends Schema.Class<JobRecord>("@fanout/core/JobStore/JobRecord")({
  id: JobId,
  name: Schema.NonEmptyString,
  version: Schema.Natural,
  payload: Schema.Json,
  idempotencyKey: Schema.Option(Schema.String),
  exclusiveKey: Schema.Option(Schema.String),
  priority: Schema.Int,
  state: JobState.JobState,
  exit: Schema.Option(Exit),
  request: Schema.Option(Request),
  lease: Schema.Option(Lease),
  token: Schema.Natural,
  ownersLost: Schema.Natural,
  createdAt: Schema.Number,
  updatedAt: Schema.Number,
  availableAt: Schema.Number,
  finishedAt: Schema.Option(Schema.Number),
  revision: Schema.Natural
}) {}

/**
 * What changes too often to be part of the record: the owner's heartbeat and the progress.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pulse {
  readonly beat: number
  readonly progress: Progress
}

/**
 * Stored ending of one element: everything that is not plain done, and that too where a
 * fan-out keeps all. `payload` is what a retry of a failed one needs; `null` where there is none.
 * `subtree` tells that the element opens others, which were skipped with it.
 *
 * @category models
 * @since 0.1.0
 */
export class OutcomeRow extends Schema.Class<OutcomeRow>("@fanout/core/JobStore/OutcomeRow")({
  fanOut: Schema.String,
  /** The element's cursor, encoded. */
  cursor: Schema.String,
  /** The element's key, as its task names it; for people. */
  key: Schema.String,
  payload: Schema.Json,
  /** What a retry needs to find the element in its source again; opaque to the store. */
  origin: Schema.Json,
  outcome: Outcome,
  attempt: Schema.Natural,
  at: Schema.Number
}) {}

/**
 * One line of a job's log. `seq` grows within the store.
 *
 * @category models
 * @since 0.1.0
 */
export class LogEntry extends Schema.Class<LogEntry>("@fanout/core/JobStore/LogEntry")({
  seq: Schema.Natural,
  at: Schema.Number,
  level: Schema.Literals(["Info", "Warning", "Error"]),
  message: Schema.String
}) {}

/**
 * What an owner records of one fan-out, all or nothing.
 *
 * **Details**
 *
 * `rows` replace rows of the same cursor; rows named in `cleared` are removed (a failed
 * element that a retry has done). `checkpoint` replaces the one stored under this fan-out's name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Flush {
  readonly token: number
  readonly fanOut: string
  readonly checkpoint: string
  readonly rows: ReadonlyArray<OutcomeRow>
  readonly cleared: ReadonlyArray<string>
  readonly progress: Progress
  /** Whether at least one ending is recorded by this flush; it resets `ownersLost`. */
  readonly acked: boolean
}

/**
 * Service that keeps jobs.
 *
 * @category services
 * @since 0.1.0
 */
export class JobStore extends Context.Service<JobStore, {
  /**
   * Stores a new job (revision 0), unless an active one of the same name has its idempotency key or
   * its exclusive key: then returns that one and stores nothing. Compare ids to tell which.
   *
   * Inside the caller's own transaction on the same database the job commits or vanishes with it.
   */
  readonly insert: (record: JobRecord) => Effect.Effect<JobRecord, JobStoreError>

  /** Reads one job; fails with `JobNotFound`. */
  readonly get: (id: JobId) => Effect.Effect<JobRecord, JobStoreError>

  /** Reads heartbeat and progress of one job; fails with `JobNotFound`. */
  readonly pulse: (id: JobId) => Effect.Effect<Pulse, JobStoreError>

  /** Reads jobs, the newest first; at most `limit`, created before `before` where that is given. */
  readonly list: (filter: {
    readonly states?: ReadonlyArray<JobState.Tag> | undefined
    readonly names?: ReadonlyArray<string> | undefined
    readonly ids?: ReadonlyArray<JobId> | undefined
    readonly limit: number
    readonly before?: number | undefined
  }) => Effect.Effect<ReadonlyArray<JobRecord>, JobStoreError>

  /**
   * Replaces a job if nobody has since it was read, raises its revision and writes the line to its log;
   * else fails with `JobConflict`. Heartbeat and progress are untouched.
   */
  readonly put: (record: JobRecord, line: string) => Effect.Effect<JobRecord, JobStoreError>

  /** Raises the heartbeat and returns what is asked of the job; fails with `Fenced` when the token is not the owner's. */
  readonly beat: (id: JobId, token: number) => Effect.Effect<Option.Option<Request>, JobStoreError>

  /** Reads what is asked of the job without renewing; fails with `Fenced` likewise. */
  readonly requested: (id: JobId, token: number) => Effect.Effect<Option.Option<Request>, JobStoreError>

  /**
   * Records what a fan-out has come to, in one transaction with `onCommit`; fails with `Fenced` when the
   * token is not the owner's, and writes nothing then.
   */
  readonly flush: <E = never, R = never>(
    id: JobId,
    flush: Flush,
    onCommit?: Effect.Effect<void, E, R>
  ) => Effect.Effect<void, JobStoreError | E, R>

  /** Reads the checkpoint stored under a name of the job. */
  readonly checkpoint: (id: JobId, name: string) => Effect.Effect<Option.Option<string>, JobStoreError>

  /** Stores a checkpoint under a name of the job; fenced like `flush`. */
  readonly saveCheckpoint: (
    id: JobId,
    options: { readonly token: number; readonly name: string; readonly checkpoint: string }
  ) => Effect.Effect<void, JobStoreError>

  /** Reads stored endings in the order in which they were recorded, at most `limit` behind `after` (0 at first). */
  readonly outcomes: (
    id: JobId,
    options: {
      readonly fanOut?: string | undefined
      readonly tags?: ReadonlyArray<Outcome["_tag"]> | undefined
      readonly after: number
      readonly limit: number
    }
  ) => Effect.Effect<ReadonlyArray<readonly [seq: number, row: OutcomeRow]>, JobStoreError>

  /** Counts the stored failed endings of a job. */
  readonly failures: (id: JobId) => Effect.Effect<number, JobStoreError>

  /** Appends a line to a job's log. A log keeps its newest 1,000 lines. */
  readonly log: (id: JobId, entry: Omit<LogEntry, "seq">) => Effect.Effect<void, JobStoreError>

  /** Reads lines of a job's log, oldest first, behind `after` (0 at first), at most `limit`. */
  readonly logs: (
    id: JobId,
    options: { readonly after: number; readonly limit: number }
  ) => Effect.Effect<ReadonlyArray<LogEntry>, JobStoreError>

  /** Removes finished jobs that finished before a time, with all that belongs to them; returns how many. */
  readonly prune: (finishedBefore: number) => Effect.Effect<number, JobStoreError>
}>()("@fanout/core/JobStore") {}
