/**
 * Accepts, runs, pauses, resumes, cancels, retries, lists and watches jobs.
 */
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { LiveClusters } from "./internal/cluster/liveWorkers.ts"
import { claimJobs } from "./internal/job/claims.ts"
import * as Commands from "./internal/job/commands.ts"
import { hearChanges } from "./internal/job/hearing.ts"
import { processesOf } from "./internal/job/liveProcesses.ts"
import { AwakeTime } from "./internal/job/ownership.ts"
import { Places } from "./internal/job/places.ts"
import { Changes, changeWithin, type JobRuntime, type Runnable } from "./internal/job/runtime.ts"
import * as Schedules from "./internal/job/scheduledStarts.ts"
import { overviewOf, statusChanges, statusOf } from "./internal/job/status.ts"
import { watchJob } from "./internal/job/watch.ts"
import { programKey } from "./internal/jobProgram.ts"
import * as Numbers from "./internal/numbers.ts"
import { makeRates } from "./internal/permits/storedRates.ts"
import { logsOf, outcomesOf } from "./internal/store/pages.ts"
import { LivePools } from "./internal/threads/livePools.ts"
import type * as Job from "./Job.ts"
import type { JobEvent, JobHandle } from "./JobHandle.ts"
import * as JobHistory from "./JobHistory.ts"
import type { JobId } from "./JobId.ts"
import { JobManagerError, ShuttingDown } from "./JobManagerError.ts"
import type { JobSchedule, Options as ScheduleOptions, Started, Tick } from "./JobSchedule.ts"
import type * as JobState from "./JobState.ts"
import type { JobOverview, JobProcess, JobStatus } from "./JobStatus.ts"
import {
  type Concurrency,
  type JobChanges,
  type JobRecord,
  JobStore,
  type ListFilter,
  type LogEntry,
  type OutcomeRow,
  type Rate,
  type StartOptions,
  type StateCounts,
  type Unreadable
} from "./JobStore.ts"
import type { JobStoreError } from "./JobStoreError.ts"
import * as JobTasks from "./JobTasks.ts"
import type { Outcome } from "./Outcome.ts"
import * as OwnerLiveness from "./OwnerLiveness.ts"
import * as Pools from "./Pools.ts"
import type { Progress } from "./Progress.ts"

export type { JobEvent, JobHandle } from "./JobHandle.ts"
export {
  ActiveJobDiffers,
  AlreadyOver,
  ChoiceRefused,
  CronInvalid,
  JobManagerError,
  JobNotCompleted,
  NotAllowed,
  ScheduleNotFound,
  ShuttingDown
} from "./JobManagerError.ts"

/**
 * Which jobs a manager runs: all jobs whose programs it has, jobs of some names, single jobs, or none.
 *
 * @category models
 */
export type Claim = "all" | "none" | { readonly names: ReadonlyArray<string> } | { readonly ids: ReadonlyArray<JobId> }

/**
 * Service that accepts, runs and controls jobs. A request reaches a job of another process within 250 ms, by the store,
 * and within some milliseconds if the store tells of changes.
 *
 * @category services
 */
export class JobManager extends Context.Service<JobManager, {
  /** Accepts a job. If the caller has a transaction open on the same database, the job is part of that transaction. */
  readonly start: <N extends string, P extends Schema.Top, S extends Schema.Top, E extends Schema.Top>(
    job: Job.Any & { readonly name: N; readonly payload: P; readonly success: S; readonly error: E },
    payload: P["Type"],
    options?: StartOptions
  ) => Effect.Effect<JobHandle<S["Type"], E["Type"]>, JobManagerError | JobStoreError>

  /**
   * Accepts a job for each payload and returns the handles in the same order. The new jobs are stored all or none, in
   * one transaction. Fails with `ActiveJobDiffers` and stores none if one of them is refused.
   */
  readonly startAll: <N extends string, P extends Schema.Top, S extends Schema.Top, E extends Schema.Top>(
    job: Job.Any & { readonly name: N; readonly payload: P; readonly success: S; readonly error: E },
    payloads: Iterable<P["Type"]>,
    options?: StartOptions
  ) => Effect.Effect<ReadonlyArray<JobHandle<S["Type"], E["Type"]>>, JobManagerError | JobStoreError>

