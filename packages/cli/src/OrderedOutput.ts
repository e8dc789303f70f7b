/**
 * Writes what a comparison has recorded in the order of its walk, as soon as nothing can come before it any more.
 *
 * What is the same has no row, so the checkpoint of the fan-out tells what is still to come.
 */
import * as Frontier from "@fanout/core/Frontier"
import type { JobId } from "@fanout/core/JobId"
import { JobStore, type OutcomeRow } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { Sorter } from "@fanout/ops/VerifyRows"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as RowOutput from "./RowOutput.ts"
import type * as RunJob from "./RunJob.ts"
import type { Stop } from "./Stop.ts"

/** What of a job is written, and where to. */
export interface Options {
  readonly id: JobId
  readonly fanOut: string
  readonly sink: RowOutput.Sink
  readonly line: (row: OutcomeRow) => string
}

// Every row is an event, and each would have the checkpoint be read.
const pauseMillis = 100

/** Output that writes the lines of rows, all of them where a job is gone on with. */
export const make = ({ fanOut, id, line, sink }: Options): Effect.Effect<RunJob.Output, JobStoreError, JobStore> =>
  Effect.gen(function*() {
    const store = yield* JobStore
    // While failed ones run again it is not known which of the rows will stay.
    const isRetried = (yield* store.get(id)).state.attempt > 1
    const sorter = new Sorter()
    let after = 0
    let due = 0
    const read = Effect.gen(function*() {
      while (true) {
        const rows = yield* store.outcomes(id, { fanOut, tags: ["Failed"], after, limit: RowOutput.page })
        sorter.add(rows.map(([, row]) => row))
        after = rows.at(-1)?.[0] ?? after
        if (rows.length < RowOutput.page) return
      }
    })
    // What has waited for one file may be very much, and making lines of it is work. Whoever is interrupted leaves the
    // pages to the end.
    const pages: Array<ReadonlyArray<OutcomeRow>> = []
    const give = (rows: ReadonlyArray<OutcomeRow>): void => {
      for (const page of Arr.chunksOf(rows, RowOutput.page)) pages.push(page)
    }
    const writePages = Effect.gen(function*() {
      while (pages.length > 0) {
        yield* Effect.yieldNow
        yield* RowOutput.writeLines(sink, (pages.shift() ?? []).map(line))
      }
    })
    const write = (clear: Effect.Effect<void>): Effect.Effect<void, JobStoreError | Stop> =>
      Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        if (isRetried || now < due) return
        const checkpoint = yield* store.checkpoint(id, fanOut)
        yield* read
        const frontier = Option.flatMap(checkpoint, Frontier.fromCheckpoint)
        if (Option.isSome(frontier)) give(sorter.take(frontier.value))
        if (pages.length > 0) yield* clear
        yield* writePages
        // From the end of the work on: where it takes long, it must not take all of the time.
        due = (yield* Clock.currentTimeMillis) + pauseMillis
      })
    return {
      write,
      end: () =>
        Effect.gen(function*() {
          yield* read
          give(sorter.rest)
          yield* writePages
        })
    }
  })
