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
import * as Delete from "@fanout/ops/Delete"
import * as DeleteBatchLive from "@fanout/ops/DeleteBatchLive"
import * as DeleteOneLive from "@fanout/ops/DeleteOneLive"
import * as Hash from "@fanout/ops/Hash"
import * as HashCheck from "@fanout/ops/HashCheck"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Trash from "@fanout/ops/Trash"
import * as Verify from "@fanout/ops/Verify"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as ProcessExit from "./ProcessExit.ts"
import * as StoreHealth from "./StoreHealth.ts"
import * as Threads from "./Threads.ts"

/** Jobs that this program has code for. */
export const jobs = [Copy.job, Delete.job, Hash.job, HashCheck.job, Verify.job] as const

/** Where the threads of jobs come from. */
type OnThreads = <A, E, R>(
  program: Effect.Effect<A, E, R | Layer.Success<typeof Threads.layer>>
) => Effect.Effect<A, E, Exclude<R, Layer.Success<typeof Threads.layer>>>

/** Threads are started by a job that needs them, and end with it. */
const later: OnThreads = (program) =>
  program.pipe(Effect.provide(Threads.layer), Effect.catchTag("ThreadsUnavailable", Effect.die))

/** Threads are started at once, while the store is opened, and end with the runtime, after its jobs. */
const now: Effect.Effect<OnThreads, never, Scope.Scope> = Effect.gen(function*() {
  const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
  const starting = yield* Effect.forkIn(Layer.buildWithScope(Threads.layer, scope), scope, { startImmediately: true })
  return (program) =>
    Fiber.join(starting).pipe(
      Effect.catchTag("ThreadsUnavailable", Effect.die),
      Effect.flatMap((context) => Effect.provideContext(program, context))
    )
})

const reading = (onThreads: OnThreads) =>
  Layer.mergeAll(
    Hash.job.toLayer((payload) => onThreads(Hash.program(payload))),
    HashCheck.job.toLayer((payload) => onThreads(HashCheck.program(payload))),
    Verify.job.toLayer((payload) => onThreads(Verify.program(payload)))
  )

// What goes to the trash has nothing for threads to do.
const remove = Delete.job.toLayer((payload) =>
  payload.request.trash
    ? Effect.provide(Delete.program(payload), DeleteBatchLive.layer)
    : Effect.provide(Delete.program(payload), DeleteBatchLive.layerShared(Threads.layer))
).pipe(Layer.provide(DeleteOneLive.layer), Layer.provide([Trash.layer, SystemFiles.layerQuick]))

/** Layer that runs the jobs which it may claim. */
export const layer = ({ claim, concurrency, filename, needsThreads = false }: {
  readonly claim: JobManager.Claim
  readonly concurrency: number
  readonly filename: string
  /** Whether its jobs are sure to need threads. */
  readonly needsThreads?: boolean | undefined
}): Layer.Layer<JobManager.JobManager | JobStore | OwnerLiveness | StoreHealth.StoreHealth, JobStoreError> =>
  Layer.unwrap(
    Effect.map(
      Effect.tap(needsThreads ? now : Effect.succeed(later), ProcessExit.noteCalls),
      (onThreads) =>
        JobManager.layer({ jobs, claim }).pipe(
          Layer.provide(Layer.provide(Layer.mergeAll(Copy.layer, remove, reading(onThreads)), SystemFiles.layer)),
          Layer.provide(Pools.layer({ io: concurrency })),
          Layer.provideMerge([Layer.provide(StoreHealth.layer, layerSqlite({ filename })), layerOwnerLiveness])
        )
    )
  )
