/**
 * Cleans up after a job that is to be cancelled. Only the owner of the job cleans up, under the owner's lease.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Checkpoint, CheckpointUnreadable } from "../../Checkpoint.ts"
import { Interrupter, makeUnsafe } from "../../Interrupter.ts"
import type { Saved } from "../../Job.ts"
import type { JobRecord } from "../../JobRecord.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import { Lease } from "../../Lease.ts"
import { defectOf, sentenceOfDefect } from "../defect.ts"
import { type JobRunOptions, StoredJob } from "../fanOut/jobRun.ts"
import { savedTasksOf } from "../fanOut/savedTasks.ts"
import { decode, lift } from "./codec.ts"
import { untilStopped } from "./patience.ts"
import { noted, type Run } from "./runtime.ts"

/** Most clean-ups at once in a process. A clean-up takes no place. */
export const cleanUpsAtOnce = 16

/** Most milliseconds that the clean-up of a job without a timeout may take. */
const hourMillis = 60 * 60 * 1000

/**
 * Runs the `onCancel` of a job. `true` means that the clean-up is over, successful or not. `false` means that too many
 * clean-ups run, the process shuts down or the lease is lost: the next owner cleans up from the beginning.
 */
export const cleanUp = Effect.fnUntraced(function*(run: Run, record: JobRecord) {
  const { place, runnable: { job }, runtime: { cleaning, runs, timing } } = run
  if (cleaning.size >= cleanUpsAtOnce && !cleaning.has(record.id)) return false
  cleaning.add(record.id)
  place.endUnsafe()
  // The run's own signal has already stopped. A shutdown must stop the clean-up, so `runs` gets a new signal.
  const signal = makeUnsafe()
  runs.set(record.id, signal)
  const remove = run.signal.onRequestUnsafe((reason) => {
    if (reason === "LeaseLost") signal.requestUnsafe(reason)
  })
  const limitMillis = Number.isFinite(job.timeoutMillis) ? job.timeoutMillis : hourMillis
  const limit = Effect.andThen(Effect.sleep(limitMillis), Effect.sync(() => signal.requestUnsafe("Timeout")))
  const exit = yield* untilStopped(
    Effect.raceFirst(onCancel(run, record, signal), Effect.andThen(limit, Effect.never)),
    signal,
    timing.graceMillis
  ).pipe(Effect.ensuring(Effect.sync(remove)))
  if (Option.exists(exit, Exit.isSuccess)) return true
  const { reason } = signal
  if (reason === "Shutdown" || reason === "LeaseLost") return false
  const cause = reason !== "Timeout" && Option.isSome(exit) && Exit.isFailure(exit.value)
    ? exit.value.cause
    : Cause.die(
      new Error(`it took longer than ${limitMillis} ms${Option.isNone(exit) ? ", and is left to itself" : ""}`)
    )
  yield* Effect.logError(`Cleaning up after job ${record.id} failed`, cause)
  yield* noted(run, `Cleaning up failed: ${sentenceOfDefect(defectOf(cause))}`)
  return true
})

const onCancel = (
  { lease, runnable: { job, program }, runtime: { store } }: Run,
  record: JobRecord,
  signal: Interrupter
) =>
  Effect.suspend(() =>
    Result.match(lift(job, record), {
      onFailure: (why) => Effect.die(new Error(why)),
      onSuccess: (payload) => decode(job.payload, payload)
    })
  ).pipe(
    Effect.flatMap((payload) => {
      const stored = { id: record.id, migrations: job.migrations, store, version: job.version }
      return program.onCancel(payload, record.id, savedOf(stored))
    }),
    Effect.provideService(Lease, lease),
    Effect.provideService(Interrupter, signal)
  )

const savedOf = (stored: Pick<JobRunOptions, "id" | "migrations" | "store" | "version">): Saved => {
  const own = <A>({ get }: Checkpoint<A>) =>
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a checkpoint needs no other service
    Effect.provideService(get, StoredJob, stored) as Effect.Effect<
      Option.Option<A>,
      CheckpointUnreadable | JobStoreError
    >
  return Object.assign(own, { tasks: savedTasksOf(stored) })
}
