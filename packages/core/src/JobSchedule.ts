/**
 * Stored schedule, which starts a job again and again.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { JobLimits, type JobSettings } from "./JobRecord.ts"

/**
 * Schema for what happens to missed ticks: none of them runs, the latest one, or all of them, at most the newest 100. A
 * tick counts as missed a minute after its time.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Missed = Schema.Literals(["skip", "latest", "all"])

/**
 * Schedule as the store keeps it. Times are milliseconds since the epoch.
 *
 * **Details**
 *
 * `cron` is an expression of Effect's `Cron`. `timeZone` is a name or an offset, as Effect's `DateTime` takes it. Each
 * started job gets the fields from `job` to `tags`. `nextAt` is the next tick that has not run. `revision` is 0 for a
 * schedule that was never stored. Each change raises it.
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
  // A schedule that an earlier version has stored has no tags.
  tags: Schema.Array(Schema.NonEmptyString).pipe(Schema.withDecodingDefaultKey(Effect.succeed([]))),
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
 * Options of a schedule, and the settings of the jobs that it starts. `name` is unique in the store. By default,
 * `timeZone` is `"UTC"` and `missed` is `"latest"`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends JobSettings {
  readonly name: string
  readonly cron: string
  readonly timeZone?: string
  readonly missed?: typeof Missed.Type
}
