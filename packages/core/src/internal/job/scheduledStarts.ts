/**
 * Stores schedules and starts their jobs: one job for each tick, for any number of processes.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import type * as Job from "../../Job.ts"
import { CronInvalid, JobManagerError } from "../../JobManagerError.ts"
import { JobSchedule, type Options } from "../../JobSchedule.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import { described, newRecord } from "./commands.ts"
import type { JobRuntime } from "./runtime.ts"
import { nextTick, ticksOf } from "./ticks.ts"

/** Schedules that are read at once. */
const atOnce = 100

/** Stores a schedule. A schedule with the same times keeps its next tick, and thus its missed ticks. */
export const schedule = Effect.fnUntraced(function*(
  runtime: JobRuntime,
  job: Job.Any,
  payload: unknown,
  { cron, missed = "latest", name, timeZone = "UTC", ...settings }: Options
): Effect.fn.Return<void, JobManagerError | JobStoreError> {
  const { clock, store } = runtime
  const { name: ofJob, ...description } = yield* described(job, payload, settings)
  while (true) {
    const found = Option.getOrUndefined(yield* store.schedule(name))
    const kept = { nextAt: found?.nextAt ?? 0, revision: found?.revision ?? 0 }
    const wanted = new JobSchedule({ ...description, job: ofJob, name, cron, timeZone, missed, ...kept })
    const next = nextTick(wanted, yield* clock.currentTimeMillis)
    if (next._tag === "Failure") {
      const reason = new CronInvalid({ schedule: name, cron, timeZone, why: next.failure })
      return yield* new JobManagerError({ reason })
    }
    if (found !== undefined && Equal.equals(found, wanted)) return
    const isSameTime = found?.cron === cron && found.timeZone === timeZone
    if (yield* store.putSchedule(isSameTime ? wanted : wanted.with({ nextAt: next.success }), [])) return
  }
})

/**
 * Starts the due jobs of schedules for the given job names. One transaction stores the jobs and the schedule's next
 * tick, unless another process has done so.
 */
export const runSchedules = Effect.fnUntraced(function*(
  runtime: JobRuntime,
  jobs: "all" | ReadonlySet<string>,
  warn: (message: string) => Effect.Effect<void>
): Effect.fn.Return<void, JobStoreError> {
  const { claimable, clock, store } = runtime
  const now = yield* clock.currentTimeMillis
  // A schedule that can't be run stays due and comes first again, so the next read is larger.
  for (let limit = atOnce;; limit *= 2) {
    const found = yield* store.dueSchedules({ now, jobs: jobs === "all" ? undefined : Array.from(jobs), limit })
    for (const schedule of found) {
      const leave = (why: string) => warn(`Schedule "${schedule.name}" is left as it is: ${why}`)
      const ticks = ticksOf(schedule, now)
      if (ticks._tag === "Failure") {
        yield* leave(ticks.failure)
        continue
      }
      const { due, nextAt } = ticks.success
      const records = yield* Effect.forEach(
        due,
        (at) =>
          Effect.map(
            newRecord(runtime, { ...schedule, name: schedule.job }),
            (record) => record.with({ scheduled: Option.some({ schedule: schedule.name, at }) })
          )
      )
      const isStored = yield* store.putSchedule(schedule.with({ nextAt }), records, now).pipe(
        Effect.catchReason("JobStoreError", "StorageFailure", (reason, error) =>
          // The store can't read the active job that has the key of the new job.
          reason.problem === "Corrupt" ? Effect.as(leave(reason.message), false) : Effect.fail(error))
      )
      if (isStored) claimable.notifyUnsafe()
    }
    if (found.length < limit) return
  }
})
