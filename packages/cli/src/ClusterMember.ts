/**
 * Takes part in a cluster: runs tasks for all processes of it, and has them run tasks of the jobs here.
 */
import { ClusterWorkers, layerCluster, layerWorker } from "@fanout/core/cluster"
import type * as Job from "@fanout/core/Job"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { layerOwnerLiveness, layerSqlClient } from "@fanout/core/node"
import type { OwnerLiveness } from "@fanout/core/OwnerLiveness"
import type { Pools } from "@fanout/core/Pools"
import type * as Task from "@fanout/core/Task"
import type { FilePath } from "@fanout/ops/FilePath"
import * as FileThread from "@fanout/ops/FileThread"
import { ThreadTasks as MediaThreadTasks } from "@fanout/ops/MediaTask"
import { ProcessTasks } from "@fanout/ops/ThumbnailTask"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type { SocketServerError } from "effect/socket/SocketServer"
import type { SqlClient } from "effect/sql/SqlClient"
import * as Stop from "./exit/Stop.ts"
import { KnownWorkers } from "./host/KnownWorkers.ts"
import * as SharedFiles from "./machine/SharedFiles.ts"
import { addressText, listenAt, type Membership } from "./options/ClusterFlags.ts"
import type { Database } from "./options/Database.ts"
import { version as program } from "./Package.ts"

const Tasks = FileThread.Tasks.merge(MediaThreadTasks, ProcessTasks)

/** One of the tasks that travel. */
type TravellingTask = RpcGroup.Rpcs<typeof Tasks>

/** Handlers of the tasks that travel. */
export type Handlers = Task.Handler<TravellingTask>

const pathsOf = (payload: Task.Payload<TravellingTask>): ReadonlyArray<FilePath> =>
  "variants" in payload
    ? [payload.path, payload.output]
    : "path" in payload
    ? [payload.path]
    : FileThread.pathsOf(payload)

/** The registry of workers is beside the jobs. */
const registry = ({ filename, server, shown }: Database): Layer.Layer<SqlClient, JobStoreError> =>
  server === undefined
    ? layerSqlClient({ filename })
    : Layer.unwrap(
      Effect.map(Effect.promise(() => import("./Postgres.ts")), ({ layerClient }) => layerClient(server, shown))
    )

/** Layer that knows the workers of a cluster, without being one. */
export const layerLook = (
  database: Database,
  security: Membership["security"]
): Layer.Layer<ClusterWorkers | Handlers, JobStoreError> =>
  Layer.provide(layerCluster(Tasks, { security, program }), [layerOwnerLiveness, registry(database)])

/** A stop of the service waits for it. */
const leave = "4 seconds"

/** Service that has the handlers of the workers of a cluster, and leaves jobs to others whose files are not shared. */
export class ClusterMember extends Context.Service<ClusterMember, {
  readonly workers: Layer.Layer<Handlers>
  readonly refuse: (paths: ReadonlyArray<FilePath>) => Effect.Effect<Option.Option<Job.Refusal>>
}>()("@fanout/cli/ClusterMember") {}

const refuseBy = ({ whyNot }: SharedFiles.SharedFiles) => (paths: ReadonlyArray<FilePath>) =>
  Effect.map(
    whyNot(paths),
    Option.map((why) => ({
      by: "storage",
      why:
        `${why}. A cluster runs jobs on shared files only: name a folder that all machines have by --shared DIR, or ` +
        "run the job by `fanout jobs resume ID` on the machine with the files"
    }))
  )

const portRefused = ({ host, port }: Membership, { reason: { cause } }: SocketServerError) => {
  const why = cause instanceof Error ? cause.message : String(cause)
  const other = addressText({ host, port: port + 1 })
  return Stop.usage(`Port ${port} can't be listened on (${why}). Name another one: --cluster ${other}.`)
}

/** Layer that takes part in a cluster. The handlers are those by which this process does its share. */
export const layer = (
  database: Database,
  membership: Membership,
  handlers: Layer.Layer<Handlers>
): Layer.Layer<ClusterMember, JobStoreError | Stop.Stop, Pools | OwnerLiveness> => {
  const { host, port, security, shared } = membership
  return Layer.unwrap(Effect.map(SharedFiles.make(shared), (files) => {
    const refuse = (payload: Task.Payload<TravellingTask>) => files.whyNot(pathsOf(payload))
    const listen = listenAt(membership)
    const worker = layerWorker(Tasks, { host, port, security, program, listen, leave, refuse }).pipe(
      Layer.provide(handlers),
      Layer.catchTag("SocketServerError", (error) => Layer.effectDiscard(Effect.fail(portRefused(membership, error))))
    )
    const member = Layer.effectContext(Effect.map(Effect.context<Handlers | ClusterWorkers>(), (context) => {
      const { list } = Context.get(context, ClusterWorkers)
      const own = ClusterMember.of({ workers: Layer.succeedContext(context), refuse: refuseBy(files) })
      return Context.make(ClusterMember, own).pipe(Context.add(KnownWorkers, list))
    }))
    return Layer.provideMerge(Layer.provide(member, layerCluster(Tasks, { security, program })), worker).pipe(
      Layer.provide(registry(database))
    )
  }))
}
