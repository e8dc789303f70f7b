/**
 * Stored schedule, which starts a job again and again.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { JobId } from "./JobId.ts"
import { JobLimits, type JobSettings } from "./JobRecord.ts"

/**
 * Schema for what happens to missed ticks: none of them runs, the latest one, or all of them, at most the newest 100. A
 * tick counts as missed a minute after its time.
 *
 * @category schemas
 */
export const Missed = Schema.Literals(["skip", "latest", "all"])

/**
 * Schema for what a tick does while a job of the schedule is active, that is queued, running or paused, or has children
 * that are:
 *
 * - `"start"`: it starts its job all the same, unless an active job has one of the keys of that job.
 * - `"skip"`: it starts nothing. Of several ticks that are due at once, the latest one starts its job. Missed ticks
 *   wait in turn where `missed` is `"all"`, and no other tick starts its job before them.
 * - `"queue"`: it waits until no job of the schedule is active. Of the ticks that wait, the latest one is kept; all of
 *   them, at most the newest 100, where `missed` is `"all"`.
 * - `"cancel"`: it cancels that job, and starts its own once the other one is over. Of several ticks that are due at
 *   once, the latest one does.
 *
 * @category schemas
 */
export const Overlap = Schema.Literals(["start", "skip", "queue", "cancel"])

/**
 * Schema for who has paused a schedule: a person, or the manager since too many of its jobs have failed.
 *
 * @category schemas
 */
export const PausedBy = Schema.Literals(["person", "failures"])

/** Key that a schedule lacks that an earlier version has stored. */
const later = <S extends Schema.Top>(schema: S, before: S["Type"]) =>
  schema.pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed(before)))

const optional = <S extends Schema.Top>(schema: S) => later(Schema.Option(schema), Option.none())

/**
 * Schedule as the store keeps it. Times are milliseconds since the epoch.
 *
 * **Details**
 *
 * - `cron` is an expression of Effect's `Cron`, or one of `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly`.
 *   `timeZone` is a name or an offset, as Effect's `DateTime` takes it.
 * - Each started job gets the fields from `job` to `tags`.
 * - `nextAt` is the next tick that has not run. A tick starts its job up to `jitterMillis` later, and before the next
 *   tick: always as much later for the same name and tick.
 * - `waiting` are the ticks that wait for a job of an earlier one.
 * - `failures`: after so many failed jobs in a row, none of which began before `resumedAt`, the schedule is paused.
 * - `pausedAt` and `pausedBy` tell since when a schedule is paused, and why.
 * - `lastAt` is the tick that has run last, or the time of a later `runSchedule`, and `lastJob` is its job.
 * - `revision` is 0 for a schedule that was never stored. Each change raises it.
 *
 * @category models
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
  overlap: later(Overlap, "start"),
  jitterMillis: later(Schema.Natural, 0),
  failures: optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
  waiting: later(Schema.Array(Schema.Finite), []),
  pausedAt: optional(Schema.Finite),
  pausedBy: optional(PausedBy),
  resumedAt: optional(Schema.Finite),
  lastAt: optional(Schema.Finite),
  lastJob: optional(JobId),
  revision: Schema.Natural
}) {
  /**
   * Returns this schedule with some fields changed.
   */
  with(changes: Partial<ConstructorParameters<typeof JobSchedule>[0]>): JobSchedule {
    return new JobSchedule(Object.assign({}, this, changes))
  }
}

/**
 * Options of a schedule, and the settings of the jobs that it starts.
 *
 * **Details**
 *
 * - `name` is unique in the store.
 * - `timeZone` is `"UTC"` by default, `missed` is `"latest"`, and `overlap` is `"start"`.
 * - `jitter`: a tick starts its job at most so much later, in order that not all schedules start theirs at once.
 * - `failures`: after so many failed jobs in a row, the schedule is paused. By default it goes on.
 *
 * @category models
 */
export interface Options extends JobSettings {
  readonly name: string
  readonly cron: string
  readonly timeZone?: string
  readonly missed?: typeof Missed.Type
  readonly overlap?: typeof Overlap.Type
  readonly jitter?: Duration.Input
  readonly failures?: number
}

/**
 * Tick of a schedule, and the time at which its job starts.
 *
 * @category models
 */
export interface Tick {
  readonly at: number
  readonly startsAt: number
}

/**
 * Job that `runSchedule` has started. `started` is `false` for one that was active already.
 *
 * @category models
 */
export interface Started {
  readonly id: JobId
  readonly started: boolean
}
