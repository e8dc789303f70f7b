/**
 * Accepts, runs, pauses, resumes, cancels, retries, lists and watches jobs.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { claimJobs } from "./internal/job/claims.ts"
import * as Commands from "./internal/job/commands.ts"
import { Places } from "./internal/job/places.ts"
import { Changes, changeWithin, type JobRuntime, type Runnable } from "./internal/job/runtime.ts"
import { schedule } from "./internal/job/scheduledStarts.ts"
import { logsOf, outcomesOf, watchJob } from "./internal/job/watch.ts"
import { programKey } from "./internal/jobProgram.ts"
import type * as Job from "./Job.ts"
import type { JobEvent, JobHandle } from "./JobHandle.ts"
import type { JobId } from "./JobId.ts"
import { JobManagerError, ShuttingDown } from "./JobManagerError.ts"
import type { JobSchedule, Options as ScheduleOptions } from "./JobSchedule.ts"
import {
  type JobChanges,
  type JobRecord,
  type JobSettings,
  JobStore,
  type ListFilter,
  type LogEntry,
  type OutcomeRow,
  type Unreadable
} from "./JobStore.ts"
import type { JobStoreError } from "./JobStoreError.ts"
import type { Outcome } from "./Outcome.ts"
import { OwnerLiveness } from "./OwnerLiveness.ts"
import { Pools } from "./Pools.ts"
import type { Progress } from "./Progress.ts"

export type { JobEvent, JobHandle } from "./JobHandle.ts"
export {
  ActiveJobDiffers,
  CronInvalid,
  JobManagerError,
  JobNotCompleted,
  NotAllowed,
  ShuttingDown
} from "./JobManagerError.ts"

/**
 * Which jobs a manager runs: all that it has programs for, those of some names, single ones, or none.
 *
 * @category models
 * @since 0.1.0
 */
export type Claim = "all" | "none" | { readonly names: ReadonlyArray<string> } | { readonly ids: ReadonlyArray<JobId> }

/**
 * Service that looks after jobs.
 *
 * **Details**
 *
 * What is asked of a job that another process runs reaches it through the store, within 250 ms.
 *
 * @category services
 * @since 0.1.0
 */
export class JobManager extends Context.Service<JobManager, {
  /** Accepts a job. In the caller's transaction on the same database it commits or vanishes with it. */
  readonly start: <N extends string, P extends Schema.Top, S extends Schema.Top, E extends Schema.Top>(
    job: Job.Any & { readonly name: N; readonly payload: P; readonly success: S; readonly error: E },
    payload: P["Type"],
    options?: JobSettings
  ) => Effect.Effect<JobHandle<S["Type"], E["Type"]>, JobManagerError | JobStoreError>

  /** Finds a job that was started before. Its success and error are those of the given definition. */
  readonly attach: <N extends string, P extends Schema.Top, S extends Schema.Top, E extends Schema.Top>(
    job: Job.Any & { readonly name: N; readonly payload: P; readonly success: S; readonly error: E },
    id: JobId
  ) => Effect.Effect<JobHandle<S["Type"], E["Type"]>, JobStoreError>

  /** Adds single jobs to those that this manager runs. Their children are run here, too. */
  readonly claim: (id: JobId) => Effect.Effect<void>

  readonly get: (id: JobId) => Effect.Effect<JobRecord, JobStoreError>
  readonly progress: (id: JobId) => Effect.Effect<Progress, JobStoreError>
  /**
   * Lists jobs, the newest first, and no more than `limit`, which is 100 by default: where as many come there may be
   * others. These come with the last one as `before`. With a `parent` only its children are listed, without one they
   * are among the others.
   */
  readonly list: (filter?: Partial<ListFilter>) => Effect.Effect<ReadonlyArray<JobRecord>, JobStoreError>
  /** Lists the jobs that `list` leaves out, with the same filter, because they can't be read. */
  readonly unreadable: (filter?: Partial<ListFilter>) => Effect.Effect<ReadonlyArray<Unreadable>, JobStoreError>

  /** Stored endings of a job's items, in the order in which they were recorded. */
  readonly outcomes: (id: JobId, tags?: ReadonlyArray<Outcome["_tag"]>) => Stream.Stream<OutcomeRow, JobStoreError>
  readonly logs: (id: JobId) => Stream.Stream<LogEntry, JobStoreError>
  readonly watch: (id: JobId) => Stream.Stream<JobEvent, JobStoreError>

