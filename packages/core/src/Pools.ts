/**
 * Bounds what tasks use at the same time, by named pools of permits.
 *
 * Pools are shared by all jobs of a process. A more urgent task takes the next free permit. A class of urgency that
 * got nothing for a second counts as one more urgent, so that nothing starves: of endless `high` tasks, and `low` ones
 * beside them, a `low` one begins every three seconds, or after two more of the others if these take longer. Within a
 * class, the job that holds the fewest permits goes next.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { makePermits, type PermitPool } from "./internal/dispatcher/permits.ts"

/**
 * What is seen of a pool.
 *
 * **Details**
 *
 * `held` is more than `size` while the pool was made smaller than what is held, or a task that weighs more than all of
 * it runs alone. `waiting` counts tasks.
 *
 * @category models
 * @since 0.1.0
 */
export interface PoolStatus {
  readonly name: string
  readonly size: number
  readonly held: number
  readonly waiting: number
}

/**
 * Error of who names a pool that there is not, or a size that none can have.
 *
 * @category errors
 * @since 0.1.0
 */
export class PoolError extends Schema.TaggedError<PoolError>("@fanout/core/Pools/PoolError")("PoolError", {
  name: Schema.String,
  why: Schema.String
}) {
  override get message(): string {
    return `Pool "${this.name}" ${this.why}`
  }
}

/**
 * Service that holds the pools.
 *
 * @category services
 * @since 0.1.0
 */
export class Pools extends Context.Service<Pools, {
  readonly names: ReadonlyArray<string>
  /** How each pool is used now, in the order of their names. */
  readonly status: Effect.Effect<ReadonlyArray<PoolStatus>>
  /**
   * Changes how many permits a pool has. Nobody loses one that it holds: where there are more out than the new size,
   * none is handed out until enough have come back.
   */
  readonly resize: (name: string, size: number) => Effect.Effect<void, PoolError>
  /** Finds a pool by its name; `undefined` where there is none. */
  readonly findUnsafe: (name: string) => PermitPool | undefined
}>()("@fanout/core/Pools") {}

/**
 * Permits of the pools that every runtime has, unless it says otherwise.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultSizes: Readonly<Record<string, number>> = { io: 16, cpu: 2, network: 16, db: 4 }

const mistake = (size: number): string | undefined =>
  Number.isInteger(size) && size >= 1
    ? undefined
    : `needs a whole number of permits, at least 1; it was given ${size}`

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
        const pools = new Map<string, PermitPool>()
        for (const [name, size] of Object.entries({ ...defaultSizes, ...sizes })) {
          const why = mistake(size)
          if (why !== undefined) throw new PoolError({ name, why })
          pools.set(name, makePermits(size, clock))
        }
        const names = Array.from(pools.keys()).toSorted()
        return Pools.of({
          names,
          status: Effect.sync(() =>
            names.flatMap((name) => {
              const pool = pools.get(name)
              return pool === undefined ? [] : [{ name, size: pool.size, held: pool.held, waiting: pool.waiting }]
            })
          ),
          resize: (name, size) =>
            Effect.suspend(() => {
              const pool = pools.get(name)
              const why = pool === undefined ? `is not there, only ${names.join(", ")}` : mistake(size)
              if (why !== undefined) return Effect.fail(new PoolError({ name, why }))
              pool?.resizeUnsafe(size)
              return Effect.void
            }),
          findUnsafe: (name) => pools.get(name)
        })
      })
    )
  )
