/**
 * How far a job is: its state, its counts, its speed, and the time that it still needs.
 */
import type * as Option from "effect/Option"
import type { JobId } from "./JobId.ts"
import type { JobRecord } from "./JobRecord.ts"
import type { StateCounts } from "./JobStore.ts"
import type { JobTasks } from "./JobTasks.ts"
import type { Owner } from "./OwnerLiveness.ts"
import type { Progress } from "./Progress.ts"

/**
 * Job of a list. `isOwnerDead` tells that the job runs, and that its process is dead, or its machine was restarted:
 * nobody works on the job until another process takes it over. It is `false` where this process can't see the owner.
 *
 * @category models
 */
export interface JobOverview {
  readonly record: JobRecord
  readonly progress: Progress
  readonly isOwnerDead: boolean
}

/**
 * Process that runs jobs. `pools`, `threads` and `workers` are as one of these jobs has told within the last second,
 * and empty where none of them has told yet.
 *
 * @category models
 */
export interface JobProcess {
  readonly owner: Owner
  readonly jobs: ReadonlyArray<JobId>
  readonly pools: JobTasks["pools"]
  readonly threads: JobTasks["threads"]
  readonly workers: JobTasks["workers"]
}

/**
 * One look at a job.
 *
 * **Details**
 *
 * - `items` counts the elements that have ended: done, failed and skipped ones. `total` is the number of all elements,
 *   if the job has set it by `Progress.total("items", n)`.
 * - `children` are the numbers of the job's children, by state.
 * - `rates` are per second, over the last ten seconds: of `items`, and of each unit such as `bytes`. The owner takes
 *   them each second, so all processes see the same. A job that does not run has none.
 * - `remainingMillis` is the time that is left at the present rate. It is known if the job runs, has a rate, and has a
 *   total: of `bytes`, or else of `items`.
 *
 * @category models
 */
export interface JobStatus extends JobOverview {
  readonly items: number
  readonly children: StateCounts
  readonly total: Option.Option<number>
  readonly rates: Readonly<Record<string, number>>
  readonly remainingMillis: Option.Option<number>
}
