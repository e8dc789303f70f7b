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
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { adapt, type Adaptable } from "./internal/permits/adaptation.ts"
import { makePermits, type PermitPool } from "./internal/permits/permits.ts"
import { show } from "./internal/permits/poolMetrics.ts"

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
 * A pool as it is now.
 *
 * **Details**
 *
 * `most` is what `size` may come to by itself, where the pool finds its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pool {
  readonly size: number
  readonly most: number
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
  pool: Schema.String,
  why: Schema.String
}) {
  override get message(): string {
    return `Pool "${this.pool}" ${this.why}`
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
   * none is handed out until enough have come back. One that finds its own size keeps this one from then on.
   */
  readonly resize: (name: string, size: number) => Effect.Effect<void, PoolError>
  /** Finds a pool by its name; `undefined` where there is none. */
  readonly findUnsafe: (name: string) => Pool | undefined
}>()("@fanout/core/Pools") {}

/**
 * Bounds of a pool that finds its own size, and the size that it begins with: 1 ≤ `least` ≤ `first` ≤ `most`.
 *
 * **Details**
 *
 * It tries out which size gets most done, by what its tasks cost and by what they move (`TaskDispatcher.throttle`), and
 * keeps the smallest of those that are about as fast. Where memory is short (`Pressure`) it has less done at once. It
 * learns only while tasks wait for permits, from some hundred of them on.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdaptiveSize {
  readonly least: number
  readonly first: number
  readonly most: number
}

const isSize = (size: number): boolean => Number.isInteger(size) && size >= 1

const mistake = (size: number | AdaptiveSize): string | undefined => {
  if (typeof size === "number") {
    return isSize(size) ? undefined : `needs a whole number of permits, at least 1; it was given ${size}`
  }
  const { first, least, most } = size
  return [least, first, most].every(isSize) && least <= first && first <= most
    ? undefined
    : `needs whole numbers of permits with 1 ≤ least ≤ first ≤ most; it was given ${least}, ${first} and ${most}`
}

const defaultSizes: Readonly<Record<string, number>> = { io: 16, cpu: 2, network: 16, db: 4 }

/**
 * Layer that provides the pools `io` and `network` of 16 permits each, `cpu` of 2 and `db` of 4, resized or with others
 * added.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (sizes: Readonly<Record<string, number | AdaptiveSize>> = {}): Layer.Layer<Pools> =>
  Layer.effect(
    Pools,
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const scope = yield* Effect.scope
      const pools = new Map<string, PermitPool>()
      const adapting = new Map<string, Scope.Closeable>()
      for (const [name, size] of Object.entries({ ...defaultSizes, ...sizes })) {
        const why = mistake(size)
        if (why !== undefined) return yield* Effect.die(new PoolError({ pool: name, why }))
        const isFixed = typeof size === "number"
        const pool = makePermits(isFixed ? size : size.first, clock, isFixed ? size : size.most)
        pools.set(name, pool)
        if (!isFixed) adapting.set(name, yield* adaptIn(yield* Scope.fork(scope), adaptable(pool), size))
      }
      const names = Array.from(pools.keys()).toSorted()
      const status = Effect.sync(() =>
        names.flatMap((name) => {
          const pool = pools.get(name)
          return pool === undefined ? [] : [{ name, size: pool.size, held: pool.held, waiting: pool.waiting }]
        })
      )
      yield* Effect.forkScoped(show(status))
      return Pools.of({
        names,
        status,
        resize: (name, size) =>
          Effect.suspend(() => {
            const pool = pools.get(name)
            const why = pool === undefined ? `is not there, only ${names.join(", ")}` : mistake(size)
            if (why !== undefined) return Effect.fail(new PoolError({ pool: name, why }))
            pool?.resizeUnsafe(size)
            const own = adapting.get(name)
            return own === undefined ? Effect.void : Scope.close(own, Exit.void)
          }),
        findUnsafe: (name) => pools.get(name)
      })
    })
  )

const adaptIn = (scope: Scope.Closeable, pool: Adaptable, size: AdaptiveSize) =>
  Effect.as(Scope.provide(adapt(pool, size), scope), scope)

const adaptable = (pool: PermitPool): Adaptable => ({
  crowded: pool.crowded,
  countsUnsafe: () => ({ completed: pool.completed, inUse: pool.held, waiting: pool.waiting > 0 }),
  resizeUnsafe: pool.resizeUnsafe
})
