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
export const show = (status: Effect.Effect<ReadonlyArray<PoolStatus>>): Effect.Effect<never> => {
  const look = Effect.flatMap(status, (pools) =>
    Effect.forEach(pools, (pool) =>
      Effect.andThen(
        Metric.update(Metric.withAttributes(size, { pool: pool.name }), pool.size),
        Effect.andThen(
          Metric.update(Metric.withAttributes(held, { pool: pool.name }), pool.held),
          Metric.update(Metric.withAttributes(waiting, { pool: pool.name }), pool.waiting)
        )
      ), { discard: true }))
  return Effect.forever(Effect.andThen(look, Effect.sleep("1 second")))
}
