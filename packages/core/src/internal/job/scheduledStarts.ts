/**
 * Stores schedules and starts their jobs: one job for each tick, for any number of processes.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import type * as Job from "../../Job.ts"
import { CronInvalid, JobManagerError, ScheduleNotFound } from "../../JobManagerError.ts"
import type { JobRecord } from "../../JobRecord.ts"
import { JobSchedule, type Options, type PausedBy, type Started, type Tick } from "../../JobSchedule.ts"
import type { JobStore } from "../../JobStore.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import { lineOf } from "../messageOf.ts"
import * as Numbers from "../numbers.ts"
import { activeTags, isToCancel } from "../store/request.ts"
import { dueAt, nextTick, type Ticks, ticksAfter, ticksLimit, ticksOf } from "../store/ticks.ts"
import { cancel, described, newRecord } from "./commands.ts"
import type { JobRuntime } from "./runtime.ts"

type Store = JobStore["Service"]

/** Schedules that are read at once, and active jobs of one schedule. */
const atOnce = 100

const invalid = ({ cron, name, timeZone }: JobSchedule, why: string) =>
  new JobManagerError({ reason: new CronInvalid({ schedule: name, cron, timeZone, why }) })

// --- Changes of schedules -------------------------------------------------------------------------------------------

/** What a schedule of the same name keeps. */
const kept = (found: JobSchedule | undefined) => ({
  nextAt: found?.nextAt ?? 0,
  waiting: found?.waiting ?? [],
  pausedAt: found?.pausedAt ?? Option.none(),
  pausedBy: found?.pausedBy ?? Option.none(),
  resumedAt: found?.resumedAt ?? Option.none(),
  lastAt: found?.lastAt ?? Option.none(),
  lastJob: found?.lastJob ?? Option.none(),
  revision: found?.revision ?? 0
})

/** Stores a schedule. A schedule with the same times keeps its next tick, and thus its missed ticks. */
export const schedule = Effect.fnUntraced(function*(
  runtime: JobRuntime,
  job: Job.Any,
  payload: unknown,
  { cron, failures, jitter = 0, missed = "latest", name, overlap = "start", timeZone = "UTC", ...settings }: Options
): Effect.fn.Return<void, JobManagerError | JobStoreError> {
  const { clock, store } = runtime
  const { name: ofJob, ...description } = yield* described(job, payload, settings)
  const given = {
    ...description,
    name,
    cron,
    timeZone,
    missed,
    overlap,
    job: ofJob,
    jitterMillis: Math.round(Numbers.finiteMillis(`The jitter of schedule "${name}"`, jitter)),
    failures: Option.map(
      Option.fromUndefinedOr(failures),
      (most) => Numbers.count(`The failures of schedule "${name}"`, most)
    )
  }
  while (true) {
    const found = Option.getOrUndefined(yield* store.schedule(name))
    const wanted = new JobSchedule({ ...given, ...kept(found) })
    const next = nextTick(wanted, yield* clock.currentTimeMillis)
    if (next._tag === "Failure") return yield* invalid(wanted, next.failure)
    if (found !== undefined && Equal.equals(found, wanted)) return
    const isSameTime = found?.cron === cron && found.timeZone === timeZone
    const timed = isSameTime ? wanted : wanted.with({ nextAt: next.success, waiting: [] })
    // What has failed before says nothing of a schedule that is new, or has other work.
    const isSameWork = found !== undefined && found.job === wanted.job &&
      Equal.equals([found.payload, found.failures], [wanted.payload, wanted.failures])
    const changed = isSameWork ? timed : timed.with({ resumedAt: Option.some(yield* clock.currentTimeMillis) })
    if (yield* store.putSchedule(changed, [])) return
  }
})

const find = Effect.fnUntraced(function*(store: Store, name: string) {
  const found = yield* store.schedule(name)
  if (Option.isSome(found)) return found.value
  return yield* new JobManagerError({ reason: new ScheduleNotFound({ schedule: name }) })
})

const paused = (schedule: JobSchedule, now: number, by: typeof PausedBy.Type): JobSchedule =>
  schedule.with({ pausedAt: Option.some(now), pausedBy: Option.some(by), waiting: [] })

export const pause = Effect.fnUntraced(function*({ clock, store }: JobRuntime, name: string) {
  while (true) {
    const found = yield* find(store, name)
    if (Option.isSome(found.pausedAt)) return
    if (yield* store.putSchedule(paused(found, yield* clock.currentTimeMillis, "person"), [])) return
  }
})

