/**
 * The stored parts of a job: its record, the outcomes of its elements, its log.
 */
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { JobId } from "./JobId.ts"
import * as JobState from "./JobState.ts"
import { Outcome } from "./Outcome.ts"
import { Owner } from "./OwnerLiveness.ts"
import type * as Progress from "./Progress.ts"

/**
 * Schema for the owner of a running job. Every new owner raises `token`. Another process may take the job when the
 * owner has not renewed the lease for `ttlMillis`. A lease without `ttlMillis` is of an earlier version, and is judged
 * by the time of the reader.
 *
 * @category schemas
 */
export const Lease = Schema.Struct({
  token: Schema.Natural,
  owner: Owner,
  ttlMillis: Schema.optionalKey(Schema.Finite)
})

/**
 * Schema for a request to a running job. The request stays until the owner has fulfilled it. A parent that is paused
 * sends `PauseWithParent` to its children; the children resume together with the parent. A queued job can have the
 * request `Cancel` as well: its next owner cleans up after it.
 *
 * @category models
 */
export const Request = Schema.Literals(["Pause", "PauseWithParent", "Cancel"])
export type Request = typeof Request.Type

/**
 * Schema for the limits of a job: tasks that run at the same time, and bytes per second that the tasks may move. A
 * missing field means that the job has no limit of its own.
 *
 * @category models
 */
export const JobLimits = Schema.Struct({
  concurrency: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
  bytesPerSecond: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(1)))
})
export type JobLimits = typeof JobLimits.Type

/**
 * Priority, limits and tags of a job. `priority` is 0 (`normal`) by default; `JobPriority.numbers` has the number of
 * each name. The limit `concurrency` counts the tasks of all the job's fan-outs together. The limit only lowers the
 * number of tasks that run at the same time: the `concurrency` of each fan-out and the pool sizes still apply. `tags`
 * are names by which `JobManager.list` finds the job. Children have no tags of their parent.
 *
 * @category models
 */
export interface JobSettings {
  readonly priority?: number
  readonly limits?: JobLimits
  readonly tags?: ReadonlyArray<string>
}

/**
 * How a job starts.
 *
 * **Details**
 *
 * - `runAt`: the time from which the job may run, by default now. A number is milliseconds since the epoch.
 * - `deadline`: the time by which the job must be over, across pauses, crashes, and retries of its tasks and of its
 *   own, by the wall clock of the process that runs it. At this time the owner stops the job, which fails with the exit
 *   `Deadline`. A try of the job's own `retry` that would begin later is not made: the job fails with its error. A job
 *   that is paused or queued then fails when it is claimed next. A retry by a person has no deadline.
 * - `ifOver`: what to do if the newest job of the same name and idempotency key is over. `"new"`, the default, starts a
 *   new job. `"existing"` gives that job. `"retry"` gives that job, and first retries a job that has failed or has
 *   failed elements; after a cancelled job it starts a new one. `"refuse"` fails with `AlreadyOver`.
 *
 * A job without an `idempotencyKey` has the JSON of its payload as key, but with `"new"` it has none: each such start
 * makes a job. An active job of the same name and key is given in each case, and keeps its deadline. With
 * `ifPaused: "resume"` a paused job goes on. By default it waits until somebody resumes it.
 *
 * @category models
 */
export interface StartOptions extends JobSettings {
  readonly runAt?: Date | number
  readonly deadline?: Date | number
  readonly ifOver?: "new" | "existing" | "retry" | "refuse"
  readonly ifPaused?: "wait" | "resume"
}

/**
 * Changes of a job's settings. `null` removes a limit.
 *
 * @category models
 */
export interface JobChanges {
  readonly priority?: number
  readonly limits?: { readonly [Limit in keyof JobLimits]?: JobLimits[Limit] | null }
}

/**
 * Request, priority and limits that an owner learns about its job.
 *
 * @category models
 */
export interface Asked {
  readonly request: Option.Option<Request>
  readonly priority: number
  readonly limits: JobLimits
}

