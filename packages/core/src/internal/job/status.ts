/**
 * Looks at how far a job is.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { JobId } from "../../JobId.ts"
import type { JobRecord } from "../../JobRecord.ts"
import * as JobState from "../../JobState.ts"
import type { JobOverview, JobStatus } from "../../JobStatus.ts"
import type { ListFilter, StateCounts } from "../../JobStore.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import { seemsDead } from "../../OwnerLiveness.ts"
import { activeTags } from "../store/request.ts"
import { changeWithin, type JobRuntime } from "./runtime.ts"
import { isSame } from "./watch.ts"

/** What the store tells of a job at one moment. */
interface Look extends JobOverview {
  readonly children: StateCounts
}

/** Gives the status of a job from its record and its progress. */
const statusFrom = (look: Look): JobStatus => {
  const { isOwnerDead, progress, record } = look
  const { items, totals, units } = progress
  const rates = record.state._tag === "Running" && !isOwnerDead ? progress.rates ?? {} : {}
  const counts: Readonly<Record<string, number>> = { ...units, items }
  const unit = ["bytes", "items"].find((unit) => (totals[unit] ?? 0) > 0 && (rates[unit] ?? 0) > 0)
  return {
    ...look,
    items,
    total: Option.fromUndefinedOr(totals["items"]),
    rates,
    remainingMillis: Option.map(
      Option.fromUndefinedOr(unit),
      (unit) => Math.max(0, (totals[unit] ?? 0) - (counts[unit] ?? 0)) / (rates[unit] ?? 1) * 1000
    )
  }
}

/** Whether a job runs, and its process seems to be dead. */
const isOwnerDead = ({ liveness }: JobRuntime, { lease, state }: JobRecord): Effect.Effect<boolean> =>
  state._tag === "Running" && Option.isSome(lease) ? seemsDead(liveness, lease.value.owner) : Effect.succeed(false)

const look = Effect.fnUntraced(function*(runtime: JobRuntime, id: JobId) {
  const { store } = runtime
  const record = yield* store.get(id)
  const { progress } = yield* store.pulse(id)
  const children = (yield* store.childCounts([id])).get(id) ?? {}
  return { record, progress, children, isOwnerDead: yield* isOwnerDead(runtime, record) }
})

/** Lists jobs, each as it is at one moment. */
export const overviewOf = (
  runtime: JobRuntime,
  filter: ListFilter
): Effect.Effect<ReadonlyArray<JobOverview>, JobStoreError> =>
  Effect.flatMap(
    runtime.store.listWithPulse(filter),
    Effect.forEach(({ progress, record }) =>
      Effect.map(isOwnerDead(runtime, record), (isOwnerDead) => ({ record, progress, isOwnerDead }))
    )
  )

/** Looks once. */
export const statusOf = (runtime: JobRuntime, id: JobId): Effect.Effect<JobStatus, JobStoreError> =>
  Effect.map(look(runtime, id), statusFrom)

/** Whether a job is over, and each of its children. The end of a job cancels its children, which takes a while. */
const isAllOver = ({ children, record }: Look): boolean =>
  JobState.isTerminal(record.state) && activeTags.every((tag) => (children[tag] ?? 0) === 0)

/** Emits the present status of a job, and then each change until the job and its children are over. */
export const statusChanges = (runtime: JobRuntime, id: JobId): Stream.Stream<JobStatus, JobStoreError> =>
  Stream.paginate<Look | undefined, JobStatus, JobStoreError>(undefined, (seen) =>
    Effect.gen(function*() {
      for (;;) {
        const { nextChange } = runtime.changed
        const now = yield* look(runtime, id)
        const { children, isOwnerDead, progress, record } = now
        const isOver = isAllOver(now)
        const hasChanged = seen === undefined || !isSame(record, seen.record) || isOwnerDead !== seen.isOwnerDead ||
          !Equal.equals([progress, children], [seen.progress, seen.children])
        if (hasChanged || isOver) return [[statusFrom(now)], isOver ? Option.none<Look>() : Option.some(now)]
        yield* changeWithin(nextChange, runtime.timing.pollMillis)
      }
    }))
