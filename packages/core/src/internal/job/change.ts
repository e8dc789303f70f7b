/**
 * Changes of a job's record: one compare-and-set each, decided anew when somebody else was faster.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { JobId } from "../../JobId.ts"
import type { JobRecord } from "../../JobRecord.ts"
import * as JobState from "../../JobState.ts"
import type { JobStore } from "../../JobStore.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import type { Renames } from "./renames.ts"

export interface Change {
  readonly record: JobRecord
  /** What the job's log says of it. */
  readonly line: string
  /** Names that the job's fan-outs get, as `JobStore.put` takes them. */
  readonly renames?: ReadonlyArray<Renames>
}

export type Fields = Partial<
  Pick<
    JobRecord,
    | "version"
    | "payload"
    | "parent"
    | "priority"
    | "limits"
    | "exit"
    | "request"
    | "lease"
    | "token"
    | "ownersLost"
    | "availableAt"
    | "finishedAt"
  >
>

/** Most conflicts in a row. Each of them is a change that somebody else has made meanwhile. */
const conflictLimit = 100

/** A transition with the line that says it, or nothing where the state does not allow it. */
export const step = (
  record: JobRecord,
  by: JobState.Transition,
  now: number,
  line: string,
  fields: Fields = {}
): Change | undefined => {
  const state = Option.getOrUndefined(JobState.transition(record.state, by))
  return state && {
    record: record.with({
      // Who leaves a state leaves what belonged to it.
      ...(state._tag === "Running" ? {} : { lease: Option.none(), request: Option.none() }),
      ...fields,
      ...(JobState.isTerminal(state) ? { finishedAt: Option.some(now) } : {}),
      state,
      updatedAt: now
    }),
    line
  }
}

/** What is known of the end of a job that is to run again after it. */
export const anew = (now: number): Fields => ({
  exit: Option.none(),
  finishedAt: Option.none(),
  ownersLost: 0,
  availableAt: now
})

/**
 * Gives a job up. One that runs is asked to stop, and one that has never run is cancelled. Any other may have left
 * something: it is queued, for its next owner to clean up after it.
 */
export const giveUp = (record: JobRecord, now: number, how = ""): Change | undefined => {
  const request = Option.some("Cancel" as const)
  const line = `Asked to cancel${how}`
  if (record.state._tag === "Running") return { record: ask(record, request, now), line }
  return record.token === 0
    ? step(record, { _tag: "Cancelled" }, now, `Cancelled${how}`)
    : step(record, { _tag: "AskedToCancel" }, now, line, { ...anew(now), request })
}

/** Sets or withdraws what is asked of a running job. */
export const ask = (record: JobRecord, request: JobRecord["request"], now: number): JobRecord =>
  record.with({ request, updatedAt: now })

/** Changes a job until nobody else was faster; `undefined` leaves it as it is. */
export const update = Effect.fnUntraced(function*<E, R>(
  store: JobStore["Service"],
  id: JobId,
  decide: (record: JobRecord, now: number) => Effect.Effect<Change | undefined, E, R>
): Effect.fn.Return<JobRecord, E | JobStoreError, R> {
  for (let conflicts = 0;; conflicts++) {
    const record = yield* store.get(id)
    const now = yield* Clock.currentTimeMillis
    const change = yield* decide(record, now)
    if (change === undefined) return record
    const after = yield* put(store, change, conflicts < conflictLimit)
    if (after !== undefined) return after
  }
})

/** Writes a change; `undefined` where somebody else was faster. */
export const put = (
  store: JobStore["Service"],
  change: Change,
  tolerant: boolean
): Effect.Effect<JobRecord | undefined, JobStoreError> =>
  Effect.catchTag(
    store.put(change.record, change.line, change.renames),
    "JobStoreError",
    (error) => tolerant && error.reason._tag === "JobConflict" ? Effect.succeed(undefined) : Effect.fail(error)
  )
