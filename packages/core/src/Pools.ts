/**
 * Bounds what tasks use at the same time, by named pools of permits.
 *
 * Pools are shared by all jobs of a process. A more urgent task takes the next free permit; waiting raises
 * every task, so that nothing starves.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { makePermits, type Permits } from "./internal/dispatcher/permits.ts"

/**
 * Service that holds the pools.
 *
 * @category services
 * @since 0.1.0
 */
export class Pools extends Context.Service<Pools, {
  /** Finds a pool by its name; `undefined` where there is none. */
  readonly findUnsafe: (name: string) => Permits | undefined
  readonly names: ReadonlyArray<string>
}>()("@fanout/core/Pools") {}

/**
 * Permits of the pools that every runtime has, unless it says otherwise.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultSizes: Readonly<Record<string, number>> = { io: 16, cpu: 2, network: 16, db: 4 }

/**
 * Layer that provides the pools `io`, `cpu`, `network` and `db`, resized or with others added.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (sizes: Readonly<Record<string, number>> = {}): Layer.Layer<Pools> =>
  Layer.effect(
    Pools,
    Effect.clockWith((clock) =>
      Effect.sync(() => {
        const pools = new Map<string, Permits>()
        for (const [name, size] of Object.entries({ ...defaultSizes, ...sizes })) {
          if (!Number.isInteger(size) || size < 1) {
            throw new Error(`Pool "${name}" needs a whole number of permits, at least 1; it was given ${size}`)
          }
          pools.set(name, makePermits(size, clock))
        }
        return Pools.of({ findUnsafe: (name) => pools.get(name), names: Array.from(pools.keys()) })
      })
    )
  )
