/**
 * What the program of a job knows about its own run.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { JobId } from "./JobId.ts"
import type { JobStoreError } from "./JobStoreError.ts"

/**
 * Service that describes the run of the job whose program runs now. Tasks can't require it, so nothing durable
 * starts inside of a task.
 *
 * @category services
 * @since 0.1.0
 */
export class JobContext extends Context.Service<JobContext, {
  readonly id: JobId
  readonly name: string
  readonly version: number

  /** 1 at first; raised when somebody retries the job. */
  readonly attempt: number

  /** Raised with every new owner of the job, so greater than 1 means that an earlier run may have left something. */
  readonly token: number

  /** Writes a line to the job's log; fails where the job has another owner by now. */
  readonly log: (level: "Info" | "Warning" | "Error", message: string) => Effect.Effect<void, JobStoreError>

  /**
   * Stops this job at its next safe points and leaves it paused, resumable. `by` is what pauses it, such as `disk`
   * where that is full: a name that the application chooses. Dies where the name is empty, `person` or `parent`.
   * `message` is a sentence for people, which is logged.
   */
  readonly pause: (by: string, message: string) => Effect.Effect<never>
}>()("@fanout/core/JobContext") {}
