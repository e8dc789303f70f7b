/**
 * Decides what the end of a run means for the job, and records the decision.
 */
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Exit_ from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type { Reason } from "../../Interrupter.ts"
import { Exit, type JobRecord } from "../../JobRecord.ts"
import type { Transition } from "../../JobState.ts"
import { JobStoreError } from "../../JobStoreError.ts"
import { sentenceOfDefect } from "../defect.ts"
import { stepAtEnd } from "../store/request.ts"
import { type Change, type Fields, step, update } from "./change.ts"
import { cleanUp } from "./cleanUp.ts"
import { backoff, died, programEndOf } from "./codec.ts"
import { promptly } from "./patience.ts"
import { deadlineOf, type Run } from "./runtime.ts"
import { nextLook, waitOf } from "./waiting.ts"

/** The end of a run, before requests to the job are considered. */
type RunEnd =
  | { readonly _tag: "Over"; readonly exit: Exit }
  | { readonly _tag: "Backoff"; readonly delayMillis: number; readonly message: string }
  | { readonly _tag: "Stopped"; readonly reason: Reason }

/** Records the end of a run, unless another process owns the job. */
export const settle = Effect.fnUntraced(function*(
  run: Run,
  exit: Option.Option<Exit_.Exit<unknown, unknown>>,
  unfinished: number
) {
  const { lease, record, runtime } = run
  const { changed, unrecorded } = runtime
  const tell = (error: JobStoreError) =>
    Effect.sync(() => {
      unrecorded.set(record.id, { token: lease.token, error })
      changed.notifyUnsafe()
    })
  const end = yield* Effect.result(runEndOf(run, exit, unfinished))
  if (Result.isFailure(end)) {
    // The store has not recorded all work. The lease lapses, and the next owner goes on from the last record.
    yield* tell(end.failure)
    yield* Effect.logError(`Job ${record.id} was stopped, and goes on once this is put right: ${end.failure.message}`)
    return
  }
  if (end.success._tag === "Stopped" && end.success.reason === "LeaseLost") {
    yield* Effect.logWarning(`Job ${record.id} was stopped: another process owns it, or the store did not answer`)
  }
  yield* recordEnd(run, end.success).pipe(
    Effect.tap(() => Effect.sync(() => unrecorded.delete(record.id))),
    Effect.tapError(tell),
    Effect.retry({
      schedule: Schedule.spaced(runtime.timing.pollMillis),
      while: (error) => error.reason._tag === "StorageFailure" && !lease.isLost
    }),
    Effect.catchTag(
      "JobStoreError",
      (error) => Effect.logError(`How job ${record.id} ended could not be recorded: ${error.message}`)
    ),
    // Others may have the job by then, and the store may never answer.
    Effect.raceFirst(Effect.delay(lease.lost, runtime.timing.ttlMillis))
  )
  changed.notifyUnsafe()
})

/** Computes the end of a run. Fails if the store did not record the work of the run. */
const runEndOf = Effect.fnUntraced(function*(
  { isOverdue, record, refused, runnable: { job }, runtime, signal, trouble }: Run,
  exit: Option.Option<Exit_.Exit<unknown, unknown>>,
  unfinished: number
): Effect.fn.Return<RunEnd, JobStoreError> {
  const over = (exit: Exit): RunEnd => ({ _tag: "Over", exit })
  const deadline = deadlineOf(record)
  const stopped = (reason: Reason): Effect.Effect<RunEnd, JobStoreError> => {
    if (isOverdue && reason === "Timeout") return Effect.succeed(over({ _tag: "Deadline", at: deadline }))
    if (reason === "Timeout") return Effect.succeed(over({ _tag: "Timeout", millis: job.timeoutMillis }))
    return reason === "LeaseLost" && refused !== undefined && trouble !== undefined
      ? Effect.fail(trouble)
      : Effect.succeed({ _tag: "Stopped", reason })
  }
  const { reason } = signal
  if (Option.isNone(exit)) return yield* stopped(reason ?? "Shutdown")
  // After a stop only success counts. Any other exit is a consequence of the stop.
  if (reason !== undefined && (exit.value._tag === "Failure" || unfinished > 0)) return yield* stopped(reason)
  const refusal = refusalIn(exit.value)
  if (refusal !== undefined) return yield* refusal.reason._tag === "Fenced" ? stopped("LeaseLost") : refusal
  const end = yield* promptly(programEndOf(job, exit.value)).pipe(
    Effect.catchCause((cause) => Effect.succeed(died(cause, "what it came to can't be encoded")))
  )
  if (end.exit._tag === "Defect" && exit.value._tag === "Failure") {
    yield* Effect.logError(`Job ${record.id} (${record.name}) has died`, exit.value.cause)
  }
  if (Option.isNone(end.error) || Option.isNone(job.retry)) return over(end.exit)
  const now = yield* runtime.clock.currentTimeMillis
  const message = sentenceOf(end.exit)
  return yield* promptly(backoff(job.retry.value, end.error.value, record.state, now)).pipe(
    Effect.map(Option.match({
      onNone: () => over(end.exit),
      onSome: (delayMillis): RunEnd =>
        now + delayMillis >= deadline ? over(end.exit) : { _tag: "Backoff", delayMillis, message }
    })),
    Effect.tapCause((cause) => Effect.logError(`The retry of job ${record.id} (${record.name}) has died`, cause)),
    Effect.catchCause((cause) => Effect.succeed(over(died(cause, `${message}, and its retry died`).exit)))
  )
})

