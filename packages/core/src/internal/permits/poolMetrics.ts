/**
 * What can be measured of pools. It is looked at once a second: to count each permit would cost more than a small task.
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { PoolStatus } from "../../Pools.ts"

const size = Metric.gauge("fanout_pool_size")
const held = Metric.gauge("fanout_pool_held")
const waiting = Metric.gauge("fanout_pool_waiting")

/** Shows how pools are used, for ever. */
export const show = Effect.fnUntraced(function*(status: Effect.Effect<ReadonlyArray<PoolStatus>>) {
  while (true) {
    for (const { name: pool, ...of } of yield* status) {
      yield* Metric.update(Metric.withAttributes(size, { pool }), of.size)
      yield* Metric.update(Metric.withAttributes(held, { pool }), of.held)
      yield* Metric.update(Metric.withAttributes(waiting, { pool }), of.waiting)
    }
    yield* Effect.sleep("1 second")
  }
})
