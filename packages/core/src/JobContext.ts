/**
 * Information about the run of a job, for its program.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { JobId } from "./JobId.ts"
import type { OutcomeRow, Scheduled } from "./JobRecord.ts"
import type { JobStoreError } from "./JobStoreError.ts"
import type { Outcome } from "./Outcome.ts"

/**
 * Service that describes the run of the job whose program runs now. Tasks can't require the service, so nothing durable
 * starts inside of a task.
 *
 * @category services
 */
export class JobContext extends Context.Service<JobContext, {
  readonly id: JobId
  readonly name: string
  readonly version: number

  /** Counts from 1. A person who retries the job raises it. */
  readonly attempt: number

  /**
   * Every new owner of the job raises it. A number greater than 1 means that an earlier run may have left something.
   */
  readonly token: number

  /** The schedule that started the job, and the time of its tick. `None` if no schedule has started it. */
  readonly scheduled: Option.Option<Scheduled>

  /** Stored outcomes of the elements of this job, in the order in which they were recorded, in all of its runs. */
  readonly outcomes: (tags?: ReadonlyArray<Outcome["_tag"]>) => Stream.Stream<OutcomeRow, JobStoreError>

  /** Writes a line to the job's log. Fails if the job has another owner by now. */
  readonly log: (level: "Info" | "Warning" | "Error", message: string) => Effect.Effect<void, JobStoreError>

  /**
   * Stops this job at its next safe points and leaves it paused. `by` is the cause of the pause, a name that the
   * application chooses, such as `disk` for a full disk. `pause` dies if the name is empty, `person` or `parent`.
   * `message` is a sentence for people. The message is logged.
   */
  readonly pause: (by: string, message: string) => Effect.Effect<never>
}>()("@fanout/core/JobContext") {}