/** Finds the error of a store that did not record work. Any other store error is an error of the program. */
const refusalIn = (exit: Exit_.Exit<unknown, unknown>): JobStoreError | undefined => {
  const error = exit._tag === "Success" ? undefined : Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  return error instanceof JobStoreError && ["StorageFailure", "Fenced"].includes(error.reason._tag) ? error : undefined
}

/** Describes the end of a program for people. */
export const sentenceOf = (exit: Exit): string =>
  Exit.match(exit, {
    Success: () => "it succeeded",
    Failure: ({ message }) => message,
    Defect: (defect) => `it died: ${sentenceOfDefect(defect)}`,
    Timeout: ({ millis }) => `it took longer than ${millis} ms`,
    Deadline: ({ at }) => `it was not over by ${DateTime.formatIso(DateTime.makeUnsafe(at))}`,
    OwnerLost: ({ times }) => `the processes that ran it were lost ${times} times in a row`
  })

const recordEnd = (run: Run, end: RunEnd) => {
  const { lease, record, runtime } = run
  let isCleaned: boolean | undefined
  return update(
    runtime.store,
    record.id,
    Effect.fnUntraced(function*(current, now): Effect.fn.Return<Change | undefined, JobStoreError> {
      if (!Option.exists(current.lease, ({ token }) => token === lease.token)) return undefined
      // An owner that records the end of a run was not lost.
      const recorded = (by: Transition, line: string, fields: Fields = {}) =>
        step(current, by, now, line, { ownersLost: 0, ...fields })
      const own = yield* ownStep(run, end, current, now)
      const next = stepAtEnd(current.request, own.by)
      if (next === own.by) return recorded(own.by, own.line, own.fields)
      if (next._tag === "Paused") return recorded(next, `Paused by ${next.by}`)
      isCleaned ??= yield* cleanUp(run, current)
      if (isCleaned) return recorded(next, "Cancelled")
      return recorded({ _tag: "Released", why: "Shutdown" }, "Queued again, to be cleaned up after")
    })
  )
}

/** Computes the transition of a job without a request. */
const ownStep = Effect.fnUntraced(function*(
  run: Run,
  end: RunEnd,
  { state }: JobRecord,
  now: number
): Effect.fn.Return<
  { readonly by: Transition; readonly line: string; readonly fields?: Fields },
  JobStoreError
> {
  const { pausedBy, record, runtime } = run
  if (end._tag === "Backoff") {
    const { delayMillis, message } = end
    return {
      by: { _tag: "Backoff", at: now },
      line: `Runs again in ${delayMillis} ms: ${message}`,
      fields: { availableAt: now + delayMillis }
    }
  }
  if (end._tag === "Stopped" && end.reason === "LeaseLost") {
    // The token is still the highest, so nobody else has noticed. The next owner cleans up where that was asked.
    return { by: { _tag: "Released", why: "OwnerLost" }, line: "Queued again: the store did not answer its owner" }
  }
  if (end._tag === "Stopped") {
    const isPause = end.reason === "Pause"
    if (isPause && waitOf(run.record) !== undefined && waitOf({ state }) === undefined) {
      return { by: { _tag: "Released", why: "Shutdown" }, line: "Resumed, and waits no longer" }
    }
    const next = isPause && pausedBy !== undefined ? yield* nextLook(run, pausedBy, now) : Option.none()
    if (Option.isSome(next)) {
      const { at, millis, wait } = next.value
      const line = `Paused by ${wait.by}, looks again in ${Math.ceil(millis / 1000)} s`
      return { by: { _tag: "Waits", wait }, line, fields: { availableAt: at } }
    }
    return isPause && pausedBy !== undefined
      ? { by: { _tag: "Paused", by: pausedBy }, line: `Paused by ${pausedBy}` }
      : {
        by: { _tag: "Released", why: "Shutdown" },
        line: isPause ? "Resumed before it was paused" : "Stopped with its process"
      }
  }
  const fields = { exit: Option.some(end.exit) }
  if (end.exit._tag !== "Success") {
    return { by: { _tag: "Failed" }, line: `Failed: ${sentenceOf(end.exit)}`, fields }
  }
  const withErrors = (yield* runtime.store.failures(record.id)) > 0 ||
    (yield* runtime.store.childTags(record.id)).some((tag) => tag === "Failed" || tag === "CompletedWithErrors")
  return { by: { _tag: "Succeeded", withErrors }, line: withErrors ? "Completed with errors" : "Completed", fields }
})
