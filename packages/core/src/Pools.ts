/**
 * Bounds what tasks use at the same time, by named pools of permits.
 *
 * All jobs of a process share the pools. The most urgent task takes the next free permit. A priority that got no permit
 * for a second counts as one step more urgent, so that no task starves. For example, beside endless `high` tasks a
 * `low` task begins every three seconds, or after two more `high` tasks if these take longer. Within a priority, the
 * job that holds the fewest permits goes next.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { adapt } from "./internal/permits/adaptation.ts"
import { makePermits, type PermitPool } from "./internal/permits/permits.ts"
import { show } from "./internal/permits/poolMetrics.ts"

/**
 * Schema for how a pool is used. `held` is more than `size` while a pool that was made smaller still has its permits
 * out, or while a task heavier than the pool runs alone. `waiting` counts tasks. An adaptive pool finds its size
 * between its `bounds`. A pool with a fixed size has none: `null`.
 *
 * @category schemas
 */
export const PoolStatus = Schema.Struct({
  name: Schema.String,
  size: Schema.Finite,
  held: Schema.Finite,
  waiting: Schema.Natural,
  bounds: Schema.NullOr(Schema.Struct({ least: Schema.Natural, most: Schema.Natural }))
})
export type PoolStatus = typeof PoolStatus.Type

/**
 * A pool as it is now. `most` is the largest `size` that an adaptive pool chooses.
 *
 * @category models
 */
export interface Pool {
  readonly size: number
  readonly most: number
  readonly held: number
  readonly waiting: number
}

/**
 * Error for an unknown pool, or for a size that no pool can have.
 *
 * @category errors
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
 */
export class Pools extends Context.Service<Pools, {
  readonly names: ReadonlyArray<string>
  /** Status of each pool, in the order of the names. */
  readonly status: Effect.Effect<ReadonlyArray<PoolStatus>>
  /**
   * Changes the number of permits of a pool. Held permits stay with their tasks. A pool with more held permits than its
   * new size gives out no permit until enough have come back. An adaptive pool keeps the new size. Fails with
   * `PoolError` for an unknown pool, or for a size that is not a whole number of at least 1.
   */
  readonly resize: (name: string, size: number) => Effect.Effect<void, PoolError>
  /** Finds a pool by its name. */
  readonly findUnsafe: (name: string) => Pool | undefined
}>()("@fanout/core/Pools") {}

/**
 * Bounds and first size of an adaptive pool: 1 ≤ `least` ≤ `first` ≤ `most`.
 *
 * **Details**
 *
 * An adaptive pool measures which size gets most work done, by the `cost` of its tasks and by the bytes that they move
 * (`TaskDispatcher.throttle`). The pool keeps the smallest size that is about as fast as the best. When memory is short
 * (`Pressure`), the pool shrinks. The pool learns only while tasks wait for permits, from some hundred on.
 *
 * @category models
 */
export interface AdaptiveSize {
  readonly least: number
  readonly first: number
  readonly most: number
}

const isSize = (size: number): boolean => Number.isSafeInteger(size) && size >= 1

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
 * Layer that provides the pools `io` and `network` of 16 permits each, `cpu` of 2, `db` of 4. `sizes` changes their
 * sizes and adds pools.
 *
 * @category layers
 */
export const layer = (sizes: Readonly<Record<string, number | AdaptiveSize>> = {}): Layer.Layer<Pools> =>
  Layer.effect(
    Pools,
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const scope = yield* Effect.scope
      const pools = new Map<string, PermitPool>()
      const adapting = new Map<string, { readonly own: Scope.Closeable; readonly bounds: PoolStatus["bounds"] }>()
      for (const [name, size] of Object.entries({ ...defaultSizes, ...sizes })) {
        const why = mistake(size)
        if (why !== undefined) return yield* Effect.die(new PoolError({ pool: name, why }))
        const isFixed = typeof size === "number"
        const pool = makePermits(isFixed ? size : size.first, clock, isFixed ? size : size.most)
        pools.set(name, pool)
        yield* Effect.forkScoped(pool.reopen)
        if (isFixed) continue
        const own = yield* Scope.fork(scope)
        yield* Scope.provide(adapt(pool, size), own)
        adapting.set(name, { own, bounds: { least: size.least, most: size.most } })
      }
      const names = Array.from(pools.keys()).toSorted()
      const status = Effect.sync(() =>
        names.flatMap((name) => {
          const pool = pools.get(name)
          if (pool === undefined) return []
          const { held, size, waiting } = pool
          return [{ name, size, held, waiting, bounds: adapting.get(name)?.bounds ?? null }]
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
            const adapted = adapting.get(name)
            adapting.delete(name)
            return adapted === undefined ? Effect.void : Scope.close(adapted.own, Exit.void)
          }),
        findUnsafe: (name) => pools.get(name)
      })
    })
  )
