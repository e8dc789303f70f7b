/**
 * Changes of a job's record. Each change is one compare-and-set, and is decided anew after a conflict.
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
import { type By, isToCancel, requestAfter, type Step, stepOf } from "../store/request.ts"
import type { JobRuntime } from "./runtime.ts"

export interface Change {
  readonly record: JobRecord
  /** A line for the job's log. */
  readonly line: string
  /** New names of the job's fan-outs, for `JobStore.put`. */
  readonly renames?: ReadonlyArray<Renames>
  /** The heartbeat that the job must still have. */
  readonly beat?: number
}

export type Fields = Parameters<JobRecord["with"]>[0]

/** `availableAt` of a job that need not wait. The clock of another process may be behind the time of this one. */
export const atOnce = 0

/** Most conflicts in a row. Each conflict is a change by another writer. */
const conflictLimit = 100

/** Makes the change for a transition, or `undefined` if the job's state does not allow the transition. */
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
      ...fieldsOf(by),
      ...(hasComeOf(record.state, state) ? { availableAt: atOnce } : {}),
      // Only a running job has a lease.
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

/** Fields that a transition changes besides the state. A job that runs again loses the record of its earlier end. */
const fieldsOf = ({ _tag }: JobState.Transition): Fields =>
  _tag === "Retried" || _tag === "AskedToCancel"
    ? { exit: Option.none(), finishedAt: Option.none(), ownersLost: 0, availableAt: atOnce }
    : {}

/** Whether the time has come that a job waited for, or counts no more. A pause and its end do not change that time. */
const hasComeOf = (before: JobState.JobState, after: JobState.JobState): boolean =>
  before._tag === "Running" || ("waits" in before && !("waits" in after))

/** Makes the change for a step that a person or the parent asked for. */
export const obey = (record: JobRecord, next: Step, by: By, now: number): Change | undefined => {
  // Nobody takes back a cancel, also not of a job that waited as it was asked to cancel.
  if (next._tag === "Resumed" && isToCancel(record)) return undefined
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

/** Reads a job, decides on a change and writes the change, again after each conflict. `undefined` changes nothing. */
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
    if (conflicts === conflictLimit) return yield* store.put(change.record, change.line, change.renames, change.beat)
    const after = yield* put(store, change)
    if (after !== undefined) return after
  }
})

/** Writes a change, or gives `undefined` after a conflict. */
export const put = (store: JobStore["Service"], { beat, line, record, renames }: Change) =>
  Effect.catchReason(
    store.put(record, line, renames, beat),
    "JobStoreError",
    "JobConflict",
    () => Effect.succeed(undefined)
  )

/** Most rounds in a row. Each round reaches the next generation of children. */
const generations = 100

/**
 * Brings all children into step with their parents, one generation after the other: the end of a parent cancels its
 * children, a pause pauses them. The stored state of the parent alone decides, so any process can do it after a crash.
 */
export const align = Effect.fnUntraced(function*(runtime: JobRuntime): Effect.fn.Return<void, JobStoreError> {
  const { changed, claimable, store } = runtime
  let isChanged = true
  for (let i = 0; i < generations && isChanged; i++) {
    isChanged = false
    for (const { id, wish } of yield* store.astray) {
      let isMoved = false
      const move = update(store, id, (child, now) =>
        Effect.sync(() => {
          const next = stepOf(child, wish)
          const change = next && obey(child, next, "parent", now)
          isMoved = change !== undefined
          return change
        }))
      // The child may have been removed meanwhile.
      yield* Effect.catchReason(move, "JobStoreError", "JobNotFound", () => Effect.sync(() => void (isMoved = false)))
      if (!isMoved) continue
      isChanged = true
      changed.notifyUnsafe()
      claimable.notifyUnsafe()
    }
  }
})
