/**
 * Puts the runtime together: the store, the programs of the jobs, and the manager that runs them.
 */
import * as JobManager from "@fanout/core/JobManager"
import type { JobStore } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Machine from "@fanout/core/Machine"
import {
  layerOwnerLiveness,
  layerPressure,
  layerSqlClient,
  layerSqlite,
  readMachine,
  storageOf
} from "@fanout/core/node"
import type { OwnerLiveness } from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as Copy from "@fanout/ops/Copy"
import * as CopyEntryLive from "@fanout/ops/CopyEntryLive"
import * as Delete from "@fanout/ops/Delete"
import * as DeleteBatchLive from "@fanout/ops/DeleteBatchLive"
import * as DeleteOneLive from "@fanout/ops/DeleteOneLive"
import type { FilePath } from "@fanout/ops/FilePath"
import * as HardLinks from "@fanout/ops/HardLinks"
import * as Hash from "@fanout/ops/Hash"
import * as HashCheck from "@fanout/ops/HashCheck"
import * as HashTaskLive from "@fanout/ops/HashTaskLive"
import * as Media from "@fanout/ops/Media"
import * as Move from "@fanout/ops/Move"
import * as SqlHardLinks from "@fanout/ops/SqlHardLinks"
import * as SqlHashCache from "@fanout/ops/SqlHashCache"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Thumbnail from "@fanout/ops/Thumbnail"
import * as Trash from "@fanout/ops/Trash"
import * as Verify from "@fanout/ops/Verify"
import * as VerifyEntryLive from "@fanout/ops/VerifyEntryLive"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Processes from "./Processes.ts"
import * as ProcessExit from "./ProcessExit.ts"
import * as StoreHealth from "./StoreHealth.ts"
import * as Threads from "./Threads.ts"

/** Jobs that this program has code for. */
export const jobs = [
  Copy.job,
  Delete.job,
  Hash.job,
  HashCheck.job,
  Media.job,
  Move.job,
  Thumbnail.job,
  Verify.job
] as const

type ThreadLayer = ReturnType<typeof Threads.layer>
type Others = ReturnType<typeof Threads.others>

/** Where the threads of jobs come from. */
type OnThreads = <A, E, R>(
  program: Effect.Effect<A, E, R | Layer.Success<ThreadLayer>>
) => Effect.Effect<A, E, Exclude<R, Layer.Success<ThreadLayer>>>

/** Threads are started by a job that needs them, and end with it. */
const later = (threads: ThreadLayer): OnThreads => (program) =>
  program.pipe(Effect.provide(threads), Effect.catchTag("ThreadsUnavailable", Effect.die))

/** Threads are started at once, while the store is opened, and end with the runtime, after its jobs. */
const now = (threads: ThreadLayer): Effect.Effect<OnThreads, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const starting = yield* Effect.forkIn(Layer.buildWithScope(threads, scope), scope, { startImmediately: true })
    return (program) =>
      Fiber.join(starting).pipe(
        Effect.catchTag("ThreadsUnavailable", Effect.die),
        Effect.flatMap((context) => Effect.provideContext(program, context))
      )
  })

/** Digests are remembered through a connection that is opened by a job that does so, and closed with it. */
const hashing = (payload: Hash.Payload, others: Others, filename: string) => {
  const hashes = HashTaskLive.layerShared(others, { paths: payload.sources })
  return payload.cache === true
    ? Hash.program(payload).pipe(
      Effect.provide(Layer.provideMerge(hashes, Layer.provide(SqlHashCache.layer, layerSqlClient({ filename }))))
    )
    : Effect.provide(Hash.program(payload), hashes)
}

const reading = (onThreads: OnThreads, others: Others, filename: string) =>
  Layer.mergeAll(
    Hash.job.toLayer((payload) => hashing(payload, others, filename)),
    HashCheck.job.toLayer((payload) => onThreads(HashCheck.program(payload))),
    Media.job.toLayer((payload) =>
      Media.program(payload).pipe(
        Effect.provide(Threads.media),
        Effect.catchTag("ThreadsUnavailable", Effect.die)
      )
    ),
    Verify.job.toLayer((payload) =>
      Effect.provide(
        Verify.program(payload),
        VerifyEntryLive.layerShared(others, { paths: [payload.a, payload.b] })
      )
    )
  )