  /** Asks a queued or running job to stop at its next safe points and wait. */
  readonly pause: (id: JobId) => Effect.Effect<void, JobManagerError | JobStoreError>
  /** Lets a paused job go on. Takes back a pause that its owner has not come to yet. */
  readonly resume: (id: JobId) => Effect.Effect<void, JobManagerError | JobStoreError>
  /**
   * Gives a job up that is not over, or has failed. Its owner cleans up after it, or the next process that claims it;
   * it is cancelled once that has been done.
   */
  readonly cancel: (id: JobId) => Effect.Effect<void, JobManagerError | JobStoreError>
  /**
   * Changes how urgent a job is and how much it may use, also while it runs. What is not given stays. Its children that
   * are not over are set to the same.
   */
  readonly set: (id: JobId, changes: JobChanges) => Effect.Effect<void, JobManagerError | JobStoreError>
  /** Runs the failed items of a finished job again, or a failed program. A child is retried with its parent. */
  readonly retry: (id: JobId) => Effect.Effect<void, JobManagerError | JobStoreError>
  /** Removes jobs that finished before a time (milliseconds since the epoch); returns how many. */
  readonly prune: (finishedBefore: number) => Effect.Effect<number, JobStoreError>

  /**
   * Has a job started at the times of a `cron` expression, as Effect's `Cron` reads it: once for each tick, however
   * many processes look. Those do whose `claim` is all or names the job.
   *
   * Kept in the store under its `name`: to schedule the same again, as a program does that begins anew, changes
   * nothing, and anything else replaces what is there. A tick whose job would have a key of an active one starts
   * nothing.
   */
  readonly schedule: <N extends string, P extends Schema.Top, S extends Schema.Top, E extends Schema.Top>(
    job: Job.Any & { readonly name: N; readonly payload: P; readonly success: S; readonly error: E },
    payload: P["Type"],
    options: ScheduleOptions
  ) => Effect.Effect<void, JobManagerError | JobStoreError>
  /** Removes a schedule; tells whether there was one. Jobs that it has started go on. */
  readonly unschedule: (name: string) => Effect.Effect<boolean, JobStoreError>
  readonly schedules: Effect.Effect<ReadonlyArray<JobSchedule>, JobStoreError>

  /** Stops accepting and claiming, stops what runs with `Shutdown` and waits until it is recorded. */
  readonly shutdown: Effect.Effect<void>
}>()("@fanout/core/JobManager") {}

