/**
 * Watches a job until the job is over. A watcher reads the store, so any process can watch.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { JobEvent } from "../../JobHandle.ts"
import type { JobId } from "../../JobId.ts"
import type { JobRecord } from "../../JobRecord.ts"
import * as JobState from "../../JobState.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import type { Outcome } from "../../Outcome.ts"
import type { Progress } from "../../Progress.ts"
import { pageSize as page } from "../store/pages.ts"
import { changeWithin, type JobRuntime, quietMillis } from "./runtime.ts"

const shown: ReadonlyArray<Outcome["_tag"]> = ["Failed", "Skipped"]

/** Milliseconds that a job may be due before a waiting fiber asks whether any process runs such jobs. */
const unclaimedMillis = 10_000

/** Warns, once for each name of a job, that no process runs jobs of that name. */
const warnUnclaimed = Effect.fnUntraced(function*({ store, unclaimed }: JobRuntime, name: string, now: number) {
  unclaimed.add(name)
  const { held } = yield* store.look(now)
  if (held.some((job) => job.name === name)) return
  yield* Effect.logWarning(`Jobs of "${name}" wait, and no process runs one. Start a process that has its program`)
})

/** Milliseconds for which this process may fail to claim jobs before those who wait for one are told. */
const claimingMillis = 2000

/**
 * Fails if this process can't record the end of its run of a job, or can't claim the job. Until that is put right, the
 * job goes on in no process or in another one.
 */
const failIfStuck = (
  { claiming: { failure }, clock, runs, unrecorded }: JobRuntime,
  { id, lease, state }: JobRecord
): Effect.Effect<void, JobStoreError> => {
  const own = unrecorded.get(id)
  const isOwn = state._tag === "Running" && Option.exists(lease, ({ token }) => token === own?.token)
  if (own !== undefined && isOwn) return Effect.fail(own.error)
  const isLate = failure !== undefined && failure.since + claimingMillis <= clock.currentTimeMillisUnsafe()
  return isLate && !runs.has(id) ? Effect.fail(failure.error) : Effect.void
}

/** Waits until a job is over. */
export const awaitJob = Effect.fnUntraced(function*(runtime: JobRuntime, id: JobId) {
  const since = yield* runtime.clock.currentTimeMillis
  while (true) {
    const { nextChange } = runtime.changed
    const record = yield* runtime.store.get(id)
    if (JobState.isTerminal(record.state)) return record
    yield* failIfStuck(runtime, record)
    const now = yield* runtime.clock.currentTimeMillis
    const isLate = record.state._tag === "Queued" && Math.max(since, record.availableAt) + unclaimedMillis <= now
    if (isLate && !runtime.unclaimed.has(record.name)) yield* warnUnclaimed(runtime, record.name, now)
    yield* changeWithin(nextChange, quietMillis(runtime))
  }
})

/** The part of a job that a watcher has already emitted. */
interface Seen {
  readonly record: JobRecord
  readonly progress: Progress
  readonly row: number
  readonly line: number
}

type Page = readonly [ReadonlyArray<JobEvent>, Option.Option<Seen>]

/** Emits the state and the progress of a job, then all changes until the job is over. */
export const watchJob = (runtime: JobRuntime, id: JobId): Stream.Stream<JobEvent, JobStoreError> =>
  Stream.paginate<Seen | undefined, JobEvent, JobStoreError>(
    undefined,
    (seen) => seen === undefined ? first(runtime, id) : next(runtime, id, seen)
  )

const first = Effect.fnUntraced(function*(
  { store }: JobRuntime,
  id: JobId
): Effect.fn.Return<Page, JobStoreError> {
  // The last row and the last line are read before the state, so a watcher misses no change in between.
  const newest = { newestFirst: true, after: 0, limit: 1 }
  const [row] = yield* store.outcomes(id, { tags: shown, ...newest })
  const [line] = yield* store.logs(id, newest)
  const record = yield* store.get(id)
  const { progress } = yield* store.pulse(id)
  return [
    [{ _tag: "State", record }, { _tag: "Progress", progress }],
    JobState.isTerminal(record.state)
      ? Option.none()
      : Option.some({ record, progress, row: row?.[0] ?? 0, line: line?.seq ?? 0 })
  ]
})

const next = Effect.fnUntraced(function*(
  runtime: JobRuntime,
  id: JobId,
  seen: Seen
): Effect.fn.Return<Page, JobStoreError> {
  const { changed, store, timing } = runtime
  while (true) {
    const { nextChange } = changed
    // The state is read first: once the state is terminal, the store has all rows and lines.
    const record = yield* store.get(id)
    const { progress } = yield* store.pulse(id)
    const rows = yield* store.outcomes(id, { tags: shown, after: seen.row, limit: page })
    const lines = yield* store.logs(id, { after: seen.line, limit: page })
    const isOver = JobState.isTerminal(record.state)
    const isLast = isOver && rows.length < page && lines.length < page
    const events: Array<JobEvent> = []
    if (!isOver && !isSame(record, seen.record)) events.push({ _tag: "State", record })
    if (!Equal.equals(progress, seen.progress)) events.push({ _tag: "Progress", progress })
    for (const [, row] of rows) events.push({ _tag: "Item", row })
    for (const entry of lines) events.push({ _tag: "Log", entry })
    if (isLast) return [[...events, { _tag: "State", record }], Option.none()]
    if (events.length > 0) {
      const row = rows.at(-1)?.[0] ?? seen.row
      return [events, Option.some({ record, progress, row, line: lines.at(-1)?.seq ?? seen.line })]
    }
    yield* failIfStuck(runtime, record)
    yield* changeWithin(nextChange, timing.pollMillis)
  }
})

/** Whether two records of a job are equal for a watcher. A watcher ignores the revision. */
export const isSame = (left: JobRecord, right: JobRecord): boolean =>
  left.token === right.token && Equal.equals(left.state, right.state) && Equal.equals(left.request, right.request)
