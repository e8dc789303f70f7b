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
import type { Renames } from "../store/fanOutNames.ts"
import { type By, requestAfter, type Step } from "../store/request.ts"

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
      ...fieldsOf(by, now),
      // Who leaves a state leaves what belonged to it.
      ...(state._tag === "Running" ? {} : { lease: Option.none() }),
      request: requestAfter(record.request, by),
      ...fields,
      ...(JobState.isTerminal(state) ? { finishedAt: Option.some(now) } : {}),
      state,
      updatedAt: now
    }),
    line
  }
}

/** What a transition changes besides the state. What is to run again knows nothing of its end. */
const fieldsOf = ({ _tag }: JobState.Transition, now: number): Fields => {
  if (_tag === "Resumed") return { availableAt: now }
  return _tag === "Retried" || _tag === "AskedToCancel"
    ? { exit: Option.none(), finishedAt: Option.none(), ownersLost: 0, availableAt: now }
    : {}
}

/** Does what somebody's wish makes of a job. */
export const obey = (record: JobRecord, next: Step, by: By, now: number): Change | undefined => {
  const line = lineOf(next, by)
  return next._tag === "Asked"
    ? { record: record.with({ request: next.request, updatedAt: now }), line }
    : step(record, next, now, line)
}

const lineOf = (next: Step, by: By): string => {
  const how = by === "parent" ? " with its parent" : ""
  if (next._tag === "Paused") return `Paused${how || " by person"}`
  if (next._tag === "AskedToCancel") return `Asked to cancel${how}`
  if (next._tag !== "Asked") return `${next._tag}${how}`
  if (Option.isNone(next.request)) return "Need not pause"
  return `Asked to ${next.request.value === "Cancel" ? "cancel" : "pause"}${how}`
}

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
