/**
 * Runs jobs in tests: everything in memory, and time stands still until the test moves it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Job from "./Job.ts"
import * as JobManager from "./JobManager.ts"
import type * as JobStore from "./JobStore.ts"
import type { JobStoreError } from "./JobStoreError.ts"
import * as MemoryJobStore from "./MemoryJobStore.ts"
import * as OwnerLiveness from "./OwnerLiveness.ts"
import * as Pools from "./Pools.ts"

/**
 * Layer that runs jobs on a store in memory, in pools of their own.
 *
 * **When to use**
 *
 * Use under `TestClock`, with the programs of the jobs and the handlers of their tasks provided. Retries, timeouts
 * and leases then take as long as the test says.
 *
 * **Gotchas**
 *
 * A job that was just started runs once the test lets it, by `settle` or by moving the clock. One that is asked to
 * stop and never reaches a safe point is interrupted after `grace`: the test must move the
 * clock. When the layer is closed, what still runs is interrupted at once.
 *
 * @category testing
 * @since 0.1.0
 */
export const layer = <const Jobs extends ReadonlyArray<Job.Any>>(
  options: JobManager.Options<Jobs> & {
    /** Permits of pools, beside or instead of the default ones. */
    readonly pools?: Readonly<Record<string, number>>
  }
): Layer.Layer<
  JobManager.JobManager | JobStore.JobStore | Pools.Pools,
  JobStoreError,
  Job.ToHandler<Jobs[number]>
> =>
  JobManager.layer<Jobs>({ shutdownDeadline: 0, ...options }).pipe(
    Layer.provideMerge(Layer.fresh(MemoryJobStore.layer)),
    Layer.provideMerge(Pools.layer(options.pools)),
    Layer.provide(Layer.fresh(OwnerLiveness.layerBlind))
  )

/**
 * Lets everything that is ready run while time stands still.
 *
 * **When to use**
 *
 * Use between starting a job and moving the clock, so that the job's time begins where the test's does.
 *
 * @category testing
 * @since 0.1.0
 */
export const settle: Effect.Effect<void> = Effect.asVoid(Effect.repeat(Effect.yieldNow, { times: 100 }))
