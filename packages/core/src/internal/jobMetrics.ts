/**
 * Metrics of the jobs that this process runs.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { Tally } from "../Progress.ts"

const elements = Metric.counter("fanout_elements")
const running = Metric.gauge("fanout_jobs_running")
const flushes = Metric.histogram("fanout_flush_millis", {
  boundaries: Metric.boundariesFromIterable([1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000])
})

/** How many fan-outs of a job are counted by their names. */
export const maxFanOuts = 64

/** The name under which the other fan-outs of a job are counted. */
export const others = "(others)"

const fanOutsOf = new Map<string, Set<string>>()

/** The name of a fan-out in the metrics. A process keeps each metric as long as it runs. */
const toldAs = (job: string, fanOut: string): string => {
  const known = fanOutsOf.get(job) ?? new Set()
  fanOutsOf.set(job, known)
  if (known.size < maxFanOuts) known.add(fanOut)
  return known.has(fanOut) ? fanOut : others
}

interface Flush {
  readonly job: string
  readonly fanOut: string
  readonly before: Tally | undefined
  readonly after: Tally
  readonly rows: number
}

/** Measures one flush of a fan-out: a span, the duration, and the number of new outcomes. */
export const measured = ({ after, before, fanOut, job, rows }: Flush) => <E, R>(flush: Effect.Effect<void, E, R>) =>
  Effect.gen(function*() {
    const [duration] = yield* Effect.timed(Effect.withSpan(flush, `fanout.flush ${fanOut}`, { attributes: { rows } }))
    const told = toldAs(job, fanOut)
    for (const outcome of ["done", "failed", "skipped"] as const) {
      // A retry lowers the number of failed elements.
      const more = after[outcome] - (before?.[outcome] ?? 0)
      if (more > 0) yield* Metric.update(Metric.withAttributes(elements, { job, fanOut: told, outcome }), more)
    }
    yield* Metric.update(Metric.withAttributes(flushes, { job }), Duration.toMillis(duration))
  })

/** Counts a run of a job until the scope closes. */
export const countRun = (job: string) => {
  const runs = Metric.withAttributes(running, { job })
  return Effect.acquireRelease(Metric.modify(runs, 1), () => Metric.modify(runs, -1))
}
