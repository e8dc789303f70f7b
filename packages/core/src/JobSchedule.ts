/**
 * What is stored of a schedule, by which a job is started again and again.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { JobLimits } from "./JobRecord.ts"

/**
 * Schema for what becomes of ticks that nobody was there for: none of them is run, the latest one, or all of them, of
 * which the newest 100. A tick counts as missed a minute after its time.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Missed = Schema.Literals(["skip", "latest", "all"])

/**
 * Schedule as it is kept in a store. Times are milliseconds since the epoch.
 *
 * **Details**
 *
 * `cron` is an expression and `timeZone` a name or an offset, as Effect's `Cron` and `DateTime` take them. `job` to
 * `limits` are what each run gets. `nextAt` is the next tick that is not run yet. `revision` is 0 for a schedule that
 * was never stored, and raised by each change.
 *
 * @category models
 * @since 0.1.0
 */
export class JobSchedule extends Schema.Class<JobSchedule>("@fanout/core/JobSchedule")({
  name: Schema.NonEmptyString,
  cron: Schema.String,
  timeZone: Schema.String,
  missed: Missed,
  job: Schema.NonEmptyString,
  version: Schema.Natural,
  payload: Schema.Json,
  idempotencyKey: Schema.Option(Schema.String),
  exclusiveKey: Schema.Option(Schema.String),
  priority: Schema.Int,
  limits: JobLimits,
  nextAt: Schema.Finite,
  revision: Schema.Natural
}) {
  /**
   * Returns this schedule with some fields changed.
   *
   * @since 0.1.0
   */
  with(changes: Partial<ConstructorParameters<typeof JobSchedule>[0]>): JobSchedule {
    return new JobSchedule(Object.assign({}, this, changes))
  }
}

/**
 * How to schedule a job.
 *
 * **Details**
 *
 * `name` is unique in the store. `timeZone` is "UTC" by default, `missed` is `"latest"`, `priority` is 0, and
 * there are no `limits`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly name: string
  readonly cron: string
  readonly timeZone?: string
  readonly missed?: typeof Missed.Type
  readonly priority?: number
  readonly limits?: JobLimits
}