/** Files with several names are remembered through a connection of its own, by a job that keeps them. */
const entries = (others: Others, filename: string, payload: Copy.Payload, keepsLinks: boolean) => {
  // Links may lead to anywhere, and calls take any time there.
  const entries = payload.request.dereference === true
    ? CopyEntryLive.layer
    : CopyEntryLive.layerShared(others.beside, { paths: Copy.pathsOf(payload) })
  const links = keepsLinks ? Layer.provide(SqlHardLinks.layer, layerSqlClient({ filename })) : HardLinks.layerNone
  return Layer.merge(entries, links)
}

const copying = (others: Others, filename: string) =>
  Layer.mergeAll(
    Copy.job.toLayer((payload) => {
      const keepsLinks = Copy.optionsOf(payload.request).keeps.has("links")
      return Effect.provide(Copy.program(payload), entries(others, filename, payload, keepsLinks))
    }, { onCancel: Copy.onCancel }),
    Move.job.toLayer((payload) => {
      const keepsLinks = Move.optionsOf(payload.request).keeps.has("links")
      return Effect.provide(Move.program(payload), entries(others, filename, payload, keepsLinks))
    }, { onCancel: Move.onCancel })
  )

// What goes to the trash has nothing for threads to do.
const remove = (others: Others) =>
  Delete.job.toLayer((payload) =>
    payload.request.trash
      ? Effect.provide(Delete.program(payload), DeleteBatchLive.layer)
      : Effect.provide(Delete.program(payload), DeleteBatchLive.layerShared(others.beside))
  ).pipe(Layer.provide(DeleteOneLive.layer), Layer.provide(Trash.layer))

/** Pools as large as the machine, and what the files are on, allow. */
const pools = (concurrency: Option.Option<number>, paths: ReadonlyArray<FilePath>): Layer.Layer<Pools.Pools> =>
  Layer.unwrap(Effect.gen(function*() {
    const machine = yield* readMachine
    const storages = (yield* Effect.forEach(paths, storageOf)).flatMap(Option.toArray)
    const sizes = Machine.poolSizes(machine, storages).map(({ bounds, name, size }) =>
      [name, bounds === undefined ? size : { ...bounds, first: size }] as const
    )
    const io = Option.map(concurrency, (wanted) => ({ io: Machine.filesWithin(machine, wanted) }))
    return Pools.layer({ ...Object.fromEntries(sizes), ...Option.getOrElse(io, () => ({})) }).pipe(
      Layer.provide(layerPressure)
    )
  }))

/** Processes are started by a job that needs them, and end with it. */
const thumbnails = Thumbnail.job.toLayer(
  (payload) =>
    Thumbnail.program(payload).pipe(
      Effect.provide(Processes.layer),
      Effect.catchTag("ThreadsUnavailable", Effect.die)
    ),
  { onCancel: Thumbnail.onCancel }
)

/** Layer that runs the jobs which it may claim. */
export const layer = ({ claim, concurrency, filename, isDurable, needsThreads = false, paths }: {
  readonly claim: JobManager.Claim
  /** How many files are worked on at the same time, if somebody says so. */
  readonly concurrency: Option.Option<number>
  /** What is worked on, from the root on. */
  readonly paths: ReadonlyArray<FilePath>
  readonly filename: string
  /** Whether what is recorded is to survive a power cut at once. */
  readonly isDurable: boolean
  /** Whether its jobs are sure to need threads. */
  readonly needsThreads?: boolean | undefined
}): Layer.Layer<JobManager.JobManager | JobStore | OwnerLiveness | StoreHealth.StoreHealth, JobStoreError> => {
  const threads = Threads.layer(filename)
  const others = Threads.others(filename)
  const store = layerSqlite({ filename, synchronous: isDurable ? "FULL" : "NORMAL" })
  return Layer.unwrap(
    Effect.map(
      Effect.tap(needsThreads ? now(threads) : Effect.succeed(later(threads)), ProcessExit.noteCalls),
      (onThreads) =>
        JobManager.layer({ jobs, claim }).pipe(
          Layer.provide(
            Layer.provide(
              Layer.mergeAll(
                copying(others, filename),
                remove(others),
                reading(onThreads, others, filename),
                thumbnails
              ),
              [
                SystemFiles.layer,
                SystemFiles.layerQuick
              ]
            )
          ),
          Layer.provide(pools(concurrency, paths)),
          Layer.provideMerge([Layer.provide(StoreHealth.layer, store), layerOwnerLiveness])
        )
    )
  )
}
