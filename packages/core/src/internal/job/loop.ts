/**
 * One run of a job, from the claim to the record of the end.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { Interrupted, Interrupter, type Reason } from "../../Interrupter.ts"
import { JobContext } from "../../JobContext.ts"
import * as JobPriority from "../../JobPriority.ts"
import type { Asked, JobRecord, Request } from "../../JobRecord.ts"
import type { JobStore } from "../../JobStore.ts"
import { JobStoreError } from "../../JobStoreError.ts"
import { Lease } from "../../Lease.ts"
import { Pools } from "../../Pools.ts"
import { Reporter } from "../../Progress.ts"
import * as TaskDispatcher from "../../TaskDispatcher.ts"
import * as JobRun from "../fanOut/jobRun.ts"
import { requireReadable } from "../fanOut/storedLedger.ts"
import * as Measures from "../jobMetrics.ts"
import { ranks } from "../permits/permits.ts"
import type { Share } from "../permits/share.ts"
import { outcomesOf } from "../store/pages.ts"
import { align } from "./change.ts"
import * as Children from "./childrenOfRun.ts"
import { decode } from "./codec.ts"
import { make as makeDispatcher } from "./dispatcher.ts"
import { JobLease, type Moment } from "./ownership.ts"
import { closePatiently, promptly, untilStopped } from "./patience.ts"
import type { Place } from "./places.ts"
import { settle } from "./runEnd.ts"
import { changeWithin, deadlineOf, type JobRuntime, noted, type Run, type Runnable } from "./runtime.ts"
import { makeSampler } from "./sampling.ts"
import { pauseIfFailing } from "./scheduledStarts.ts"
import { mayRun } from "./waiting.ts"

/** Runs a claimed job and records the end. `since` is the moment before the claim request. */
export const runJob = Effect.fnUntraced(function*(
  runtime: JobRuntime,
  runnable: Runnable,
  record: JobRecord,
  since: Moment,
  signal: Interrupter,
  place: Place
) {
  const { awake, clock, timing } = runtime
  const lease = new JobLease({
    job: record.id,
    token: record.token,
    clock,
    awake,
    ttlMillis: timing.ttlMillis,
    since,
    onLost: () => signal.requestUnsafe("LeaseLost")
  })
  const run: Run = {
    runtime,
    runnable,
    record,
    signal,
    lease,
    place,
    pausedBy: undefined,
    hasGoneOn: () => false,
    isOverdue: false,
    trouble: undefined,
    refused: undefined,
    report: Effect.succeedNone,
    limit: () => {}
  }
  const asked = Option.getOrUndefined(record.request)
  yield* Effect.scoped(Effect.gen(function*() {
    yield* Measures.countRun(record.name)
    yield* Effect.forkScoped(orLose(run, renew(run)))
    yield* Effect.forkScoped(orLose(run, lease.lost))
    // A job with a request is claimed only for the clean-up.
    if (asked !== undefined) signal.requestUnsafe(reasonOf(asked))
    stopAtDeadline(run)
    // A slow claim may outlast the lease. Another process may then own the job already.
    yield* lease.untilKnownUnsafe() ?? Effect.void
    if (asked !== undefined || lease.isLost) return yield* settle(run, Option.none(), 0)
    if (!(yield* mayRun(run))) return yield* settle(run, Option.none(), 0)
    const { exit, unfinished } = yield* runProgram(run)
    yield* settle(run, Option.some(exit), unfinished)
  }))
  yield* Effect.catchTag(
    pauseIfFailing(runtime, record),
    "JobStoreError",
    (error) => Effect.logWarning(`The schedule of job ${record.id} was not told of its end: ${error.message}`)
  )
  yield* Effect.catchTag(
    align(runtime),
    "JobStoreError",
    (error) => Effect.logWarning(`The children of job ${record.id} were not told of its end: ${error.message}`)
  )
})

/** The reason to stop a run after a request. */
const reasonOf = (request: Request): Reason => request === "PauseWithParent" ? "Pause" : request

/** Stops a run whose job must be over by now. The wall clock decides: another process has set the deadline. */
const stopAtDeadline = (run: Run): void => {
  const { record, runtime: { clock }, signal } = run
  if (clock.currentTimeMillisUnsafe() < deadlineOf(record)) return
  run.isOverdue = true
  signal.requestUnsafe("Timeout")
}

/** Loses the lease after a defect of `keeping`. Otherwise the job would go on without a lease. */
const orLose = ({ lease, record }: Run, keeping: Effect.Effect<void>) =>
  Effect.catchCause(keeping, (cause) => {
    if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
    lease.loseUnsafe()
    return Effect.logError(`Job ${record.id} can't keep its lease any more`, cause)
  })

