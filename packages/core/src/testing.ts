/**
 * Runs jobs in tests, in memory. Time stands still until the test moves the clock.
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
 * Use under `TestClock`, and provide the programs of the jobs and the handlers of their tasks. Retries, timeouts and
 * leases then take as long as the test says.
 *
 * **Gotchas**
 *
 * A started job runs once the test calls `settle` or moves the clock. A job that is asked to stop and reaches no safe
 * point is interrupted after `grace`, so the test must move the clock. Closing the layer interrupts running jobs.
 *
 * @category testing
 * @since 0.1.0
 */
export const layer = <const Jobs extends ReadonlyArray<Job.Any>>(
  options: JobManager.Options<Jobs> & {
    /** Permits of pools, in addition to the default pools or in place of their sizes. */
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
 * Lets all ready fibers run while time stands still. Call it between starting a job and moving the clock, so that the
 * job's time begins where the test's does.
 *
 * @category testing
 * @since 0.1.0
 */
export const settle: Effect.Effect<void> = Effect.asVoid(Effect.repeat(Effect.yieldNow, { times: 100 }))
