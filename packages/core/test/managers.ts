import type * as Job from "@fanout/core/Job"
import type * as JobManager from "@fanout/core/JobManager"
import type * as JobStore from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import type * as Pools from "@fanout/core/Pools"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { startIsolated } from "../src/internal/job/isolatedProcess.ts"

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
  Effect.map(startIsolated({ ...options, jobs }, sizes, programs), ({ close, manager, pools, silence }) => ({
    jobs: manager,
    pools,
    close,
    kill: silence
  }))
