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
import { changeWithin, type JobRuntime } from "./runtime.ts"

/** Rows or lines read at once; more than a watcher ever holds. */
const page = 256

const shown: ReadonlyArray<Outcome["_tag"]> = ["Failed", "Skipped"]

/** Waits until a job is over. */
export const awaitJob = Effect.fnUntraced(function*(runtime: JobRuntime, id: JobId) {
  while (true) {
    const { nextChange } = runtime.changed
    const record = yield* runtime.store.get(id)
    if (JobState.isTerminal(record.state)) return record
    yield* unlessUnrecorded(runtime, record)
    yield* changeWithin(nextChange, runtime.timing.pollMillis)
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

type Page = readonly [ReadonlyArray<JobEvent>, Option.Option<Seen>]

/** Present state and progress, then what is recorded from then on, until the job is over. */
export const watchJob = (runtime: JobRuntime, id: JobId): Stream.Stream<JobEvent, JobStoreError> =>
  Stream.paginate<Seen | undefined, JobEvent, JobStoreError>(
    undefined,
    (seen) => seen === undefined ? first(runtime, id) : next(runtime, id, seen)
  )

const first = Effect.fnUntraced(function*(
  { store }: JobRuntime,
  id: JobId
): Effect.fn.Return<Page, JobStoreError> {
  // Where the present ends is read before the state: what comes in between is seen twice rather than never.
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
        over ? Option.none() : Option.some({
          record,
          progress,
          row: rows.at(-1)?.[0] ?? seen.row,
          line: lines.at(-1)?.seq ?? seen.line
        })
      ]
    }
    yield* changeWithin(nextChange, timing.pollMillis)
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

/** Reads page by page, behind the number of what was read last. */
const pages = <A>(
  read: (options: { readonly after: number; readonly limit: number }) => Effect.Effect<ReadonlyArray<A>, JobStoreError>,
  seqOf: (last: A) => number
): Stream.Stream<A, JobStoreError> =>
  Stream.paginate(0, (after) =>
    Effect.map(read({ after, limit: page }), (found) => {
      const last = found.at(-1)
      const next = last === undefined || found.length < page ? Option.none<number>() : Option.some(seqOf(last))
      return [found, next] as const
    }))

/** Stored endings of a job's items, in the order in which they were recorded. */
export const outcomesOf = (
  store: JobStore["Service"],
  id: JobId,
  tags: ReadonlyArray<Outcome["_tag"]> | undefined
): Stream.Stream<OutcomeRow, JobStoreError> =>
  Stream.map(pages((options) => store.outcomes(id, { tags, ...options }), ([seq]) => seq), ([, row]) => row)

/** Lines of a job's log, oldest first. */
export const logsOf = (store: JobStore["Service"], id: JobId): Stream.Stream<LogEntry, JobStoreError> =>
  pages((options) => store.logs(id, options), ({ seq }) => seq)
