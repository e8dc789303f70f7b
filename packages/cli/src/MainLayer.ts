/**
 * Puts the runtime together: the store, the programs of the jobs, and the manager that runs them.
 */
import * as JobManager from "@fanout/core/JobManager"
import type { JobStore } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { layerOwnerLiveness, layerPressure, layerSqlClient, layerSqlite } from "@fanout/core/node"
import type { OwnerLiveness } from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as FileJobs from "@fanout/ops/FileJobs"
import type { FilePath } from "@fanout/ops/FilePath"
import * as Media from "@fanout/ops/Media"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Thumbnail from "@fanout/ops/Thumbnail"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ProcessExit from "./exit/ProcessExit.ts"
import * as Machine from "./machine/Machine.ts"
import * as Storage from "./machine/Storage.ts"
import type { Options } from "./run/JobRuntime.ts"
import * as Threads from "./Threads.ts"

/** Jobs that this program has code for. */
export const jobs = [...FileJobs.jobs, Media.job, Thumbnail.job] as const

/** Threads and processes are started by a job that needs them, and end with it. */
const media = Layer.mergeAll(
  Media.job.toLayer((payload) => Effect.provide(Media.program(payload), Layer.orDie(Threads.media))),
  Thumbnail.job.toLayer(
    (payload) => Effect.provide(Thumbnail.program(payload), Layer.orDie(Threads.processes)),
    { onCancel: Thumbnail.onCancel }
  )
)

/** Pools as large as the machine, and what the files are on, allow. */
const pools = (concurrency: Option.Option<number>, paths: ReadonlyArray<FilePath>): Layer.Layer<Pools.Pools> =>
  Layer.unwrap(Effect.gen(function*() {
    const machine = yield* Machine.read
    const storages = (yield* Effect.forEach(paths, Storage.at)).flatMap(Option.toArray)
    const sizes = Machine.poolSizes(machine, storages).map(({ bounds, name, size }) =>
      [name, bounds === undefined ? size : { ...bounds, first: size }] as const
    )
    const io = Option.map(concurrency, (wanted) => ({ io: Machine.filesWithin(machine, wanted) }))
    return Pools.layer({ ...Object.fromEntries(sizes), ...Option.getOrElse(io, () => ({})) }).pipe(
      Layer.provide(layerPressure)
    )
  }))

/** Layer that runs the jobs which it may claim. */
export const layer = (
  filename: string,
  { claim, concurrency = Option.none(), isDurable = false, paths = [] }: Options
): Layer.Layer<JobManager.JobManager | JobStore | OwnerLiveness, JobStoreError> => {
  const store = layerSqlite({ filename, synchronous: isDurable ? "FULL" : "NORMAL" })
  // Threads are started by a job that needs them, and end with it.
  const threads: FileJobs.Resources["threads"] = (count) => Threads.layer(filename, count)
  return Layer.unwrap(Effect.as(
    ProcessExit.noteCalls,
    JobManager.layer({ jobs, claim }).pipe(
      Layer.provide([
        FileJobs.layerWith({ client: layerSqlClient({ filename }), threads }),
        Layer.provide(media, [SystemFiles.layer, SystemFiles.layerQuick])
      ]),
      Layer.provide(pools(concurrency, paths)),
      Layer.provideMerge([store, layerOwnerLiveness])
    )
  ))
}