export const resume = Effect.fnUntraced(function*({ claimable, clock, store }: JobRuntime, name: string) {
  while (true) {
    const found = yield* find(store, name)
    const now = yield* clock.currentTimeMillis
    const next = nextTick(found, now)
    if (next._tag === "Failure") return yield* invalid(found, next.failure)
    const resumed = found.with({
      nextAt: next.success,
      waiting: [],
      pausedAt: Option.none(),
      pausedBy: Option.none(),
      resumedAt: Option.some(now)
    })
    if (yield* store.putSchedule(resumed, [])) return claimable.notifyUnsafe()
  }
})

export const nextTicks = Effect.fnUntraced(function*(
  { clock, store }: JobRuntime,
  schedule: string | JobSchedule,
  count: number
): Effect.fn.Return<ReadonlyArray<Tick>, JobManagerError | JobStoreError> {
  const wanted = Numbers.natural("The number of ticks", count)
  const found = typeof schedule === "string" ? yield* find(store, schedule) : schedule
  const now = yield* clock.currentTimeMillis
  const isToCome = Option.isNone(found.pausedAt) && found.waiting.length === 0 && dueAt(found) > now
  const ticks = ticksAfter(found, isToCome ? found.nextAt - 1 : now, wanted)
  return ticks._tag === "Failure" ? yield* invalid(found, ticks.failure) : ticks.success
})

// --- Jobs -----------------------------------------------------------------------------------------------------------

const recordOf = (runtime: JobRuntime, schedule: JobSchedule, at: number) =>
  Effect.map(
    newRecord(runtime, { ...schedule, name: schedule.job }),
    (record) => record.with({ scheduled: Option.some({ schedule: schedule.name, at }) })
  )

const withLast = (schedule: JobSchedule, record: JobRecord | undefined): JobSchedule =>
  record === undefined ? schedule : schedule.with({
    lastAt: Option.map(record.scheduled, ({ at }) => at),
    lastJob: Option.some(record.id)
  })

const activeJobs = (store: Store, { name }: JobSchedule, limit = atOnce) =>
  store.list({ schedule: name, states: activeTags, limit })

/** The last job of a schedule, while it has children that are not over: a cancelled job is over before they are. */
const lastParent = Effect.fnUntraced(function*(store: Store, { lastJob }: JobSchedule) {
  if (Option.isNone(lastJob)) return undefined
  const tags = yield* store.childTags(lastJob.value)
  return tags.some((tag) => activeTags.includes(tag)) ? lastJob.value : undefined
})

/** The job of a schedule that keeps `runNow` from starting another one. */
const inTheWay = Effect.fnUntraced(function*(store: Store, schedule: JobSchedule) {
  if (schedule.overlap === "start") return undefined
  const [active] = yield* activeJobs(store, schedule, 1)
  return active?.id ?? (yield* lastParent(store, schedule))
})

export const runNow = Effect.fnUntraced(function*(
  runtime: JobRuntime,
  name: string
): Effect.fn.Return<Started, JobManagerError | JobStoreError> {
  const { claimable, clock, store } = runtime
  while (true) {
    const found = yield* find(store, name)
    const active = yield* inTheWay(store, found)
    if (active !== undefined) return { id: active, started: false }
    const record = yield* recordOf(runtime, found, yield* clock.currentTimeMillis)
    if (!(yield* store.putSchedule(withLast(found, record), [record]))) continue
    claimable.notifyUnsafe()
    const stored = yield* store.schedule(name)
    const id = Option.getOrElse(Option.flatMap(stored, ({ lastJob }) => lastJob), () => record.id)
    return { id, started: id === record.id }
  }
})

/** Whether as many jobs of a schedule as it allows have failed in a row, since somebody has resumed it. */
const isFailing = Effect.fnUntraced(function*(store: Store, { failures, name, resumedAt }: JobSchedule) {
  if (Option.isNone(failures)) return false
  const over = yield* store.list({
    schedule: name,
    states: ["Completed", "CompletedWithErrors", "Failed"],
    since: Option.getOrUndefined(resumedAt),
    limit: failures.value
  })
  return over.length === failures.value && over.every(({ state }) => state._tag === "Failed")
})

/** Pauses the schedule of a job that has ended, if too many of its jobs have failed. */
export const pauseIfFailing = Effect.fnUntraced(function*({ clock, store }: JobRuntime, { scheduled }: JobRecord) {
  if (Option.isNone(scheduled)) return
  const found = Option.getOrUndefined(yield* store.schedule(scheduled.value.schedule))
  if (found === undefined || Option.isSome(found.pausedAt) || !(yield* isFailing(store, found))) return
  // Somebody who has changed the schedule in the meantime is right: its next tick looks again.
  yield* store.putSchedule(paused(found, yield* clock.currentTimeMillis, "failures"), [])
})

