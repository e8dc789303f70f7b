/**
 * Pauses that end by themselves. A job that waits is queued until the time of the next look. Whoever claims the job
 * then looks before the program runs.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { JobRecord } from "../../JobRecord.ts"
import type { Wait } from "../../JobState.ts"
import { backoff, decode } from "./codec.ts"
import { promptly, untilStopped } from "./patience.ts"
import { deadlineOf, type Run } from "./runtime.ts"

/** What a job waits for, if it waits. */
export const waitOf = ({ state }: Pick<JobRecord, "state">): Wait | undefined =>
  "waits" in state ? state.waits : undefined

/**
 * Looks whether a job may run: it waits for nothing, or for nothing any more. Otherwise asks the run to pause again by
 * the same name, unless something else has stopped it. A look that dies, or takes a minute, has found nothing.
 */
export const mayRun = Effect.fnUntraced(function*(run: Run) {
  const { record: { id, payload }, runnable: { job, program }, runtime: { timing }, signal } = run
  const wait = waitOf(run.record)
  const until = wait === undefined ? undefined : program.waits[wait.by]?.until
  // A newer program may know the name no more.
  if (wait === undefined || until === undefined) return true
  if (signal.reason !== undefined) return false
  const look = promptly(Effect.flatMap(Effect.orDie(decode(job.payload, payload)), until))
  const exit = yield* untilStopped(look, signal, timing.graceMillis)
  if (signal.reason !== undefined) return false
  if (Option.isSome(exit) && Exit.isFailure(exit.value)) {
    yield* Effect.logWarning(`Job ${id} waits for "${wait.by}", and could not look for it`, exit.value.cause)
  }
  if (Option.exists(exit, (found) => Exit.isSuccess(found) && found.value)) return true
  run.pausedBy = wait.by
  signal.requestUnsafe("Pause")
  return false
})

/**
 * The wait that a named pause begins or continues, and the time of its next look. `None` if the pause does not end by
 * itself, or its schedule has ended. If the run made no progress, the previous wait and its count of looks continue.
 */
export const nextLook = Effect.fnUntraced(function*(run: Run, by: string, now: number) {
  const schedule = run.runnable.program.waits[by]?.schedule
  if (schedule === undefined) return Option.none()
  const before = waitOf(run.record)
  const isSame = before?.by === by && !run.hasGoneOn()
  const wait: Wait = isSame ? { ...before, looks: before.looks + 1 } : { by, since: now, looks: 0 }
  const delay = yield* promptly(backoff(schedule, undefined, { failedAt: wait.since, tries: wait.looks }, now)).pipe(
    Effect.catchCause((cause) =>
      Effect.as(
        Effect.logError(`The schedule of the wait for "${by}" of job ${run.record.id} has died`, cause),
        Option.none()
      )
    )
  )
  return Option.map(delay, (millis) => ({ wait, at: Math.min(now + millis, deadlineOf(run.record)), millis }))
})
