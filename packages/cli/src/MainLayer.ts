/**
 * Puts the runtime together: the store, the programs of the jobs, and the manager that runs them.
 */
import * as JobManager from "@fanout/core/JobManager"
import type { JobStore } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { layerOwnerLiveness, layerPressure, layerSqlClient, layerSqlite } from "@fanout/core/node"
import type { OwnerLiveness } from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import { layerProcesses, layerThreads } from "@fanout/core/threads"
import * as FileJobs from "@fanout/ops/FileJobs"
import { type FilePath, isAddress } from "@fanout/ops/FilePath"
import * as Media from "@fanout/ops/Media"
import { ThreadTasks as MediaThreadTasks } from "@fanout/ops/MediaTask"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Thumbnail from "@fanout/ops/Thumbnail"
import { ProcessTasks } from "@fanout/ops/ThumbnailTask"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as os from "node:os"
import type { ClusterMember } from "./ClusterMember.ts"
import * as ProcessExit from "./exit/ProcessExit.ts"
import type { Stop } from "./exit/Stop.ts"
import * as ScheduledCommand from "./host/ScheduledCommand.ts"
import * as Machine from "./machine/Machine.ts"
import * as Memory from "./machine/Memory.ts"
import type { Database } from "./options/Database.ts"
import type { Options } from "./run/JobRuntime.ts"

/** Jobs that this program has code for. */
export const jobs = [...FileJobs.jobs, Media.job, Thumbnail.job, ScheduledCommand.job] as const

/** What threads and processes run: beside this module as a source, and beside the command where it is one file. */
const moduleOf = (name: string): URL =>
  new URL(`./${name}${import.meta.url.endsWith(".ts") ? ".ts" : ".cjs"}`, import.meta.url)

/** Layer that supplies what reads metadata. */
const mediaThreads = layerThreads(MediaThreadTasks, {
  module: moduleOf("mediaThread"),
  // What is made of one file, however hostile, has to do with so much. V8 would take more for what is thrown away.
  resourceLimits: { maxYoungGenerationSizeMb: 24, maxOldGenerationSizeMb: 256 }
}).pipe(ProcessExit.unawaited)

/** Layer that supplies decoders of images, by as many processes as there are cores. */
const decoders = layerProcesses(ProcessTasks, { module: moduleOf("decoder") })

/**
 * Threads and processes are started by a job that needs them, and end with it. In a cluster, the workers have them.
 */
const media = (member: ClusterMember["Service"] | undefined) => {
  const { refuse = () => Effect.succeedNone, workers } = member ?? {}
  const readers = workers ?? Layer.orDie(mediaThreads)
  const makers = workers ?? Layer.orDie(decoders)
  return Layer.mergeAll(
    Media.job.toLayer((payload) => Effect.provide(Media.program(payload), readers), {
      refuse: ({ sources }) => refuse(sources)
    }),
    Thumbnail.job.toLayer((payload) => Effect.provide(Thumbnail.program(payload), makers), {
      onCancel: Thumbnail.onCancel,
      refuse: ({ output, sources }) => refuse([...sources, output])
    })
  )
}

/** The commands are loaded by a tick that runs one of them. */
const scheduled = (filename: string) =>
  ScheduledCommand.job.toLayer((payload) =>
    Effect.flatMap(
      Effect.promise(() => import("./HostedCommand.ts")),
      ({ asJob }) => asJob(filename, payload)
    )
  )

/** Pools as large as the machine, and what the files are on, allow. */
const pools = (concurrency: Option.Option<number>, paths: ReadonlyArray<FilePath>): Layer.Layer<Pools.Pools> =>
  Layer.unwrap(Effect.gen(function*() {
    const machine = yield* Machine.read
    const storages = paths.some(isAddress)
      // Requests take longer than whatever is done for them on a disk.
      ? [{ kind: "network" as const }]
      : (yield* Effect.forEach(paths, Machine.storageAt)).flatMap(Option.toArray)
    const sizes = Machine.poolSizes(machine, storages).map(({ bounds, name, size }) =>
      [name, bounds === undefined ? size : { ...bounds, first: size }] as const
    )
    const io = Option.map(concurrency, (wanted) => ({ io: Machine.filesWithin(machine, wanted) }))
    return Pools.layer({ ...Object.fromEntries(sizes), ...Option.getOrElse(io, () => ({})) }).pipe(
      Layer.provide(layerPressure)
    )
  }))

/** Layer that keeps the jobs where this database is. */
export const layerStore = (
  { filename, server, shown }: Database,
  isDurable = false
): Layer.Layer<JobStore, JobStoreError> =>
  server === undefined
    ? layerSqlite({ filename, synchronous: isDurable ? "FULL" : "NORMAL" })
    : Layer.unwrap(Effect.map(Effect.promise(() => import("./Postgres.ts")), ({ layer }) => layer(server, shown)))

/** Layer that runs the jobs which it may claim. */
export const layer = (
  database: Database,
  { claim, concurrency = Option.none(), isDurable = false, membership, paths = [] }: Options
): Layer.Layer<JobManager.JobManager | JobStore | OwnerLiveness, JobStoreError | Stop> => {
  const { filename } = database
  // Threads look up digests in the file.
  const threads: FileJobs.Resources["threads"] = (count) =>
    FileJobs.threads({ filename, module: moduleOf("thread") }, count).pipe(ProcessExit.unawaited)
  const managerOf = (member: ClusterMember["Service"] | undefined) =>
    JobManager.layer({ jobs, claim }).pipe(
      Layer.provide([
        FileJobs.layerWith({ client: layerSqlClient({ filename }), threads, ...member }),
        Layer.provide(media(member), [SystemFiles.layer, SystemFiles.layerQuick]),
        scheduled(filename)
      ])
    )
  const managers = membership === undefined
    ? managerOf(undefined)
    : Layer.unwrap(Effect.map(Effect.promise(() => import("./ClusterMember.ts")), ({ ClusterMember, layer }) => {
      const handlers = Layer.orDie(Layer.mergeAll(threads(os.availableParallelism()), mediaThreads, decoders))
      const member = layer(database, membership, handlers)
      return Layer.provideMerge(Layer.unwrap(Effect.map(ClusterMember, managerOf)), member)
    }))
  // Requests have more of their own that is alive than calls to a disk.
  const settled = Layer.effectDiscard(Memory.settle(paths.some(isAddress) ? "400 millis" : "2 seconds"))
  return Layer.unwrap(Effect.as(
    ProcessExit.noteCalls,
    Layer.merge(managers, settled).pipe(
      Layer.provide(pools(concurrency, paths)),
      Layer.provideMerge([layerStore(database, isDurable), layerOwnerLiveness])
    )
  ))
}
