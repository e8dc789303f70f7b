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
import * as Hash from "@fanout/ops/Hash"
import * as HashCheck from "@fanout/ops/HashCheck"
import * as NodeFiles from "@fanout/ops/NodeFiles"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as StoreHealth from "./StoreHealth.ts"
import * as Threads from "./Threads.ts"

/** Jobs that this program has code for. */
export const jobs = [Copy.job, Hash.job, HashCheck.job] as const

/** Threads are started by a job that needs them, and end with it. */
const onThreads = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  program.pipe(Effect.provide(Threads.layer), Effect.catchTag("ThreadsUnavailable", Effect.die))

const hash = Hash.job.toLayer((payload) => onThreads(Hash.program(payload)))
const hashCheck = HashCheck.job.toLayer((payload) => onThreads(HashCheck.program(payload)))

/** Layer that runs the jobs which it may claim. */
export const layer = ({ claim, concurrency, filename }: {
  readonly claim: JobManager.Claim
  readonly concurrency: number
  readonly filename: string
}): Layer.Layer<JobManager.JobManager | JobStore | OwnerLiveness | StoreHealth.StoreHealth, JobStoreError> =>
  JobManager.layer({ jobs, claim }).pipe(
    Layer.provide(Layer.provide(Layer.mergeAll(Copy.layer, hash, hashCheck), NodeFiles.layer)),
    Layer.provide(Pools.layer({ io: concurrency })),
    Layer.provideMerge([Layer.provide(StoreHealth.layer, layerSqlite({ filename })), layerOwnerLiveness])
  )
