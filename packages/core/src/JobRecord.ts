/**
 * What is stored of a job: its record, what its items came to, its log.
 *
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { JobId } from "./JobId.ts"
import * as JobState from "./JobState.ts"
import { Outcome } from "./Outcome.ts"
import { Owner } from "./OwnerLiveness.ts"
import type * as Progress from "./Progress.ts"

/**
 * Schema for who owns a running job. `token` is raised by every new owner.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Lease = Schema.Struct({ token: Schema.Natural, owner: Owner })

/**
 * Schema for what somebody asked of a running job, until its owner has done it. `PauseWithParent` is asked of the
 * children of a job that is paused: they go on with it. `Cancel` is asked of a queued job, too, for its next owner to
 * clean up after it.
 *
 * @category models
 * @since 0.1.0
 */
export const Request = Schema.Literals(["Pause", "PauseWithParent", "Cancel"])

/**
 * What somebody asked of a job.
 *
 * @category models
 * @since 0.1.0
 */
export type Request = typeof Request.Type

/**
 * Schema for the most that a job may use: tasks at the same time, and bytes that they move in a second.
 *
 * @category models
 * @since 0.1.0
 */
export const JobLimits = Schema.Struct({
  concurrency: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
  bytesPerSecond: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(1)))
})

/**
 * The most that a job may use; what is not there has no limit of its own.
 *
 * @category models
 * @since 0.1.0
 */
export type JobLimits = typeof JobLimits.Type

/**
 * How urgent a job is, and the most that it may use.
 *
 * **Details**
 *
 * `JobPriority.numbers` has the numbers of what people call `low`, `normal`, `high` and `critical`; 0, which is
 * `normal`, by default. A limit of `concurrency` is for the tasks of all its fan-outs together. It is beside their own
 * `concurrency` and the sizes of pools, so it can lower what runs at the same time, not raise it.
 *
 * @category models
 * @since 0.1.0
 */
export interface JobSettings {
  readonly priority?: number
  readonly limits?: JobLimits
}

/**
 * What is to be changed of that; `null` takes a limit away.
 *
 * @category models
 * @since 0.1.0
 */
export interface JobChanges {
  readonly priority?: number
  readonly limits?: { readonly [Limit in keyof JobLimits]?: JobLimits[Limit] | null }
}

/**
 * What an owner is told of its job, beside that it is still its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface Asked {
  readonly request: Option.Option<Request>
  readonly priority: number
  readonly limits: JobLimits
}

/**
 * Schema for whose child a job is: the job that started it, the name that it has there, and the attempt of that job,
 * and the try within it, that asked for it last.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Parent = Schema.Struct({
  id: JobId,
  name: Schema.String,
  attempt: Schema.Natural,
  tries: Schema.Natural
})

/**
 * Schema for how a finished job's program ended. Success and error are JSON, as `Schema.toCodecJson` of the job's
 * schemas gives it.
 *
 * **Details**
 *
 * `JobHandle.await` reads them. A `Defect` has the name of the error that was thrown, and where that was, as
 * `Outcome.Failure` has.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Exit = Schema.TaggedUnion({
  Success: { value: Schema.Json },
  Failure: { error: Schema.Json, message: Schema.String },
  Defect: {
    message: Schema.String,
    name: Schema.optionalKey(Schema.String),
    stack: Schema.optionalKey(Schema.String)
  },
  Timeout: { millis: Schema.Finite },
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
 * `revision` is 0 for a job that was never stored, and raised by `insert` and by every `put`.
 * `token` is the highest token any owner has had. `availableAt` is when a queued job may
 * be claimed. `ownersLost` counts owners lost in a row that had stored no row and changed no checkpoint.
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
  parent: Schema.Option(Parent),
  priority: Schema.Int,
  limits: JobLimits,
  state: JobState.JobState,
  exit: Schema.Option(Exit),
  request: Schema.Option(Request),
  lease: Schema.Option(Lease),
  token: Schema.Natural,
  ownersLost: Schema.Natural,
  createdAt: Schema.Finite,
  updatedAt: Schema.Finite,
  availableAt: Schema.Finite,
  finishedAt: Schema.Option(Schema.Finite),
  revision: Schema.Natural
}) {
  /**
   * What its owner is told of it.
   *
   * @since 0.1.0
   */
  get asked(): Asked {
    const { limits, priority, request } = this
    return { limits, priority, request }
  }

  /**
   * Returns this record with some fields changed.
   *
   * @since 0.1.0
   */
  with(changes: Partial<ConstructorParameters<typeof JobRecord>[0]>): JobRecord {
    return new JobRecord(Object.assign({}, this, changes))
  }
}

/**
 * What changes too often to be part of the record: the owner's heartbeat and the progress.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pulse {
  readonly beat: number
  readonly progress: Progress.Progress
}

/**
 * Stored ending of one element: everything that is not plain done, and that too where a fan-out keeps all. `payload`
 * is what a retry of a failed one needs, as JSON of its task's schema; `null` where there is none. What was skipped
 * because the element that opens it was not done has one row together, whose `outcome` says how many that were.
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
  at: Schema.Finite
}) {}

/**
 * Number of lines that the log of one job keeps.
 *
 * @category models
 * @since 0.1.0
 */
export const logLimit = 1000

/**
 * One line of a job's log. `seq` grows within the store.
 *
 * @category models
 * @since 0.1.0
 */
export class LogEntry extends Schema.Class<LogEntry>("@fanout/core/JobStore/LogEntry")({
  seq: Schema.Natural,
  at: Schema.Finite,
  level: Schema.Literals(["Info", "Warning", "Error"]),
  message: Schema.String
}) {}
