/**
 * Writes what a job has recorded of its elements, in their order and at the pace of whoever takes it.
 */
import type { JobId } from "@fanout/core/JobId"
import { JobStore, type OutcomeRow } from "@fanout/core/JobStore"
import * as Effect from "effect/Effect"
import type * as RunJob from "./RunJob.ts"
import type { Stop } from "./Stop.ts"
import { printAll } from "./ui/View.ts"

/** Where lines go. */
export interface Sink {
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, Stop>
  /** Says that these were all of them. */
  readonly finish: Effect.Effect<void, Stop>
}

/** The standard output. */
export const stdout: Sink = { write: printAll, finish: Effect.void }

/** Writes lines, all of which end where they should. */
export const writeLines = (
  sink: Sink,
  lines: ReadonlyArray<string | Uint8Array>
): Effect.Effect<void, Stop> => {
  const bytes = Buffer.concat(lines.map((line) => typeof line === "string" ? Buffer.from(line) : line))
  return bytes.length === 0 ? Effect.void : sink.write(bytes)
}

/** Rows that are read at once where each is one line. */
export const page = 256

/** Rows that are read at once where one may tell of 256 files: to make lines of all of them takes some 30 ms. */
const pageOfMany = 64

/** What makes lines of rows, and knows their order: a `Sorter`, or none where that does not matter. */
interface Order<L> {
  readonly rereadAfter: number | undefined
  readonly add: (rows: ReadonlyArray<readonly [seq: number, row: OutcomeRow]>) => ReadonlyArray<L>
  readonly end: () => ReadonlyArray<L>
}

/** Lines as they are recorded. */
export const unsorted: Order<OutcomeRow> = {
  rereadAfter: undefined,
  add: (rows) => rows.map(([, row]) => row),
  end: () => []
}

/** Output that writes the lines of rows as soon as these are recorded, and those before them. */
export const make = <L>(
  id: JobId,
  sorter: Order<L>,
  sink: Sink,
  textOf: (line: L) => string | Uint8Array
): Effect.Effect<RunJob.Output, never, JobStore> =>
  Effect.map(JobStore, (store) => {
    let after = 0
    const writeAll = (lines: ReadonlyArray<L>) => writeLines(sink, lines.map(textOf))
    const recorded = Effect.gen(function*() {
      while (true) {
        const rows = yield* store.outcomes(id, { after, limit: pageOfMany })
        yield* writeAll(sorter.add(rows))
        after = sorter.rereadAfter ?? rows.at(-1)?.[0] ?? after
        if (rows.length < pageOfMany && sorter.rereadAfter === undefined) return
      }
    })
    const rest = Effect.gen(function*() {
      do {
        yield* recorded
        yield* writeAll(sorter.end())
        after = sorter.rereadAfter ?? after
      } while (sorter.rereadAfter !== undefined)
    })
    return {
      write: () => recorded,
      end: ({ state: { _tag } }) =>
        Effect.gen(function*() {
          yield* rest
          if (_tag === "Completed" || _tag === "CompletedWithErrors") yield* sink.finish
        })
    }
  })