  /** Finds a started job. Fails with `JobNotFound` if no job of this definition has the id. */
  readonly attach: <N extends string, P extends Schema.Top, S extends Schema.Top, E extends Schema.Top>(
    job: Job.Any & { readonly name: N; readonly payload: P; readonly success: S; readonly error: E },
    id: JobId
  ) => Effect.Effect<JobHandle<S["Type"], E["Type"]>, JobStoreError>

  /** Adds a job to the jobs that this manager runs. The manager then runs the children of the job as well. */
  readonly claim: (id: JobId) => Effect.Effect<void>

  readonly get: (id: JobId) => Effect.Effect<JobRecord, JobStoreError>
  readonly progress: (id: JobId) => Effect.Effect<Progress, JobStoreError>
  /** Looks at how far a job is. */
  readonly status: (id: JobId) => Effect.Effect<JobStatus, JobStoreError>
  /** The status now, and after each change, with rates. The stream ends when the job and its children are over. */
  readonly changes: (id: JobId) => Stream.Stream<JobStatus, JobStoreError>
  /**
   * Lists jobs, the newest first, at most `limit` (100 by default). A full page may have a next page: pass the last job
   * as `before`. With a `parent`, only its children are listed. Without one, children are listed among the other jobs.
   */
  readonly list: (filter?: Partial<ListFilter>) => Effect.Effect<ReadonlyArray<JobRecord>, JobStoreError>
  /** Lists the same jobs as `list`, each with its progress, and whether its process is dead. */
  readonly overview: (filter?: Partial<ListFilter>) => Effect.Effect<ReadonlyArray<JobOverview>, JobStoreError>
  /** Numbers of the children of some jobs, by state. A job without children is left out. */
  readonly childCounts: (
    parents: ReadonlyArray<JobId>
  ) => Effect.Effect<ReadonlyMap<JobId, StateCounts>, JobStoreError>
  /** Numbers of all jobs, by state. */
  readonly counts: Effect.Effect<StateCounts, JobStoreError>
  /** Names what is stored at present; see `JobStore.version`. */
  readonly version: Effect.Effect<string, JobStoreError>
  /** Lists the jobs that `list` leaves out, for the same filter, because they can't be read. */
  readonly unreadable: (filter?: Partial<ListFilter>) => Effect.Effect<ReadonlyArray<Unreadable>, JobStoreError>

