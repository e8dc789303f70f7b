/**
 * Metrics of pools. They are looked at once a second: to count each permit would cost more than a small task.
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { PoolStatus } from "../../Pools.ts"

const gauges = {
  size: Metric.gauge("fanout_pool_size"),
  held: Metric.gauge("fanout_pool_held"),
  waiting: Metric.gauge("fanout_pool_waiting")
}

/** Shows how pools are used, for ever. */
export const show = Effect.fnUntraced(function*(status: Effect.Effect<ReadonlyArray<PoolStatus>>) {
  while (true) {
    for (const { name: pool, ...counts } of yield* status) {
      for (const count of ["size", "held", "waiting"] as const) {
        yield* Metric.update(Metric.withAttributes(gauges[count], { pool }), counts[count])
      }
    }
    yield* Effect.sleep("1 second")
  }
})
