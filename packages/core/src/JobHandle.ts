/**
 * Stands for a job that was started, here or elsewhere.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { JobId } from "./JobId.ts"
import type { JobNotCompleted } from "./JobManagerError.ts"
import type { JobRecord, LogEntry, OutcomeRow } from "./JobRecord.ts"
import type { JobStoreError } from "./JobStoreError.ts"
import type { Progress } from "./Progress.ts"

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

  /**
   * Waits until the job is over, also in another process, and gives its success or its own error. Fails where this
   * process runs the job and its store takes no more: the job goes on once it does again.
   */
  readonly await: Effect.Effect<A, E | JobNotCompleted | JobStoreError>

  /** What happens from now on, the present state and progress first; ends when the job is over. */
  readonly watch: Stream.Stream<JobEvent, JobStoreError>
}