/** What becomes of a schedule that is due. */
interface Turn {
  readonly schedule: JobSchedule
  /** The ticks that start their jobs. */
  readonly starts: ReadonlyArray<number>
  readonly cancels?: ReadonlyArray<JobRecord>
}

const turnOf = Effect.fnUntraced(function*(
  store: Store,
  schedule: JobSchedule,
  now: number,
  { due, isMissed, nextAt }: Ticks
): Effect.fn.Return<Turn, JobStoreError> {
  const { missed, overlap, waiting } = schedule
  const all = [...waiting, ...due]
  const [latest] = all.slice(-1)
  // A clock that was set back makes no tick come again.
  const moved = schedule.with({ nextAt: due.length === 0 ? Math.max(nextAt, schedule.nextAt) : nextAt, waiting: [] })
  if (latest === undefined) return { schedule: moved, starts: [] }
  if (yield* isFailing(store, schedule)) return { schedule: paused(moved, now, "failures"), starts: [] }
  if (overlap === "start") return { schedule: moved, starts: all }
  const active = yield* activeJobs(store, schedule)
  const isFree = active.length === 0 && (yield* lastParent(store, schedule)) === undefined
  const runsAll = missed === "all" && overlap !== "cancel"
  // Only ticks that were missed wait where a tick skips, and only if all of them are to run.
  const skips = overlap === "skip" && !(runsAll && isMissed)
  const ticks = !skips ? all : isFree && waiting.length === 0 ? [latest] : waiting
  const kept = ticks.slice(runsAll ? -ticksLimit : -1)
  if (isFree) return { schedule: moved.with({ waiting: kept.slice(1) }), starts: kept.slice(0, 1) }
  // Another process may have started the job of the latest tick by now, and that one stays.
  const isEarlier = (job: JobRecord) => Option.exists(job.scheduled, ({ at }) => at < latest)
  const cancels = overlap === "cancel" ? active.filter((job) => isEarlier(job) && !isToCancel(job)) : []
  return { schedule: moved.with({ waiting: kept }), starts: [], cancels }
})

/** Does what is due for one schedule. One transaction stores the jobs and the schedule. */
const runOne = Effect.fnUntraced(function*(
  runtime: JobRuntime,
  found: JobSchedule,
  now: number,
  leave: (why: string) => Effect.Effect<void>
) {
  const { claimable, store } = runtime
  const ticks = ticksOf(found, now)
  if (ticks._tag === "Failure") return yield* leave(ticks.failure)
  const { cancels = [], schedule, starts } = yield* turnOf(store, found, now, ticks.success)
  const records = yield* Effect.forEach(starts, (at) => recordOf(runtime, schedule, at))
  const isChanged = records.length > 0 || !Equal.equals(schedule, found)
  if (isChanged) {
    const isStored = yield* store.putSchedule(withLast(schedule, records.at(-1)), records, now).pipe(
      Effect.catchReason("JobStoreError", "StorageFailure", (reason, error) =>
        // The store can't read the active job that has the key of the new job.
        reason.problem === "Corrupt" ? Effect.as(leave(reason.message), false) : Effect.fail(error))
    )
    if (!isStored) return
    if (records.length > 0) claimable.notifyUnsafe()
  }
  for (const { id } of cancels) {
    yield* cancel(runtime, id).pipe(
      // It has ended meanwhile, or was even removed.
      Effect.catchReason("JobManagerError", "NotAllowed", () => Effect.void),
      Effect.catchReason("JobStoreError", "JobNotFound", () => Effect.void),
      Effect.catchTag("JobManagerError", Effect.die)
    )
  }
})

/** Does what is due for schedules of the given job names, unless another process has done so. */
export const runSchedules = Effect.fnUntraced(function*(
  runtime: JobRuntime,
  jobs: "all" | ReadonlySet<string>,
  warn: (message: string) => Effect.Effect<void>
): Effect.fn.Return<void, JobStoreError> {
  const { clock, store } = runtime
  const now = yield* clock.currentTimeMillis
  // A schedule that can't be run stays due and comes first again, so the next read is larger.
  for (let limit = atOnce;; limit *= 2) {
    const found = yield* store.dueSchedules({ now, jobs: jobs === "all" ? undefined : Array.from(jobs), limit })
    for (const schedule of found) {
      const leave = (why: string) => warn(`Schedule "${schedule.name}" is left as it is: ${why}`)
      yield* Effect.catchDefect(runOne(runtime, schedule, now, leave), (defect) => leave(lineOf(defect)))
    }
    if (found.length < limit) return
  }
})
