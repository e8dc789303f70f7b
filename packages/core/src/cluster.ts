/**
 * Runs tasks on workers, which are processes on this or other machines, by the same handlers as on fibers. Jobs see no
 * difference.
 *
 * The owner of a job stays where it is. It finds workers by a registry in the database, and connects to them over TLS.
 * What a worker had in hand when it was lost, other workers run again.
 */
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type { SocketServerError } from "effect/socket/SocketServer"
import { SqlClient } from "effect/sql/SqlClient"
import type { ClusterWorkers } from "./ClusterWorkers.ts"
import * as ClusterPool from "./internal/cluster/clusterPoolLayer.ts"
import * as Registry from "./internal/cluster/registry.ts"
import * as Worker from "./internal/cluster/workerLayer.ts"
import * as Sockets from "./internal/node/clusterSockets.ts"
import * as Numbers from "./internal/numbers.ts"
import { mostConnections } from "./internal/sql/dialect.ts"
import type { OwnerLiveness } from "./OwnerLiveness.ts"
import type { Pools } from "./Pools.ts"
import type * as Task from "./Task.ts"

export { ClusterWorkers, type WorkerStatus, WorkersUnavailable } from "./ClusterWorkers.ts"

/**
 * How owners and workers prove to each other who they are. All connections use TLS 1.3.
 *
 * - `secret` is a text that all processes of the cluster share, of at least 32 random characters. For example,
 *   `openssl rand -base64 32` prints one. With a shorter one, a layer dies with a `RangeError`.
 * - Or each process has a certificate of one authority. All three texts are in PEM format. `name` is the name in the
 *   certificates of workers, if that is not the host under which they register.
 *
 * @category models
 */
export type ClusterSecurity = { readonly secret: Redacted.Redacted } | {
  readonly ca: string
  readonly certificate: string
  readonly key: Redacted.Redacted
  readonly name?: string
}

/**
 * Options of an owner whose tasks run on workers.
 *
 * @category models
 */
export interface ClusterOptions {
  readonly security: ClusterSecurity
  /**
   * For how long a worker goes on with its tasks when it hears nothing from the owner, 5 seconds by default. After this
   * time, other workers run the tasks.
   */
  readonly grant?: Duration.Input
  /** How long a task waits that all workers have refused, 30 seconds by default. */
  readonly patience?: Duration.Input
  /**
   * Version of the program, such as a commit. An owner and a worker with different ones refuse each other. Without it,
   * only tasks with other schemas are refused, so older code with the same schemas gets tasks.
   */
  readonly program?: string
}

/**
 * Options of a worker.
 *
 * @category models
 */
export interface WorkerOptions<in R extends Task.Any = never> {
  readonly security: ClusterSecurity
  /** Name or address under which owners reach this machine, and the port. */
  readonly host: string
  readonly port: number
  /** Address to listen at, all addresses of the machine by default. */
  readonly listen?: string
  /**
   * Why this worker does not run a task, if it does not: for example, since it lacks the file that the payload names.
   * Other workers then get the task. For ten seconds, this owner does not give the task to the worker again, nor
   * another one of its kind unless the worker has run one in the ten seconds before.
   */
  readonly refuse?: (payload: Task.Payload<R>) => Effect.Effect<Option.Option<string>>
  /** How long tasks that have begun may go on when the layer closes, 10 seconds by default. */
  readonly leave?: Duration.Input
  /** Version of the program, as in `ClusterOptions`. */
  readonly program?: string
}

/** Tables of the registry are `fanout_cluster_runners` and `fanout_cluster_locks`. */
const registry = () =>
  SqlRunnerStorage.layerWith({ prefix: "fanout_cluster" }).pipe(
    Layer.orDie,
    // Workers have no shards, so nobody needs a lock.
    Layer.provide(ShardingConfig.layer({ assignedShardGroups: [], shardLockDisableAdvisory: true })),
    Layer.provide(Layer.effectDiscard(Effect.map(SqlClient, checkConnections)))
  )

/** The registries of an owner and of a worker hold a connection each. */
const fewestConnections = 3

/** With fewer connections, every other statement would wait without a word. */
const checkConnections = (client: SqlClient): void => {
  const most = mostConnections(client)
  if (most >= fewestConnections) return
  throw new RangeError(
    `The database client of a cluster has ${most} connections. It needs ${fewestConnections}: set maxConnections`
  )
}

/**
 * Layer that provides the handlers of tasks by the workers of a cluster, and the service `ClusterWorkers`, which tells
 * of these workers.
 *
 * **Details**
 *
 * - A worker that comes later gets tasks within a second. While there is none, tasks wait.
 * - A worker has as many tasks in hand as its pools run at the same time, and what it gets done in 100 ms.
 * - Tasks of a worker that is lost run elsewhere, once that worker surely goes on with none of them: at once if its
 *   process was on this machine and is dead, otherwise after `grant`. A task whose worker was lost five times fails as
 *   `Quarantined`.
 * - If all workers refuse a task for `patience`, since they lack it or have another version of it, then the task's call
 *   dies with `WorkersUnavailable`. Its fan-out ends with this defect, and the task stays unsettled.
 * - A worker that is lost, or that is registered and can't be reached, is named in a warning with the reason.
 *
 * **Gotchas**
 *
 * The database client needs three connections, and a fourth one to hear of changes: a layer dies with a `RangeError` if
 * `maxConnections` is less than three. The task's `pool` and `weight` count on the worker. A handler on a worker has no
 * dispatcher. A payload, result or checkpoint of more than 16 MiB as JSON fails its task. A worker whose own thread is
 * busy for 4 seconds counts as lost, so handlers that compute for long belong on threads there.
 *
 * @category layers
 */
export const layerCluster = <R extends Task.Any>(
  group: RpcGroup.RpcGroup<R>,
  { security, ...options }: ClusterOptions
): Layer.Layer<Task.Handler<R> | ClusterWorkers, never, SqlClient | OwnerLiveness> =>
  ClusterPool.layer(group, options).pipe(
    Layer.provide(Registry.layer(() => Sockets.connector(security))),
    Layer.provide(registry())
  )

/**
 * Layer of a worker: registers this process and runs tasks for owners until the layer closes. Then the worker gives
 * back the tasks that it has not begun, and waits for the others.
 *
 * Each task that an owner may send needs a handler: on fibers, or on threads by `layerThreads`. The layer fails with
 * `SocketServerError` if the port is taken.
 *
 * @category layers
 */
export const layerWorker = <R extends Task.Any>(
  group: RpcGroup.RpcGroup<R>,
  { host, leave = "10 seconds", listen = "0.0.0.0", port, program, refuse, security }: WorkerOptions<R>
): Layer.Layer<never, SocketServerError, Task.Handler<R> | Pools | OwnerLiveness | SqlClient> =>
  Layer.unwrap(Effect.sync(() => {
    const leaveMillis = Numbers.millis("A worker's leave", leave)
    Numbers.port("A worker's port", port)
    return Layer.effectDiscard(Effect.gen(function*() {
      const worker = yield* Worker.ClusterHost
      yield* Sockets.listen(security, { host: listen, port }, worker.serve)
      yield* Registry.register(host, port)
      // The worker leaves before it is registered no more, and before its connections are closed.
      yield* Effect.addFinalizer(() => worker.leave(leaveMillis))
    })).pipe(Layer.provide([Worker.layer(group, { program, refuse }), registry()]))
  }))