/**
 * How a manager is to run its jobs.
 *
 * **Details**
 *
 * - `claim`: which jobs it runs, `"all"` by default.
 * - `concurrency`: how many at once, 4 by default. One that waits for its children does not count, nor one that is
 *   cleaned up after.
 * - `leaseTtl`: how long a job whose owner is not heard of waits for another one, 15 s by default. An owner that
 *   could not renew its lease for half of it stops.
 * - `pollInterval`: how often the store is looked at, 200 ms by default and 250 ms at most.
 * - `grace`: how long what runs has to reach a safe point before it is interrupted, 1 s by default.
 * - `shutdownDeadline`: how long a shutdown waits for what runs, 5 s by default.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Jobs extends ReadonlyArray<Job.Any>> {
  readonly jobs: Jobs
  readonly claim?: Claim
  readonly concurrency?: number
  readonly leaseTtl?: Duration.Input
  readonly pollInterval?: Duration.Input
  readonly grace?: Duration.Input
  readonly shutdownDeadline?: Duration.Input
}

/**
 * Layer that runs jobs in this process.
 *
 * **Details**
 *
 * It requires the program of every job that it is given. When it is closed it shuts down as `JobManager.shutdown`
 * does.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Jobs extends ReadonlyArray<Job.Any>>(
  options: Options<Jobs>
): Layer.Layer<JobManager, JobStoreError, JobStore | OwnerLiveness | Pools | Job.ToHandler<Jobs[number]>> =>
  Layer.effect(JobManager, make(options))

const make = Effect.fnUntraced(function*<Jobs extends ReadonlyArray<Job.Any>>(options: Options<Jobs>) {
  const runtime = yield* makeRuntime(options)
  const { claim = "all" } = options
  const ids = new Set(typeof claim === "object" && "ids" in claim ? claim.ids : [])
  const fibers = yield* Scope.make()
  let accepting = true
  const claims = yield* claimJobs({
    runtime,
    names: claim === "all" ? claim : new Set(typeof claim === "object" && "names" in claim ? claim.names : []),
    ids,
    scope: fibers
  }).pipe(Effect.forkIn(fibers))
  const shutdown = Effect.suspend(() => {
    accepting = false
    return Effect.andThen(Fiber.interrupt(claims), stopRuns(runtime))
  })
  yield* Effect.addFinalizer((exit) => Effect.andThen(shutdown, Scope.close(fibers, exit)))
  const { store } = runtime
  return JobManager.of({
    start: (job, payload, settings = {}) =>
      Effect.suspend(() =>
        accepting
          ? Commands.start(runtime, job, payload, settings)
          : Effect.fail(new JobManagerError({ reason: new ShuttingDown() }))
      ),
    attach: (job, id) => Commands.attach(runtime, job, id),
    claim: (id) =>
      Effect.sync(() => {
        ids.add(id)
        runtime.claimable.notifyUnsafe()
      }),
    get: store.get,
    progress: (id) => Effect.map(store.pulse(id), ({ progress }) => progress),
    list: (filter = {}) => store.list({ ...filter, limit: filter.limit ?? 100 }),
    unreadable: (filter = {}) => store.unreadable({ ...filter, limit: filter.limit ?? 100 }),
    outcomes: (id, tags) => outcomesOf(store, id, tags),
    logs: (id) => logsOf(store, id),
    watch: (id) => watchJob(runtime, id),
    pause: (id) => Commands.pause(runtime, id),
    resume: (id) => Commands.resume(runtime, id),
    cancel: (id) => Commands.cancel(runtime, id),
    set: (id, changes) => Commands.set(runtime, id, changes),
    retry: (id) => Commands.retry(runtime, id),
    prune: store.prune,
    schedule: (job, payload, options) => schedule(runtime, job, payload, options),
    unschedule: store.removeSchedule,
    schedules: store.schedules,
    shutdown
  })
})

const makeRuntime = Effect.fnUntraced(function*<Jobs extends ReadonlyArray<Job.Any>>(
  options: Options<Jobs>
) {
  const context = yield* Effect.context<Job.ToHandler<Jobs[number]>>()
  const runnables = new Map<string, Runnable>()
  for (const job of options.jobs) {
    // Programs are found by name alone: a second definition would run the first one's payloads.
    if (runnables.has(job.name)) return yield* Effect.die(new Error(`Two jobs have the name "${job.name}"`))
    runnables.set(job.name, { job, program: Context.getUnsafe(context, programKey(job.name)) })
  }
  const ttlMillis = Math.max(Duration.toMillis(options.leaseTtl ?? 15_000), 10)
  // An owner has to renew its lease before half of it is over, also when it just misses a third of it.
  const pollMillis = Math.max(1, Math.min(Duration.toMillis(options.pollInterval ?? 200), 250, ttlMillis / 10))
  const claimable = new Changes()
  const runtime: JobRuntime = {
    store: yield* JobStore,
    liveness: yield* OwnerLiveness,
    clock: yield* Clock.Clock,
    runnables,
    timing: {
      ttlMillis,
      pollMillis,
      graceMillis: Duration.toMillis(options.grace ?? 1000),
      deadlineMillis: Duration.toMillis(options.shutdownDeadline ?? 5000)
    },
    pools: yield* Pools,
    runs: new Map(),
    places: new Places(Math.max(1, Math.floor(options.concurrency ?? 4)), () => claimable.notifyUnsafe()),
    cleaning: new Set(),
    unrecorded: new Map(),
    claimable,
    changed: new Changes()
  }
  return runtime
})

/** Stops what runs and waits until it is recorded, for as long as the deadline allows. */
const stopRuns = ({ claimable, runs, timing }: JobRuntime): Effect.Effect<void> =>
  Effect.gen(function*() {
    while (runs.size > 0) {
      // Again and again: a run that has stopped may clean up now, which has a signal of its own.
      for (const signal of runs.values()) signal.requestUnsafe("Shutdown")
      yield* changeWithin(claimable.nextChange, timing.pollMillis)
    }
  }).pipe(Effect.interruptible, Effect.timeoutOption(timing.deadlineMillis), Effect.asVoid)
