/**
 * Starts and awaits the children of one run.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import { check, type Interrupted, stopped } from "../../Interrupter.ts"
import type * as Job from "../../Job.ts"
import type * as JobId from "../../JobId.ts"
import { ActiveJobDiffers, JobManagerError } from "../../JobManagerError.ts"
import type { JobRecord } from "../../JobRecord.ts"
import * as JobState from "../../JobState.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import type { Progress } from "../../Progress.ts"
import { isToCancel } from "../store/request.ts"
import { waitForOthers } from "../task/slot.ts"
import { type Change, step, update } from "./change.ts"
import { described, newRecord, retriedLine } from "./commands.ts"
import { changeWithin, type JobRuntime, type Run } from "./runtime.ts"
import { awaitJob } from "./watch.ts"

/** The service of a run's program that starts child jobs and waits for them. */
export class Children extends Context.Service<Children, {
  /** Finds the child with a name, or starts the child. */
  readonly start: (
    name: string,
    job: Job.Any,
    payload: unknown,
    priority: number | undefined
  ) => Effect.Effect<JobId.JobId, JobManagerError | Interrupted | JobStoreError>
  /** Waits until a child is over. */
  readonly await: (id: JobId.JobId) => Effect.Effect<JobRecord, Interrupted | JobStoreError>
  /** The stored progress of a child. */
  readonly progress: (id: JobId.JobId) => Effect.Effect<Progress, JobStoreError>
}>()("@fanout/core/internal/Children") {}

export const make = (run: Run): Children["Service"] => ({
  start: start(run),
  await: (id) => withoutAny(run, awaitJob(run.runtime, id)),
  progress: (id) => Effect.map(run.runtime.store.pulse(id), ({ progress }) => progress)
})

/** Waits without the run's place and the task's permits. After the wait, the fiber takes first the place again. */
const withoutAny = <A, E>({ place }: Run, wait: Effect.Effect<A, E>): Effect.Effect<A, E | Interrupted> =>
  waitForOthers(place.without(Effect.raceFirst(wait, stopped)))

const start = (run: Run): Children["Service"]["start"] =>
  Effect.fnUntraced(function*(name, job, payload, priority) {
    const { lease, record: parent, runtime } = run
    const { changed, claimable, store, timing } = runtime
    const { attempt, tries } = parent.state
    const only = "only" in parent.state ? parent.state.only : undefined
    const asking = { id: parent.id, name, attempt, tries }
    while (true) {
      yield* check
      const { nextChange } = changed
      // A command may have changed the limits and the priority since the claim of the parent.
      const { limits, priority: own } = yield* store.get(parent.id)
      const found = Option.getOrUndefined(yield* store.child(parent.id, name))
      if (found === undefined || (found.state._tag === "Cancelled" && isOlder(found, attempt))) {
        const settings = { limits, priority: priority ?? own }
        const fresh = yield* newRecord(runtime, yield* described(job, payload, settings))
        const child = fresh.with({ parent: Option.some(asking), idempotencyKey: Option.none() })
        const stored = yield* store.insertChild(child, lease.token)
        if (stored.id === child.id) {
          yield* setAsParent(runtime, child, { limits, priority: own })
          claimable.notifyUnsafe()
          return child.id
        }
        if (Option.exists(stored.parent, (asked) => asked.id === parent.id && asked.name === name)) continue
        return yield* new JobManagerError({ reason: new ActiveJobDiffers({ id: stored.id, job: stored.name }) })
      }
      if (found.name !== job.name) {
        return yield* Effect.die(
          new Error(`Child "${name}" of job ${parent.id} is a job "${found.name}", and not a "${job.name}"`)
        )
      }
      if (isOlder(found, attempt) && isToCancel(found)) {
        // The child of an earlier attempt is about to be cancelled.
        yield* withoutAny(run, changeWithin(nextChange, timing.pollMillis))
        continue
      }
      yield* update(store, found.id, (child, now) => Effect.succeed(askedAgain(child, asking, limits, only, now)))
        .pipe(
          Effect.catchReason(
            "JobStoreError",
            "KeyTaken",
            ({ by }) => Effect.fail(new JobManagerError({ reason: new ActiveJobDiffers({ id: by, job: job.name }) }))
          )
        )
      changed.notifyUnsafe()
      claimable.notifyUnsafe()
      return found.id
    }
  })

/** Sets for a new child what was set for its parent while the child was stored. Later changes find the child. */
const setAsParent = Effect.fnUntraced(function*(
  { store }: JobRuntime,
  { id, parent }: JobRecord,
  before: Pick<JobRecord, "limits" | "priority">
) {
  if (Option.isNone(parent)) return
  const { limits, priority } = yield* store.get(parent.value.id)
  if (Equal.equals({ limits, priority }, before)) return
  yield* update(store, id, (child, now) =>
    Effect.succeed({
      record: child.with({ limits, updatedAt: now, ...priority === before.priority ? {} : { priority } }),
      line: "Set as its parent"
    }))
})

/** Whether an earlier attempt of the parent was the last one to ask for a child. */
const isOlder = ({ parent }: JobRecord, attempt: number): boolean =>
  Option.exists(parent, (parent) => parent.attempt < attempt)

/**
 * Makes the change of a child for a later attempt or a later try of the parent. A failed child runs again, and so do
 * failed elements of a child, unless the retry was limited to something else.
 */
const askedAgain = (
  child: JobRecord,
  asking: Option.Option.Value<JobRecord["parent"]>,
  limits: JobRecord["limits"],
  only: JobState.Only | undefined,
  now: number
): Change | undefined => {
  const older = isOlder(child, asking.attempt)
  const isEarlier = older || Option.exists(child.parent, ({ tries }) => tries < asking.tries)
  const parent = Option.some(asking)
  if (!isEarlier) return undefined
  if (JobState.isActive(child.state)) {
    return { record: child.with({ parent, updatedAt: now }), line: "Asked for again by its parent" }
  }
  const chosen = only !== undefined && "child" in only && only.child === asking.name ? only : undefined
  const isMeant = only === undefined || chosen !== undefined
  const hasElements = older && isMeant && child.state._tag === "CompletedWithErrors"
  if (child.state._tag !== "Failed" && !hasElements) return undefined
  const fresh = chosen?.only === undefined ? {} : { only: chosen.only }
  return step(child, { _tag: "Retried", ...fresh }, now, `${retriedLine(fresh.only)} by its parent`, { parent, limits })
}
