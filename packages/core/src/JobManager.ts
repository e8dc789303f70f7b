/**
 * Accepts, runs, pauses, resumes, cancels, retries, lists and watches jobs.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type * as Job from "./Job.ts"
import { JobId } from "./JobId.ts"
import type * as JobState from "./JobState.ts"
import type { JobRecord, LogEntry, OutcomeRow } from "./JobStore.ts"
import type { JobStoreError } from "./JobStoreError.ts"
import type { Outcome } from "./Outcome.ts"
import type { Progress } from "./Progress.ts"

/**
 * Reason: the job's state does not allow what was asked.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotAllowed extends Schema.TaggedError<NotAllowed>("@fanout/core/JobManager/NotAllowed")("NotAllowed", {
  id: JobId,
  state: Schema.String,
  action: Schema.String
}) {
  override get message(): string {
    return `Job ${this.id} is ${this.state}: it can't be ${this.action}`
  }
}

/**
 * Reason: an active job of the same name holds the same exclusive key for other work.
 *
 * @category errors
 * @since 0.1.0
 */
export class ActiveJobDiffers
  extends Schema.TaggedError<ActiveJobDiffers>("@fanout/core/JobManager/ActiveJobDiffers")("ActiveJobDiffers", {
    id: JobId,
    name: Schema.String
  })
{
  override get message(): string {
    return `Job ${this.id} (${this.name}) works on the same things with other options; let it end, or cancel it first`
  }
}

/**
 * Error of what was asked of a job.
 *
 * @category errors
 * @since 0.1.0
 */
export class JobManagerError
  extends Schema.TaggedError<JobManagerError>("@fanout/core/JobManagerError")("JobManagerError", {
    reason: Schema.Union([NotAllowed, ActiveJobDiffers])
  })
{
  override get message(): string {
    return this.reason.message
  }
}

/**
 * Error of `JobHandle.await` where the job ended without success and without its own typed error: it was
 * cancelled, died, took too long, or lost its owners.
 *
 * @category errors
 * @since 0.1.0
 */
export class JobNotCompleted
  extends Schema.TaggedError<JobNotCompleted>("@fanout/core/JobManager/JobNotCompleted")("JobNotCompleted", {
    id: JobId,
    state: Schema.String,
    why: Schema.String
  })
{
  override get message(): string {
    return `Job ${this.id} is ${this.state}: ${this.why}`
  }
}

/**
 * What a watcher sees of a job. The same from this process and from another; only what is recorded.
 *
 * @category models
 * @since 0.1.0
 */
export type JobEvent =
  | { readonly _tag: "State"; readonly record: JobRecord }
  | { readonly _tag: "Progress"; readonly progress: Progress }
  | { readonly _tag: "Item"; readonly row: OutcomeRow }
  | { readonly _tag: "Log"; readonly entry: LogEntry }

/**
 * A started job.
 *
 * @category models
 * @since 0.1.0
 */
export interface JobHandle<out A, out E> {
  readonly id: JobId

  /** Whether this start made the job, or found an active one with the same idempotency key. */
  readonly started: boolean

  /** Waits until the job is over, also in another process, and gives its success or its own error. */
  readonly await: Effect.Effect<A, E | JobNotCompleted | JobStoreError>

  /** What happens from now on, the present state and progress first; ends when the job is over. */
  readonly watch: Stream.Stream<JobEvent, JobStoreError>
}

/**
 * Which jobs a manager runs: all that it has programs for, those of some names, single ones, or none.
 *
 * @category models
 * @since 0.1.0
 */
export type Claim = "all" | "none" | { readonly names: ReadonlyArray<string> } | { readonly ids: ReadonlyArray<JobId> }

/**
 * Service that looks after jobs.
 *
 * **Details**
 *
 * What is asked of a job that another process runs reaches it through the store, within 250 ms.
 *
 * @category services
 * @since 0.1.0
 */
export class JobManager extends Context.Service<JobManager, {
  /** Accepts a job. In the caller's transaction on the same database it commits or vanishes with it. */
  readonly start: <N extends string, P extends Schema.Top, S extends Schema.Top, E extends Schema.Top>(
    job: Job.Any & { readonly name: N; readonly payload: P; readonly success: S; readonly error: E },
    payload: P["Type"],
    options?: { readonly priority?: number }
  ) => Effect.Effect<JobHandle<S["Type"], E["Type"]>, JobManagerError | JobStoreError>

  /** Finds a job that was started before. Its success and error are those of the given definition. */
  readonly attach: <N extends string, P extends Schema.Top, S extends Schema.Top, E extends Schema.Top>(
    job: Job.Any & { readonly name: N; readonly payload: P; readonly success: S; readonly error: E },
    id: JobId
  ) => Effect.Effect<JobHandle<S["Type"], E["Type"]>, JobStoreError>

  /** Adds single jobs to those that this manager runs. */
  readonly claim: (id: JobId) => Effect.Effect<void>

  readonly get: (id: JobId) => Effect.Effect<JobRecord, JobStoreError>
  readonly progress: (id: JobId) => Effect.Effect<Progress, JobStoreError>
  readonly list: (filter?: {
    readonly states?: ReadonlyArray<JobState.Tag>
    readonly names?: ReadonlyArray<string>
    readonly limit?: number
  }) => Effect.Effect<ReadonlyArray<JobRecord>, JobStoreError>

  /** Stored endings of a job's items, in the order in which they were recorded. */
  readonly outcomes: (id: JobId, tags?: ReadonlyArray<Outcome["_tag"]>) => Stream.Stream<OutcomeRow, JobStoreError>
  readonly logs: (id: JobId) => Stream.Stream<LogEntry, JobStoreError>
  readonly watch: (id: JobId) => Stream.Stream<JobEvent, JobStoreError>

  /** Asks a queued or running job to stop at its next safe points and wait. */
  readonly pause: (id: JobId) => Effect.Effect<void, JobManagerError | JobStoreError>
  /** Lets a paused job go on. Takes back a pause that its owner has not come to yet. */
  readonly resume: (id: JobId) => Effect.Effect<void, JobManagerError | JobStoreError>
  readonly cancel: (id: JobId) => Effect.Effect<void, JobManagerError | JobStoreError>
  /** Runs the failed items of a finished job again, or a failed program. */
  readonly retry: (id: JobId) => Effect.Effect<void, JobManagerError | JobStoreError>
  /** Removes jobs that finished before a time (milliseconds since the epoch); returns how many. */
  readonly prune: (finishedBefore: number) => Effect.Effect<number, JobStoreError>

  /** Stops accepting and claiming, stops what runs with `Shutdown` and waits until it is recorded. */
  readonly shutdown: Effect.Effect<void>
}>()("@fanout/core/JobManager") {}

