import type * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import * as JobStore from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { silenceable } from "../src/internal/job/silencedStore.ts"

/** A process: a manager in a scope of its own, on the store of the test. */
export interface Process {
  readonly jobs: JobManager.JobManager["Service"]
  readonly pools: Pools.Pools["Service"]
  /** Shuts it down. */
  readonly close: Effect.Effect<void>
  /** Lets its store answer nothing any more, as to a process that was killed. */
  readonly kill: Effect.Effect<void>
}

export const process = <const Jobs extends ReadonlyArray<Job.Any>>(
  jobs: Jobs,
  programs: Layer.Layer<Job.ToProgram<Jobs[number]>>,
  options: Omit<JobManager.Options<Jobs>, "jobs"> = {},
  sizes: Readonly<Record<string, number>> = {}
): Effect.Effect<Process, JobStoreError, JobStore.JobStore | Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const { silence, store } = silenceable(yield* JobStore.JobStore)
    const context = yield* JobManager.layer<Jobs>({ shutdownDeadline: 0, ...options, jobs }).pipe(
      Layer.provide(programs),
      Layer.provideMerge(Layer.fresh(Pools.layer(sizes))),
      Layer.provide(Layer.fresh(OwnerLiveness.layerBlind)),
      Layer.provide(Layer.succeed(JobStore.JobStore, store)),
      Layer.buildWithScope(scope)
    )
    return {
      jobs: Context.get(context, JobManager.JobManager),
      pools: Context.get(context, Pools.Pools),
      close: Scope.close(scope, Exit.void),
      kill: silence
    }
  })