/** Renews the lease, and reads the requests to the job between two renewals. */
const renew = Effect.fnUntraced(function*(run: Run) {
  const { lease, record, runtime, signal } = run
  const { awake, changed, store, timing } = runtime
  let { nextChange } = changed
  while (!lease.isLost) {
    yield* changeWithin(nextChange, timing.pollMillis)
    nextChange = changed.nextChange
    if (lease.isLost) return
    stopAtDeadline(run)
    const since = awake.momentUnsafe()
    const due = lease.isDueUnsafe()
    const renewed = Effect.tap(
      store.beat(record.id, lease.token),
      () => Effect.sync(() => lease.renewUnsafe(since))
    )
    const reading: Effect.Effect<Asked, JobStoreError> = Effect.flatMap(
      due ? renewed : run.report,
      Option.match({ onNone: () => store.requested(record.id, lease.token), onSome: Effect.succeed })
    )
    const asked = yield* Effect.catchTag(
      reading,
      "JobStoreError",
      Effect.fnUntraced(function*(error: JobStoreError) {
        if (error.reason._tag === "Fenced" || error.reason._tag === "JobNotFound") {
          lease.loseUnsafe()
        } else if (run.trouble === undefined) {
          run.trouble = error
          yield* Effect.logWarning(`Job ${record.id} is out of touch with its store: ${error.message}`)
        }
        return undefined
      })
    )
    if (asked === undefined || lease.isLost) continue
    run.trouble = undefined
    run.limit(asked)
    if (Option.isSome(asked.request)) signal.requestUnsafe(reasonOf(asked.request.value))
  }
})

/** Which attempt a run belongs to, and which failed elements of its own the attempt runs again. */
const attemptOf = (state: JobRecord["state"]) => {
  const { attempt, tries } = state
  const only = "only" in state ? state.only : undefined
  return { attempt, tries, only: only !== undefined && "child" in only ? { elements: [] } : only }
}

/** Stops the program once it has taken as long as it may. */
const timedOut = ({ runnable: { job: { timeoutMillis } }, signal }: Run): Effect.Effect<void> =>
  Number.isFinite(timeoutMillis)
    ? Effect.andThen(Effect.sleep(timeoutMillis), Effect.sync(() => signal.requestUnsafe("Timeout")))
    : Effect.void

/** Runs the program. All fibers of the program have ended, or are abandoned, when `runProgram` ends. */
const runProgram = Effect.fnUntraced(function*(run: Run) {
  const { record, runnable, runtime, signal } = run
  const { job, program } = runnable
  let unfinished: ReadonlySet<string> = new Set()
  let rest: Run["report"] = Effect.succeedNone
  let lastSample: Effect.Effect<void> = Effect.void
  const body = Effect.fnUntraced(function*(scope: Scope.Closeable) {
    const { progress } = yield* runtime.store.pulse(record.id)
    const { dispatched, dispatcher, share } = yield* makeDispatcher(signal, runtime.timing.graceMillis, runtime.rates)
      .pipe(
        Effect.provideService(Pools, runtime.pools),
        Scope.provide(scope)
      )
    const jobRun = yield* JobRun.make({
      id: record.id,
      name: job.name,
      version: job.version,
      ...attemptOf(record.state),
      token: record.token,
      store: storeOf(run),
      signal,
      migrations: job.migrations,
      progress,
      startedAt: runtime.clock.currentTimeMillisUnsafe()
    })
    const sampler = makeSampler(run, jobRun, () => share.tasksUnsafe())
    yield* Effect.forkIn(sampler.run, scope)
    lastSample = Effect.suspend(() => {
      sampler.mark(signal.reason === undefined ? "Ended" : signal.reason === "Pause" ? "Paused" : "Stopped")
      return sampler.end
    })
    run.report = jobRun.report
    run.hasGoneOn = () => JobRun.hasGoneOn(jobRun)
    run.limit = limiting(share, () => sampler.mark("Set"))
    run.limit(record)
    unfinished = jobRun.unfinished
    rest = jobRun.reportRest
    const decoded = promptly(decode(job.payload, record.payload), "its payload takes longer than a minute to be read")
    const payload = yield* Effect.orDie(decoded)
    // The signal may have stopped during the reads above.
    const { reason } = signal
    if (reason !== undefined) return yield* new Interrupted({ reason })
    yield* Effect.forkIn(timedOut(run), scope)
    const exit = yield* program.run(payload).pipe(
      Effect.withSpan(`fanout.job ${job.name}`, {
        attributes: { job: record.id, attempt: record.state.attempt, token: record.token }
      }),
      Effect.annotateLogs({ job: record.id }),
      Effect.provideContext(programContext(run, jobRun, dispatcher, scope)),
      (program) => untilStopped(program, signal, runtime.timing.graceMillis)
    )
    if (Option.isNone(exit)) return yield* Effect.andThen(leftToItself(run), Effect.interrupt)
    if (Exit.isSuccess(exit.value) && dispatched.size > 0) yield* endedBefore(run, dispatched.size)
    return yield* exit.value
  })
  const exit = yield* Effect.exit(
    Effect.acquireUseRelease(
      Scope.make(),
      body,
      (scope, exit) =>
        Effect.flatMap(closePatiently(scope, exit), (isClosed) => isClosed ? Effect.void : leftToItself(run))
    )
  )
  // The error is ignored here. `settle` reports the error of a store that does not work.
  if (!run.lease.isLost) {
    yield* Effect.raceFirst(Effect.andThen(Effect.ignore(rest), lastSample), run.lease.lost)
  }
  return { exit: run.refused === undefined ? exit : Exit.fail(run.refused), unfinished: unfinished.size }
})

