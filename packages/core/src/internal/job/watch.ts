/**
 * Looks at a job until it is over, from any process: what is not recorded is not seen.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { JobEvent } from "../../JobHandle.ts"
import type { JobId } from "../../JobId.ts"
import type { JobRecord, LogEntry, OutcomeRow } from "../../JobRecord.ts"
import * as JobState from "../../JobState.ts"
import type { JobStore } from "../../JobStore.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import type { Outcome } from "../../Outcome.ts"
import type { Progress } from "../../Progress.ts"
import type { JobRuntime } from "./runtime.ts"

/** Rows or lines read at once; more than a watcher ever holds. */
const page = 256

/** A log keeps this many lines. */
const logLimit = 1000

const shown: ReadonlyArray<Outcome["_tag"]> = ["Failed", "Skipped"]

/** Waits until a job is over. */
export const awaitJob = Effect.fnUntraced(function*(runtime: JobRuntime, id: JobId) {
  while (true) {
    const { version } = runtime.changed
    const record = yield* runtime.store.get(id)
    if (JobState.isTerminal(record.state)) return record
    yield* unlessUnrecorded(runtime, record)
    yield* runtime.changed.wait(version, runtime.timing.pollMillis)
  }
})

/** Fails where this process owns the job, and could not record what its run has come to. */
const unlessUnrecorded = ({ unrecorded }: JobRuntime, { id, lease, state }: JobRecord) => {
  const found = unrecorded.get(id)
  return found !== undefined && state._tag === "Running" && Option.exists(lease, ({ token }) => token === found.token)
    ? Effect.fail(found.error)
    : Effect.void
}

/** What a watcher has seen. */
interface Seen {
  readonly record: JobRecord
  readonly progress: Progress
  readonly row: number
  readonly line: number
}

type Page = readonly [ReadonlyArray<JobEvent>, Option.Option<Option.Option<Seen>>]

/** Present state and progress, then what is recorded from then on, until the job is over. */
export const watchJob = (runtime: JobRuntime, id: JobId): Stream.Stream<JobEvent, JobStoreError> =>
  Stream.paginate(Option.none<Seen>(), (seen): Effect.Effect<Page, JobStoreError> =>
    Option.match(seen, {
      onNone: () => first(runtime, id),
      onSome: (seen) => next(runtime, id, seen)
    }))

const first = Effect.fnUntraced(function*(
  { store }: JobRuntime,
  id: JobId
): Effect.fn.Return<Page, JobStoreError> {
  // Where the present ends is read before the state: what comes in between is seen twice rather than never.
  const row = yield* lastRow(store, id)
  const line = (yield* store.logs(id, { after: 0, limit: logLimit })).at(-1)?.seq ?? 0
  const record = yield* store.get(id)
  const { progress } = yield* store.pulse(id)
  return [
    [{ _tag: "State", record }, { _tag: "Progress", progress }],
    JobState.isTerminal(record.state)
      ? Option.none()
      : Option.some(Option.some({ record, progress, row, line }))
  ]
})

const next = Effect.fnUntraced(function*(
  runtime: JobRuntime,
  id: JobId,
  seen: Seen
): Effect.fn.Return<Page, JobStoreError> {
  const { changed, store, timing } = runtime
  while (true) {
    const { version } = changed
    // The state first: when it says that the job is over, all the rest is recorded.
    const record = yield* store.get(id)
    const { progress } = yield* store.pulse(id)
    const rows = yield* store.outcomes(id, { tags: shown, after: seen.row, limit: page })
    const lines = yield* store.logs(id, { after: seen.line, limit: page })
    const drained = rows.length < page && lines.length < page
    const events = eventsOf(seen, record, progress, rows, lines, drained)
    if (events.length > 0) {
      const over = drained && JobState.isTerminal(record.state)
      return [
        events,
        over ? Option.none() : Option.some(Option.some({
          record,
          progress,
          row: rows.at(-1)?.[0] ?? seen.row,
          line: lines.at(-1)?.seq ?? seen.line
        }))
      ]
    }
    yield* changed.wait(version, timing.pollMillis)
  }
})

const eventsOf = (
  seen: Seen,
  record: JobRecord,
  progress: Progress,
  rows: ReadonlyArray<readonly [seq: number, row: OutcomeRow]>,
  lines: ReadonlyArray<LogEntry>,
  drained: boolean
): ReadonlyArray<JobEvent> => {
  const events: Array<JobEvent> = []
  const over = JobState.isTerminal(record.state)
  const state: JobEvent = { _tag: "State", record }
  if (!over && !isSame(record, seen.record)) events.push(state)
  if (!Equal.equals(progress, seen.progress)) events.push({ _tag: "Progress", progress })
  for (const [, row] of rows) events.push({ _tag: "Item", row })
  for (const entry of lines) events.push({ _tag: "Log", entry })
  // The end comes last.
  if (over && drained) events.push(state)
  return events
}

/** Whether two records say the same to a watcher: a revision alone says nothing. */
const isSame = (left: JobRecord, right: JobRecord): boolean =>
  left.token === right.token && Equal.equals(left.state, right.state) && Equal.equals(left.request, right.request)

/** Place of the newest row, found without reading the others: there are rows behind `low`, and none behind `high`. */
const lastRow = Effect.fnUntraced(function*(store: JobStore["Service"], id: JobId) {
  const isBehind = (after: number) =>
    Effect.map(store.outcomes(id, { tags: shown, after, limit: 1 }), (rows) => rows.length > 0)
  if (!(yield* isBehind(0))) return 0
  let low = 0
  let high = 1
  while (yield* isBehind(high)) {
    low = high
    high *= 2
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (yield* isBehind(middle)) low = middle
    else high = middle
  }
  return high
})

/** Stored endings of a job's items, in the order in which they were recorded. */
export const outcomesOf = (
  store: JobStore["Service"],
  id: JobId,
  tags: ReadonlyArray<Outcome["_tag"]> | undefined
): Stream.Stream<OutcomeRow, JobStoreError> =>
  Stream.paginate(0, (after) =>
    Effect.map(store.outcomes(id, { tags, after, limit: page }), (rows) => {
      const last = rows.at(-1)
      return [
        rows.map(([, row]) => row),
        last === undefined || rows.length < page ? Option.none<number>() : Option.some(last[0])
      ] as const
    }))

/** Lines of a job's log, oldest first. */
export const logsOf = (store: JobStore["Service"], id: JobId): Stream.Stream<LogEntry, JobStoreError> =>
  Stream.paginate(0, (after) =>
    Effect.map(store.logs(id, { after, limit: page }), (lines) => {
      const last = lines.at(-1)
      return [lines, last === undefined || lines.length < page ? Option.none<number>() : Option.some(last.seq)] as const
    }))
