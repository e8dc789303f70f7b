/**
 * Runs jobs in tests, in memory. Time stands still until the test moves the clock. Processes can be killed.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { startIsolated } from "./internal/job/isolatedProcess.ts"
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
 */
export const layer = <const Jobs extends ReadonlyArray<Job.Any>>(
  options: JobManager.Options<Jobs> & {
    /** Permits of pools, in addition to the default pools or in place of their sizes. */
    readonly pools?: Readonly<Record<string, number>>
  }
): Layer.Layer<
  JobManager.JobManager | JobStore.JobStore | Pools.Pools,
  JobStoreError,
  Job.ToProgram<Jobs[number]>
> =>
  JobManager.layer<Jobs>({ shutdownDeadline: 0, ...options }).pipe(
    Layer.provideMerge(Layer.fresh(MemoryJobStore.layer)),
    Layer.provideMerge(Pools.layer(options.pools)),
    Layer.provide(Layer.fresh(OwnerLiveness.layerBlind))
  )

/**
 * A process that a test can kill.
 *
 * @category testing
 */
export interface Process {
  readonly manager: JobManager.JobManager["Service"]
  readonly pools: Pools.Pools["Service"]

  /**
   * Ends the process as `kill -9` does: from now on its store receives nothing, and its tasks are interrupted. The next
   * process takes its jobs over when their leases have expired, after 15 seconds by default.
   */
  readonly kill: Effect.Effect<void>
}

/**
 * Starts a process: a manager in a scope of its own, on the `JobStore` of the test. Several processes share the store,
 * and the next one goes on where a killed one was.
 *
 * @category testing
 */
export const process = <const Jobs extends ReadonlyArray<Job.Any>, E, R>(
  options: Parameters<typeof layer<Jobs>>[0],
  programs: Layer.Layer<Job.ToProgram<Jobs[number]>, E, R>
): Effect.Effect<Process, E | JobStoreError, JobStore.JobStore | Scope.Scope | R> =>
  Effect.map(startIsolated(options, options.pools, programs), ({ close, manager, pools, silence }) => ({
    manager,
    pools,
    // The end of a process that is killed waits for a store that never answers.
    kill: Effect.andThen(silence, Effect.asVoid(Effect.forkDetach(close)))
  }))

/**
 * Lets all ready fibers run while time stands still. Call it between starting a job and moving the clock, so that the
 * job's time begins where the test's does.
 *
 * @category testing
 */
export const settle: Effect.Effect<void> = Effect.asVoid(Effect.repeat(Effect.yieldNow, { times: 100 }))
