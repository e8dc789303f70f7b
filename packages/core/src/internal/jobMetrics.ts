/**
 * Metrics of the jobs that this process runs.
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

interface Flush {
  readonly job: string
  readonly fanOut: string
  readonly before: Tally | undefined
  readonly after: Tally
  readonly rows: number
}

/** Measures one flush of a fan-out: a span, the duration, and the number of new outcomes. */
export const measured = ({ after, before, fanOut, job, rows }: Flush) => <E, R>(flush: Effect.Effect<void, E, R>) =>
  Effect.flatMap(
    Effect.timed(Effect.withSpan(flush, `fanout.flush ${fanOut}`, { attributes: { rows } })),
    ([duration]) =>
      Effect.contextWith((context: Context.Context<never>) =>
        Effect.sync(() => {
          for (const outcome of ["done", "failed", "skipped"] as const) {
            // A retry lowers the number of failed elements.
            const more = after[outcome] - (before?.[outcome] ?? 0)
            if (more > 0) Metric.withAttributes(elements, { job, fanOut, outcome }).updateUnsafe(more, context)
          }
          Metric.withAttributes(flushes, { job }).updateUnsafe(Duration.toMillis(duration), context)
        })
      )
  )

/** Counts the start (1) or the end (-1) of a run. */
export const noteRunning = (job: string, change: 1 | -1, context: Context.Context<never>): void =>
  Metric.withAttributes(running, { job }).modifyUnsafe(change, context)