/**
 * Schema for the parent of a child: the parent's id, the child's name in the parent, and the attempt and the try of the
 * parent that asked for the child last.
 *
 * @category schemas
 */
export const Parent = Schema.Struct({
  id: JobId,
  name: Schema.String,
  attempt: Schema.Natural,
  tries: Schema.Natural
})

/**
 * Schema for the schedule that started a job: the schedule's name, and the time of the tick in milliseconds since the
 * epoch.
 *
 * @category schemas
 */
export const Scheduled = Schema.Struct({ schedule: Schema.String, at: Schema.Finite })
export type Scheduled = typeof Scheduled.Type

/**
 * Schema for how the program of a finished job ended. Success and error are JSON, as `Schema.toCodecJson` of the job's
 * schemas encodes them; `JobHandle.await` decodes them. A `Defect` has the name and stack of the error, like
 * `Outcome.Failure`.
 *
 * @category schemas
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
  Deadline: { at: Schema.Finite },
  OwnerLost: { times: Schema.Natural }
})
export type Exit = typeof Exit.Type

/**
 * Job as the store keeps it. Times are milliseconds since the epoch, from `Clock`.
 *
 * **Details**
 *
 * - `revision` is 0 for a job that was never stored. `insert` and every `put` raise it.
 * - `token` is the highest token that an owner of the job has had.
 * - `availableAt` is the earliest time at which a queued job may be claimed, by the clock of the process that claims
 *   the job. It is 0 for a job that need not wait.
 * - `ownersLost` counts owners lost in a row that stored no row and changed no checkpoint.
 *
 * @category models
 */
export class JobRecord extends Schema.Class<JobRecord>("@fanout/core/JobStore/JobRecord")({
  id: JobId,
  name: Schema.NonEmptyString,
  version: Schema.Natural,
  payload: Schema.Json,
  idempotencyKey: Schema.Option(Schema.String),
  exclusiveKey: Schema.Option(Schema.String),
  parent: Schema.Option(Parent),
  scheduled: Schema.Option(Scheduled),
  tags: Schema.Array(Schema.NonEmptyString),
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
   * Request, priority and limits for the owner.
   */
  get asked(): Asked {
    const { limits, priority, request } = this
    return { limits, priority, request }
  }

  /**
   * Returns this record with some fields changed.
   */
  with(changes: Partial<ConstructorParameters<typeof JobRecord>[0]>): JobRecord {
    return new JobRecord(Object.assign({}, this, changes))
  }
}

/**
 * The owner's heartbeat and the job's progress. Both change too often to be part of the record.
 *
 * @category models
 */
export interface Pulse {
  readonly beat: number
  readonly progress: Progress.Progress
}

/**
 * Stored outcome of one element. An element that is done has a row only if its fan-out keeps `"all"`. All elements that
 * were skipped because their opening element was not done share one row; its `outcome` has their number. `payload` is
 * JSON of the task's schema, for a retry of a failed element; `null` if there is no payload.
 *
 * @category models
 */
export class OutcomeRow extends Schema.Class<OutcomeRow>("@fanout/core/JobStore/OutcomeRow")({
  fanOut: Schema.String,
  cursor: Schema.String,
  /** The element's key from its task, for people. */
  key: Schema.String,
  payload: Schema.Json,
  /** Data with which a retry finds the element in its source. The store does not read it. */
  origin: Schema.Json,
  outcome: Outcome,
  attempt: Schema.Natural,
  at: Schema.Finite
}) {}

/**
 * Number of lines that the log of one job keeps.
 *
 * @category models
 */
export const logLimit = 1000

/**
 * One line of a job's log. `seq` grows within the store; `at` is in milliseconds since the epoch.
 *
 * @category models
 */
export class LogEntry extends Schema.Class<LogEntry>("@fanout/core/JobStore/LogEntry")({
  seq: Schema.Natural,
  at: Schema.Finite,
  level: Schema.Literals(["Info", "Warning", "Error"]),
  message: Schema.String
}) {}
