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
import type { ChildCounts, ListFilter } from "../../JobStore.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import type { Progress } from "../../Progress.ts"
import { changeWithin, type JobRuntime } from "./runtime.ts"
import { isSame } from "./watch.ts"

/** What the store tells of a job at one moment. */
interface Look extends JobOverview {
  readonly children: ChildCounts
}

/** The counts of one moment, by unit. */
interface Sample {
  readonly at: number
  readonly counts: Readonly<Record<string, number>>
}

/** Milliseconds over which rates are taken, and the least time that gives a rate. */
const window = { most: 10_000, least: 500 }

const itemsOf = ({ tally: { done, failed, skipped } }: Progress): number => done + failed + skipped

/** Gives the status of a job from its record, its progress, and the samples of the last seconds. */
const statusFrom = ({ children, isOwnerDead, progress, record }: Look, samples: ReadonlyArray<Sample>): JobStatus => {
  const items = itemsOf(progress)
  const [first, last] = [samples[0], samples.at(-1)]
  const seconds = first === undefined || last === undefined ? 0 : (last.at - first.at) / 1000
  const rates = first === undefined || last === undefined || seconds * 1000 < window.least ? {} : Object.fromEntries(
    Object.entries(last.counts).map(([unit, count]) => [unit, Math.max(0, count - (first.counts[unit] ?? 0)) / seconds])
  )
  const counts: Readonly<Record<string, number>> = { ...progress.units, items }
  const unit = ["bytes", "items"].find((unit) => (progress.totals[unit] ?? 0) > 0 && (rates[unit] ?? 0) > 0)
  const left = unit === undefined ? undefined : Math.max(0, (progress.totals[unit] ?? 0) - (counts[unit] ?? 0))
  const isKnown = record.state._tag === "Running" && unit !== undefined && left !== undefined
  return {
    record,
    progress,
    isOwnerDead,
    items,
    children,
    total: Option.fromUndefinedOr(progress.totals["items"]),
    rates,
    remainingMillis: isKnown ? Option.some(left / (rates[unit] ?? 1) * 1000) : Option.none()
  }
}

/** Whether a job runs, and its process is surely dead. */
const isOwnerDead = ({ liveness }: JobRuntime, { lease, state }: JobRecord): Effect.Effect<boolean> =>
  state._tag === "Running" && Option.isSome(lease) ? liveness.isDead(lease.value.owner) : Effect.succeed(false)

const look = Effect.fnUntraced(function*(runtime: JobRuntime, id: JobId) {
  const { store } = runtime
  const record = yield* store.get(id)
  const { progress } = yield* store.pulse(id)
  const children = yield* store.childCounts(id)
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
  Effect.map(look(runtime, id), (now) => statusFrom(now, []))

interface Seen extends Look {
  readonly samples: ReadonlyArray<Sample>
}

/** Emits the present status of a job, and then each change until the job is over. */
export const statusChanges = (runtime: JobRuntime, id: JobId): Stream.Stream<JobStatus, JobStoreError> =>
  Stream.paginate<Seen | undefined, JobStatus, JobStoreError>(undefined, (seen) =>
    Effect.gen(function*() {
      for (;;) {
        const { nextChange } = runtime.changed
        const now = yield* look(runtime, id)
        const { children, progress, record } = now
        const hasChanged = seen === undefined || !isSame(record, seen.record) ||
          now.isOwnerDead !== seen.isOwnerDead ||
          !Equal.equals([progress, children], [seen.progress, seen.children])
        const isOver = JobState.isTerminal(record.state)
        if (hasChanged || isOver) {
          const at = yield* runtime.clock.currentTimeMillis
          const recent = record.state._tag === "Running"
            ? seen?.samples.filter((sample) => at - sample.at <= window.most) ?? []
            : []
          const samples = [...recent, { at, counts: { ...progress.units, items: itemsOf(progress) } }]
          const next = isOver ? Option.none<Seen>() : Option.some({ ...now, samples })
          return [[statusFrom(now, samples)], next]
        }
        yield* changeWithin(nextChange, runtime.timing.pollMillis)
      }
    }))
