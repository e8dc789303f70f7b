/**
 * Puts the runtime together: the store, the programs of the jobs, and the manager that runs them.
 */
import * as JobManager from "@fanout/core/JobManager"
import type { JobStore } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { layerOwnerLiveness, layerSqlite } from "@fanout/core/node"
import type { OwnerLiveness } from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as Copy from "@fanout/ops/Copy"
import * as NodeFiles from "@fanout/ops/NodeFiles"
import * as Layer from "effect/Layer"
import * as StoreHealth from "./StoreHealth.ts"

/** Jobs that this program has code for. */
export const jobs = [Copy.job] as const

/** Layer that runs the jobs which it may claim. */
export const layer = ({ claim, concurrency, filename }: {
  readonly claim: JobManager.Claim
  readonly concurrency: number
  readonly filename: string
}): Layer.Layer<JobManager.JobManager | JobStore | OwnerLiveness | StoreHealth.StoreHealth, JobStoreError> =>
  JobManager.layer({ jobs, claim }).pipe(
    Layer.provide(Layer.provide(Copy.layer, NodeFiles.layer)),
    Layer.provide(Pools.layer({ io: concurrency })),
    Layer.provideMerge([Layer.provide(StoreHealth.layer, layerSqlite({ filename })), layerOwnerLiveness])
  )
