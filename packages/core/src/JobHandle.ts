/**
 * Handle of a job that was started, in this process or another.
 */
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { JobId } from "./JobId.ts"
import type { JobManagerError, JobNotCompleted } from "./JobManagerError.ts"
import type { JobRecord, LogEntry, OutcomeRow } from "./JobRecord.ts"
import type { JobStatus } from "./JobStatus.ts"
import type { JobStoreError } from "./JobStoreError.ts"
import type { Progress } from "./Progress.ts"

/**
 * Event of a watched job. Every process gets the same events, and only of recorded changes.
 *
 * @category models
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
 */
export interface JobHandle<out A, out E> {
  readonly id: JobId

  /** Whether this start made the job. `false` for an active job with the same idempotency key, and after `attach`. */
  readonly started: boolean

  /**
   * Waits until the job is over, in whichever process it runs, and returns its success or fails with its own error.
   * Fails with `JobStoreError` if this process runs the job and the store accepts no writes, or if this process could
   * claim no jobs for two seconds. The job goes on later.
   */
  readonly await: Effect.Effect<A, E | JobNotCompleted | JobStoreError>

  /**
   * Events from now on, first the present state and progress. The stream ends when the job is over, and fails where
   * `await` fails with `JobStoreError`.
   */
  readonly watch: Stream.Stream<JobEvent, JobStoreError>

  /** Looks at how far the job is. */
  readonly status: Effect.Effect<JobStatus, JobStoreError>

  /** The status now, and after each change, with rates. The stream ends when the job and its children are over. */
  readonly changes: Stream.Stream<JobStatus, JobStoreError>

  /** See `JobManager.pause`, `resume`, `cancel`, `abandon` and `retry`. */
  readonly pause: Effect.Effect<void, JobManagerError | JobStoreError>
  readonly resume: Effect.Effect<void, JobManagerError | JobStoreError>
  readonly cancel: Effect.Effect<void, JobManagerError | JobStoreError>
  readonly abandon: Effect.Effect<void, JobManagerError | JobStoreError>
  readonly retry: Effect.Effect<void, JobManagerError | JobStoreError>
}