/** Makes the function that applies limits and a priority to a share, unless the share has them already. */
const limiting = (share: Share, onChange: () => void): Run["limit"] => {
  let known: Pick<Asked, "limits" | "priority"> | undefined
  return ({ limits, priority }) => {
    if (Equal.equals(known, { limits, priority })) return
    if (known !== undefined) onChange()
    known = { limits, priority }
    const { bytesPerSecond = Number.POSITIVE_INFINITY, concurrency = Number.POSITIVE_INFINITY } = limits
    share.setUnsafe({ bytesPerSecond, concurrency, urgency: ranks[JobPriority.nameOf(priority)] - ranks.normal })
  }
}

/**
 * Makes the store for the program of a run. The first failed call ends the run: the next run would repeat all further
 * work, or the further work would build on missing data.
 */
const storeOf = (run: Run): JobStore["Service"] => {
  const { store } = run.runtime
  const orEnd = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.tapError(effect, (error) =>
      Effect.sync(() => {
        if (!(error instanceof JobStoreError)) return
        if (error.reason._tag === "StorageFailure") run.trouble = error
        if (error.reason._tag !== "StorageFailure" && error.reason._tag !== "Fenced") return
        run.refused ??= error
        run.lease.loseUnsafe()
      }))
  return {
    ...store,
    checkpoint: (id, fanOut) =>
      orEnd(Effect.tap(
        store.checkpoint(id, fanOut),
        Option.match({ onNone: () => Effect.void, onSome: requireReadable })
      )),
    outcomes: (id, filter) => orEnd(store.outcomes(id, filter)),
    flush: (id, flush, onCommit) => orEnd(store.flush(id, flush, onCommit)),
    ownCheckpoint: (id, name) => orEnd(store.ownCheckpoint(id, name)),
    saveOwnCheckpoint: (id, options) => orEnd(store.saveOwnCheckpoint(id, options)),
    get: (id) => orEnd(store.get(id)),
    child: (parent, name) => orEnd(store.child(parent, name)),
    insertChild: (record, token) => orEnd(store.insertChild(record, token)),
    put: (record, line, renames) => orEnd(store.put(record, line, renames))
  }
}

/** Logs a message, and writes it to the job's log as long as the lease is held. */
const told = (run: Run, message: string) =>
  Effect.andThen(
    Effect.logError(`Job ${run.record.id}: ${message}`),
    Effect.raceFirst(noted(run, message), run.lease.lost)
  )

/** Tells that a part of the program still runs, and that the run no longer waits for the part. */
const leftToItself = (run: Run) =>
  told(run, "Something of its program has not ended a minute after it was interrupted, and is left to itself")

/** Tells that the program has succeeded before tasks that it has dispatched: they are interrupted. */
const endedBefore = (run: Run, count: number) =>
  told(
    run,
    `Its program has ended before ${count === 1 ? "a task" : `${count} tasks`} that it has dispatched, which did not ` +
      "end: await the handle of each task"
  )

const programContext = (
  run: Run,
  jobRun: JobRun.JobRun["Service"],
  dispatcher: TaskDispatcher.TaskDispatcher["Service"],
  scope: Scope.Scope
) =>
  Context.make(TaskDispatcher.TaskDispatcher, dispatcher).pipe(
    Context.add(TaskDispatcher.Current, Option.some(dispatcher)),
    Context.add(JobContext, jobContext(run, jobRun.store)),
    Context.add(Pools, run.runtime.pools),
    Context.add(JobRun.JobRun, jobRun),
    Context.add(JobRun.StoredJob, jobRun),
    Context.add(Children.Children, Children.make({ ...run, runtime: { ...run.runtime, store: jobRun.store } })),
    Context.add(Interrupter, run.signal),
    Context.add(Lease, run.lease),
    Context.add(Reporter, jobRun.reporter),
    Context.add(Scope.Scope, scope)
  )

const jobContext = (run: Run, store: JobStore["Service"]): JobContext["Service"] => {
  const { record, runnable, runtime, signal } = run
  const log: JobContext["Service"]["log"] = (level, message) =>
    Effect.flatMap(
      Clock.currentTimeMillis,
      (at) => runtime.store.log(record.id, record.token, { at, level, message })
    )
  return {
    id: record.id,
    name: record.name,
    version: runnable.job.version,
    attempt: record.state.attempt,
    token: record.token,
    scheduled: record.scheduled,
    outcomes: (tags) => outcomesOf(store, record.id, { tags }),
    log,
    pause: (by, message) => {
      if (["", "person", "parent"].includes(by)) return Effect.die(new Error(`A job can't pause itself by "${by}"`))
      return log("Warning", message).pipe(
        // The job must pause even if the job can't write to the log.
        Effect.catchTag("JobStoreError", (error) => Effect.logWarning(`${message} (not logged: ${error.message})`)),
        Effect.andThen(Effect.sync(() => {
          run.pausedBy = by
          signal.requestUnsafe("Pause")
        })),
        Effect.andThen(Effect.interrupt)
      )
    }
  }
}
