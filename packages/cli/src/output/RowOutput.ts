/**
 * Writes what a job has recorded of its elements as lines, in their order and at the pace of whoever takes them.
 */
import * as Frontier from "@fanout/core/Frontier"
import type { JobId } from "@fanout/core/JobId"
import type { JobManagerError } from "@fanout/core/JobManager"
import { JobStore, type OutcomeRow } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { type FilePath, isAddress } from "@fanout/ops/FilePath"
import type { Sorter } from "@fanout/ops/Verify"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as os from "node:os"
import type { Stop } from "../exit/Stop.ts"
import * as Host from "../host/Host.ts"
import * as Process from "../host/Process.ts"
import { withFiles, withJobs } from "../run/JobRuntime.ts"
import * as RunJob from "../run/RunJob.ts"
import { type Options, printAll } from "../ui/View.ts"

/** Where lines go. */
export interface Sink {
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, Stop>
  /** Says that these were all of them. */
  readonly finish: Effect.Effect<void, Stop>
}

const stdout: Sink = { write: printAll, finish: Effect.void }

/** Lines that are written at once. */
export const page = 256

/** Rows that are read at once: each may tell of 256 files. */
const rowsAtOnce = 64

/** Reading is work, too: every row is an event, and some would have a checkpoint be read. */
const pauseMillis = 100

/** What makes lines of rows, and knows their order. */
export interface Order<L> {
  /** Number of the row behind which rows have to be read again. */
  readonly rereadAfter?: number | undefined
  readonly add: (rows: ReadonlyArray<readonly [seq: number, row: OutcomeRow]>) => ReadonlyArray<L>
  /** What has to be known of a fan-out that has no row for what is done, and which lines come then. */
  readonly frontier?: {
    readonly of: string
    readonly take: (frontier: Frontier.Frontier) => ReadonlyArray<L>
  }
  readonly end: () => ReadonlyArray<L>
}

/** Lines as they are recorded. */
export const unsorted: Order<OutcomeRow> = { add: (rows) => rows.map(([, row]) => row), end: () => [] }

/** Rows in the order of a comparison. */
export const compared = (fanOut: string, sorter: Sorter): Order<OutcomeRow> => ({
  add: (rows) => {
    sorter.add(rows.map(([, row]) => row))
    return []
  },
  frontier: { of: fanOut, take: (frontier) => sorter.take(frontier) },
  end: () => sorter.rest
})

/** Lines of a job. */
export interface Lines<L> {
  readonly order: Order<L>
  readonly textOf: (line: L) => string | Uint8Array
  /** How many failed, by what they have come to, where each has a line. */
  readonly failures?: RunJob.Output["failures"]
}

/** Output that writes lines as soon as nothing can come before them, all of them where a job is gone on with. */
export const make = <L>(
  id: JobId,
  { failures, order, textOf }: Lines<L>,
  sink: Sink
): Effect.Effect<RunJob.Output, JobStoreError, JobStore> =>
  Effect.gen(function*() {
    const store = yield* JobStore
    // While failed ones run again it is not known which of their rows will stay.
    const waits = order.frontier !== undefined && (yield* store.get(id)).state.attempt > 1
    // What has waited for one file may be very much, and making lines of it is work. Whoever is interrupted leaves the
    // pages to the end.
    const pages: Array<ReadonlyArray<L>> = []
    let after = 0
    let due = 0
    const give = Effect.fnUntraced(function*(lines: ReadonlyArray<L>, clear: Effect.Effect<void>) {
      pages.push(...Arr.chunksOf(lines, page))
      if (pages.length > 0) yield* clear
      while (pages.length > 0) {
        yield* Effect.yieldNow
        const bytes = Buffer.concat((pages.shift() ?? []).map((line) => Buffer.from(textOf(line))))
        if (bytes.length > 0) yield* sink.write(bytes)
      }
    })
    const read = Effect.fnUntraced(function*(clear: Effect.Effect<void>) {
      while (true) {
        const rows = yield* store.outcomes(id, { after, limit: rowsAtOnce })
        yield* give(order.add(rows), clear)
        after = order.rereadAfter ?? rows.at(-1)?.[0] ?? after
        if (rows.length < rowsAtOnce && order.rereadAfter === undefined) return
      }
    })
    return {
      failures,
      write: Effect.fnUntraced(function*(clear) {
        if (waits || (yield* Clock.currentTimeMillis) < due) return
        const { frontier } = order
        const checkpoint = frontier === undefined ? Option.none() : yield* store.checkpoint(id, frontier.of)
        yield* read(clear)
        const found = Option.flatMap(checkpoint, Frontier.fromCheckpoint)
        if (frontier !== undefined && Option.isSome(found)) yield* give(frontier.take(found.value), clear)
        // From the end of the work on: where it takes long, it must not take all of the time.
        due = (yield* Clock.currentTimeMillis) + pauseMillis
      }),
      end: Effect.fnUntraced(function*({ state: { _tag } }) {
        do {
          yield* read(Effect.void)
          yield* give(order.end(), Effect.void)
          after = order.rereadAfter ?? after
        } while (order.rereadAfter !== undefined)
        if (_tag === "Completed" || _tag === "CompletedWithErrors") yield* sink.finish
      })
    }
  })

/** So many that each thread, or process, has its next piece in hand, however many there are. */
const piecesAtOnce = Math.max(16, 4 * os.availableParallelism())

/** So many requests are waited for. */
const requestsAtOnce = 64

const atOnce = (paths: ReadonlyArray<FilePath>): number => paths.some(isAddress) ? requestsAtOnce : piecesAtOnce

/** What is run, and how it is shown. */
export interface Run<L, R> {
  readonly start: Effect.Effect<JobId, JobManagerError | JobStoreError | Stop, R>
  readonly options: Options
  readonly concurrency?: number
  /** What is worked on. */
  readonly paths?: ReadonlyArray<FilePath>
  /** What it is there for; without it, it is told what has become of it. */
  readonly lines: Lines<L> | undefined
  /** File that the lines go to, in place of the standard output, what it may hold, and the line before all others. */
  readonly file?: Option.Option<FilePath>
  readonly mayHold?: (start: Uint8Array) => boolean
  readonly header?: string
}

const lineFile = Effect.promise(() => import("./LineFile.ts"))

/** Runs a job, or goes on with it, for its lines. */
export const run = <L, R>(
  {
    paths = [],
    concurrency = atOnce(paths),
    file = Option.none(),
    header = "",
    mayHold = () => false,
    lines,
    options,
    start
  }: Run<L, R>
) =>
  Effect.gen(function*() {
    if (Option.isSome(file)) {
      yield* withFiles(Effect.flatMap(lineFile, ({ check }) => check(file.value, mayHold, paths)))
    }
    yield* withJobs({ claim: { ids: [] }, concurrency: Option.some(concurrency), paths: paths.filter(isAddress) })(
      Effect.scoped(Effect.gen(function*() {
        const id = yield* start
        // Nobody reads what is written where the command has a host.
        const isUnread = Option.isNone(file) && (yield* Host.Current) !== undefined
        if (lines === undefined || isUnread) return yield* RunJob.run(id, options)
        const sink = Option.isNone(file)
          ? stdout
          : yield* withFiles(Effect.flatMap(lineFile, ({ make }) => make(id, file.value)))
        if (header !== "") yield* sink.write(Buffer.from(header))
        // Lines that come one after the other would tear one that is drawn anew.
        const isShared = lines.order.frontier === undefined && Process.current().stdout.isTTY && Option.isNone(file)
        yield* RunJob.run(id, { ...options, isShared }, yield* make(id, lines, sink))
      }))
    )
  })
