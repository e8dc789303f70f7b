/**
 * What can be measured of the jobs that this process runs.
 */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { Tally } from "../Progress.ts"

const elements = Metric.counter("fanout_elements")
const running = Metric.gauge("fanout_jobs_running")
const flushes = Metric.histogram("fanout_flush_millis", {
  boundaries: Metric.boundariesFromIterable([1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000])
})

type Counts = Pick<Tally, "done" | "failed" | "skipped">

interface Flush {
  readonly job: string
  readonly fanOut: string
  readonly before: Counts | undefined
  readonly after: Counts
  readonly rows: number
}

/** Notes what a fan-out records that it had not before, and how long that takes; a span tells of it, too. */
export const measured = ({ after, before, fanOut, job, rows }: Flush) => <E, R>(flush: Effect.Effect<void, E, R>) =>
  Effect.flatMap(
    Effect.timed(Effect.withSpan(flush, `fanout.flush ${fanOut}`, { attributes: { rows } })),
    ([duration]) =>
      Effect.contextWith((context: Context.Context<never>) =>
        Effect.sync(() => {
          for (const outcome of ["done", "failed", "skipped"] as const) {
            // A retry takes what it has done from what has failed.
            const more = after[outcome] - (before?.[outcome] ?? 0)
            if (more > 0) Metric.withAttributes(elements, { job, fanOut, outcome }).updateUnsafe(more, context)
          }
          Metric.withAttributes(flushes, { job }).updateUnsafe(Duration.toMillis(duration), context)
        })
      )
  )

/** Counts a run of a job while it goes on. */
export const noteRunning = (job: string, change: 1 | -1, context: Context.Context<never>): void =>
  Metric.withAttributes(running, { job }).modifyUnsafe(change, context)