  /** Stored outcomes of a job's elements, in the order in which they were recorded. */
  readonly outcomes: (id: JobId, tags?: ReadonlyArray<Outcome["_tag"]>) => Stream.Stream<OutcomeRow, JobStoreError>
  /** Stored outcomes that were recorded last, the newest first, at most `limit`; failures of one `cause`, if given. */
  readonly newestOutcomes: (id: JobId, options: {
    readonly tags?: ReadonlyArray<Outcome["_tag"]>
    readonly cause?: string | undefined
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<OutcomeRow>, JobStoreError>
  /**
   * Stored outcomes behind the sequence number `after` (0 at first) with their numbers, the oldest first, at most
   * `limit`; failures of one `cause`, if given. A page costs the same at any depth.
   */
  readonly outcomePage: (id: JobId, options: {
    readonly tags?: ReadonlyArray<Outcome["_tag"]>
    readonly cause?: string | undefined
    readonly after: number
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<readonly [seq: number, row: OutcomeRow]>, JobStoreError>
  /** How the progress of a job went; empty if no run of the job has lasted a second. */
  readonly history: (id: JobId) => Effect.Effect<JobHistory.JobHistory, JobStoreError>
  /**
   * How long the tasks of a job waited and ran, and the pools, threads and workers of its process; empty as `history`
   * is.
   */
  readonly tasks: (id: JobId) => Effect.Effect<JobTasks.JobTasks, JobStoreError>
  /** The live processes that run jobs now, with their pools, threads and workers, in the order of their names. */
  readonly processes: Effect.Effect<ReadonlyArray<JobProcess>, JobStoreError>
  readonly logs: (id: JobId) => Stream.Stream<LogEntry, JobStoreError>
  readonly watch: (id: JobId) => Stream.Stream<JobEvent, JobStoreError>

  /** Asks a queued or running job to stop at its next safe points and to wait. */
  readonly pause: (id: JobId) => Effect.Effect<void, JobManagerError | JobStoreError>
  /** Lets a paused job go on, or withdraws a pause that the owner has not carried out yet. */
  readonly resume: (id: JobId) => Effect.Effect<void, JobManagerError | JobStoreError>
  /**
   * Cancels a job that is active or has failed, after its owner, or the next process that claims it, has cleaned up. A
   * job that is cancelled stays so.
   */
  readonly cancel: (id: JobId) => Effect.Effect<void, JobManagerError | JobStoreError>

  /**
   * Ends a job as cancelled without its program, for a job whose program is gone. Nothing cleans up after the job, so
   * what its tasks have begun stays. Its children are asked to cancel. Fails with `NotAllowed` if a live process runs
   * the job. Where that can't be seen, `abandon` first waits for the time of the lease.
   */
  readonly abandon: (id: JobId) => Effect.Effect<void, JobManagerError | JobStoreError>
  /**
   * Changes the priority and the limits of a job, even while it runs. A setting that is not given stays. The children
   * that are not over get the same changes.
   */
  readonly set: (id: JobId, changes: JobChanges) => Effect.Effect<void, JobManagerError | JobStoreError>
  /**
   * Runs the failed elements of a finished job again, or its failed program. For a child, the jobs above it run again,
   * too, so they must be finished. Other failed elements of the family stay failed, and so do children with errors.
   *
   * With `only`, the other failed elements stay failed, and so do children that have ended with errors. `only` names at
   * most 1,000 elements by their numbers in `outcomePage`, or all elements of a cause. Fails with `ChoiceRefused` if
   * one of the elements is no failed element that can run again, or if no element has failed with the cause.
   */
  readonly retry: (id: JobId, only?: JobState.Choice) => Effect.Effect<void, JobManagerError | JobStoreError>
  /** Removes jobs that finished before a time (milliseconds since the epoch). Returns the number of removed jobs. */
  readonly prune: (finishedBefore: number) => Effect.Effect<number, JobStoreError>

  /**
   * Starts a job at the times of a `cron` expression (in the syntax of Effect's `Cron`), once for each tick, however
   * many processes look. The managers whose `claim` is `"all"` or names the job look for ticks.
   *
   * The store keeps the schedule under its `name`. The same schedule again changes nothing, so a program may schedule
   * at every start. A different schedule of that name replaces the stored one. A schedule that is paused stays so. A
   * tick starts no job while an active job has one of its keys.
   */
  readonly schedule: <N extends string, P extends Schema.Top, S extends Schema.Top, E extends Schema.Top>(
    job: Job.Any & { readonly name: N; readonly payload: P; readonly success: S; readonly error: E },
    payload: P["Type"],
    options: ScheduleOptions
  ) => Effect.Effect<void, JobManagerError | JobStoreError>
  /** Removes a schedule. Returns whether the schedule existed. Jobs that it has started go on. */
  readonly unschedule: (name: string) => Effect.Effect<boolean, JobStoreError>
  readonly schedules: Effect.Effect<ReadonlyArray<JobSchedule>, JobStoreError>
  /** Lets no tick of a schedule start a job until somebody resumes the schedule. Jobs that it has started go on. */
  readonly pauseSchedule: (name: string) => Effect.Effect<void, JobManagerError | JobStoreError>
  /**
   * Lets a schedule go on with the first tick from now. The ticks of the pause are not run. On a schedule that is not
   * paused this has the same effect, which helps after the clock was set back.
   */
  readonly resumeSchedule: (name: string) => Effect.Effect<void, JobManagerError | JobStoreError>
  /**
   * Starts the job of a schedule at once, also while the schedule is paused. The next tick stays. If the `overlap` is
   * not `"start"` and a job of the schedule is active, that job is given.
   */
  readonly runSchedule: (name: string) => Effect.Effect<Started, JobManagerError | JobStoreError>
  /**
   * Computes the next ticks of a schedule, at most `count`, the first one first. The ticks of one that is paused are
   * those that it had if it were resumed now.
   */
  readonly nextTicks: (
    schedule: string | JobSchedule,
    count: number
  ) => Effect.Effect<ReadonlyArray<Tick>, JobManagerError | JobStoreError>

  /**
   * Sets how many attempts of the tasks of a `rate` begin in a second, in all processes of the store together. 0 lets
   * none begin, and `null` removes the rate. Within a second, all processes keep the new rate, also with tasks that
   * wait. A number below 0, or one that is not finite, is a defect.
   */
  readonly setRate: (name: string, perSecond: number | null) => Effect.Effect<void, JobStoreError>
  /** Lists the rates that are set, in the order of their names. */
  readonly rates: Effect.Effect<ReadonlyArray<Rate>, JobStoreError>

  /**
   * Sets how many jobs of a name run at the same time, in all processes of the store together. 0 lets none begin, and
   * `null` removes the limit. The jobs that run go on. A number below 0, or one that is not whole, is a defect.
   *
   * A job counts from its claim to its end or pause, also while it waits for its children or its owner is lost. A child
   * whose parent has the same name runs in the place of its parent: it does not count.
   */
  readonly setConcurrency: (name: string, most: number | null) => Effect.Effect<void, JobStoreError>
  /** Lists the concurrencies that are set, in the order of their names. */
  readonly concurrencies: Effect.Effect<ReadonlyArray<Concurrency>, JobStoreError>

  /**
   * Stops accepting and claiming jobs, stops the running jobs with `Shutdown`, and waits until their state is recorded.
   */
  readonly shutdown: Effect.Effect<void>
}>()("@fanout/core/JobManager") {}

/**
 * Options of a manager.
 *
 * **Details**
 *
 * - `claim`: which jobs it runs, `"all"` by default.
 * - `concurrency`: how many jobs run at once in this process, 4 by default. A job that waits for children or cleans up
 *   does not count.
 * - `concurrencyByName`: how many jobs of a name run at once in this process, by default as many as `concurrency`.
 *   `setConcurrency` is for all processes together.
 * - `leaseTtl`: after this time without a sign of its owner, another owner may take a job, 15 s by default. The time is
 *   stored with the lease, so processes can have different ones. An owner to which the store does not answer for half
 *   of this time stops.
 * - `pollInterval`: time between two looks at the store, 200 ms by default and 250 ms at most. On a store that tells of
 *   changes, a manager looks when it is told, and otherwise after a third of `leaseTtl` while it knows of no work.
 * - `grace`: time for running work to reach a safe point before it is interrupted, 1 s by default.
 * - `shutdownDeadline`: most time that a shutdown waits for running jobs, 5 s by default.
 *
 * @category models
 */
export interface Options<Jobs extends ReadonlyArray<Job.Any>> {
  readonly jobs: Jobs
  readonly claim?: Claim
  readonly concurrency?: number
  readonly concurrencyByName?: Readonly<Partial<Record<Jobs[number]["name"], number>>>
  readonly leaseTtl?: Duration.Input
  readonly pollInterval?: Duration.Input
  readonly grace?: Duration.Input
  readonly shutdownDeadline?: Duration.Input
}

/**
 * Layer that runs jobs in this process. The layer requires every job's program. Closing it is a `JobManager.shutdown`.
 *
 * @category layers
 */
export const layer = <const Jobs extends ReadonlyArray<Job.Any>>(
  options: Options<Jobs>
): Layer.Layer<
  JobManager,
  JobStoreError,
  JobStore | OwnerLiveness.OwnerLiveness | Pools.Pools | Job.ToProgram<Jobs[number]>
> => Layer.effect(JobManager, make(options))

/**
 * Layer that starts jobs, looks at them, and pauses, resumes, cancels and retries them, but runs none and needs no
 * programs. Managers of other processes on the same store run the jobs.
 *
 * @category layers
 */
export const layerClientOnly: Layer.Layer<JobManager, JobStoreError, JobStore> = Layer.suspend(() =>
  Layer.provide(layer({ jobs: [], claim: "none" }), [Pools.layer(), OwnerLiveness.layerBlind])
)

const make = Effect.fnUntraced(function*<Jobs extends ReadonlyArray<Job.Any>>(options: Options<Jobs>) {
  const runtime = yield* makeRuntime(options)
  const { store } = runtime
  const { ids, names } = claimedBy(options.claim ?? "all")
  const fibers = yield* Scope.make()
  let accepting = true
  yield* Effect.forkIn(runtime.awake.run, fibers)
  const claims = yield* claimJobs({ runtime, names, ids, scope: fibers }).pipe(Effect.scoped, Effect.forkIn(fibers))
  const ears = yield* Effect.forkDetach(hearChanges(runtime))
  const shutdown = Effect.suspend(() => {
    accepting = false
    return stopAll(runtime, claims)
  })
  yield* Effect.addFinalizer((exit) => Effect.andThen(shutdown, Scope.close(fibers, exit)))
  yield* Effect.addFinalizer(() => stopHearing(ears))
  const unlessShut = <A, E>(start: Effect.Effect<A, E>): Effect.Effect<A, E | JobManagerError> =>
    Effect.suspend((): Effect.Effect<A, E | JobManagerError> =>
      accepting ? start : Effect.fail(new JobManagerError({ reason: new ShuttingDown() }))
    )
  return JobManager.of({
    start: (job, payload, options = {}) => unlessShut(Commands.start(runtime, job, payload, options)),
    startAll: (job, payloads, options = {}) => unlessShut(Commands.startAll(runtime, job, payloads, options)),
    attach: (job, id) => Commands.attach(runtime, job, id),
    claim: (id) =>
      Effect.sync(() => {
        ids.add(id)
        runtime.claimable.notifyUnsafe()
      }),
    get: store.get,
    progress: (id) => Effect.map(store.pulse(id), ({ progress }) => progress),
    status: (id) => statusOf(runtime, id),
    changes: (id) => statusChanges(runtime, id),
    list: (filter = {}) => store.list({ ...filter, limit: filter.limit ?? 100 }),
    overview: (filter = {}) => overviewOf(runtime, { ...filter, limit: filter.limit ?? 100 }),
    childCounts: store.childCounts,
    counts: store.counts,
    version: store.version,
    unreadable: (filter = {}) => store.unreadable({ ...filter, limit: filter.limit ?? 100 }),
    outcomes: (id, tags) => outcomesOf(store, id, { tags }),
    newestOutcomes: (id, options) =>
      Effect.map(store.outcomes(id, { ...options, newestFirst: true, after: 0 }), Arr.map(([, row]) => row)),
    outcomePage: store.outcomes,
    history: (id) => Effect.map(store.history(id), Option.getOrElse(() => JobHistory.empty)),
    tasks: (id) => Effect.map(store.tasks(id), Option.getOrElse(() => JobTasks.empty)),
    processes: processesOf(runtime),
    logs: (id) => logsOf(store, id),
    watch: (id) => watchJob(runtime, id),
    pause: (id) => Commands.pause(runtime, id),
    resume: (id) => Commands.resume(runtime, id),
    cancel: (id) => Commands.cancel(runtime, id),
    abandon: (id) => Commands.abandon(runtime, id),
    set: (id, changes) => Commands.set(runtime, id, changes),
    retry: (id, only) => Commands.retry(runtime, id, only === undefined ? {} : { only }),
    prune: store.prune,
    schedule: (job, payload, options) => Schedules.schedule(runtime, job, payload, options),
    unschedule: store.removeSchedule,
    schedules: store.schedules,
    pauseSchedule: (name) => Schedules.pause(runtime, name),
    resumeSchedule: (name) => Schedules.resume(runtime, name),
    runSchedule: (name) => unlessShut(Schedules.runNow(runtime, name)),
    nextTicks: (schedule, count) => Schedules.nextTicks(runtime, schedule, count),
    setRate: (name, perSecond) => setRate(store, name, perSecond),
    rates: store.rates,
    setConcurrency: (name, most) => setConcurrency(runtime, name, most),
    concurrencies: store.concurrencies,
    shutdown
  })
})

/** Jobs that a process claims by their names and by their ids, to which ids are added later. */
const claimedBy = (claim: Claim) => ({
  names: claim === "all" ? claim : new Set(typeof claim === "object" && "names" in claim ? claim.names : []),
  ids: new Set(typeof claim === "object" && "ids" in claim ? claim.ids : [])
})

/** Ends a fiber that hears of changes. A database that has vanished does not answer that it has stopped to tell. */
const stopHearing = (ears: Fiber.Fiber<unknown, unknown>) =>
  Effect.timeoutOption(Effect.interruptible(Fiber.interrupt(ears)), "1 second")

const setRate = (store: JobStore["Service"], name: string, perSecond: number | null) =>
  Effect.suspend(() =>
    store.setRate(name, perSecond === null ? null : Numbers.size(`The rate "${name}", unless null`, perSecond))
  )

const setConcurrency = ({ claimable, store }: JobRuntime, name: string, most: number | null) =>
  Effect.suspend(() =>
    store.setConcurrency(
      name,
      most === null ? null : Numbers.natural(`The concurrency of "${name}", unless null`, most)
    )
  ).pipe(Effect.tap(() => Effect.sync(() => claimable.notifyUnsafe())))

const limitsOf = (concurrencyByName: Readonly<Record<string, number | undefined>> = {}) =>
  new Map(
    Object.entries(concurrencyByName).map(([name, most]) =>
      [name, Numbers.limit(`The concurrencyByName of "${name}"`, most ?? Infinity)] as const
    )
  )

const makeRuntime = Effect.fnUntraced(function*<Jobs extends ReadonlyArray<Job.Any>>(
  options: Options<Jobs>
) {
  const context = yield* Effect.context<Job.ToProgram<Jobs[number]>>()
  const runnables = new Map<string, Runnable>()
  for (const job of options.jobs) {
    // Programs are found by name alone: a second definition would run the payloads of the first.
    if (runnables.has(job.name)) return yield* Effect.die(new Error(`Two jobs have the name "${job.name}"`))
    runnables.set(job.name, { job, program: Context.getUnsafe(context, programKey(job.name)) })
  }
  const ttlMillis = Math.max(Numbers.finiteMillis("A manager's leaseTtl", options.leaseTtl ?? 15_000), 10)
  const askedMillis = Numbers.millis("A manager's pollInterval", options.pollInterval ?? 200)
  // An owner has to renew its lease before half of the TTL is over, even if it just misses a third of the TTL.
  const pollMillis = Math.max(1, Math.min(askedMillis, 250, ttlMillis / 10))
  const claimable = new Changes()
  const store = yield* JobStore
  const clock = yield* Clock.Clock
  const runtime: JobRuntime = {
    store,
    awake: new AwakeTime(clock, pollMillis),
    liveness: yield* OwnerLiveness.OwnerLiveness,
    clock,
    runnables,
    timing: {
      ttlMillis,
      pollMillis,
      graceMillis: Numbers.millis("A manager's grace", options.grace ?? 1000),
      deadlineMillis: Numbers.millis("A manager's shutdownDeadline", options.shutdownDeadline ?? 5000)
    },
    pools: yield* Pools.Pools,
    threads: yield* LivePools,
    clusters: yield* LiveClusters,
    rates: makeRates(store, clock, yield* FiberSet.makeRuntime()),
    runs: new Map(),
    places: new Places(
      Numbers.limit("A manager's concurrency", options.concurrency ?? 4),
      limitsOf(options.concurrencyByName),
      () => claimable.notifyUnsafe()
    ),
    cleaning: new Set(),
    unrecorded: new Map(),
    claiming: { failure: undefined },
    unclaimed: new Set(),
    claimable,
    changed: new Changes(),
    hearing: { isOn: false }
  }
  return runtime
})

/** Stops to claim, stops the running jobs, and waits until their state is recorded, for at most the deadline. */
const stopAll = ({ claimable, runs, timing }: JobRuntime, claims: Fiber.Fiber<unknown>): Effect.Effect<void> =>
  Effect.gen(function*() {
    claims.interruptUnsafe()
    // Repeated: a run that has stopped may clean up now by a signal of its own, and a late claim may begin a run.
    while (runs.size > 0 || claims.pollUnsafe() === undefined) {
      for (const signal of runs.values()) signal.requestUnsafe("Shutdown")
      yield* runs.size > 0 ? changeWithin(claimable.nextChange, timing.pollMillis) : Fiber.await(claims)
    }
  }).pipe(Effect.interruptible, Effect.timeoutOption(timing.deadlineMillis), Effect.asVoid)
