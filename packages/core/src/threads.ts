/**
 * Runs tasks on worker threads and child processes of Node, behind the same handlers that run them on fibers: a job
 * does not see the difference.
 *
 * Threads are supervised one by one. What one of them dies of costs the task that it was at another attempt; the rest
 * of what it had goes to others.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Processes from "./internal/node/processes.ts"
import * as WorkerThreads from "./internal/node/workerThreads.ts"
import * as PoolLayer from "./internal/threads/poolLayer.ts"
import { ThreadSpawner } from "./internal/threads/threadSpawner.ts"
import { serveGroup } from "./internal/threads/worker.ts"
import type * as Task from "./Task.ts"
import type { ThreadsUnavailable } from "./ThreadsUnavailable.ts"

export { ThreadsUnavailable } from "./ThreadsUnavailable.ts"

/**
 * What threads run, how many there are, and within which limits.
 *
 * @category models
 * @since 0.1.0
 */
export interface ThreadOptions<R extends Task.Any = Task.Any, E = never, RX = never> {
  /** The module that each thread runs. It calls `runThread`. */
  readonly module: URL
  /** Threads at most; by default as many as the machine runs at the same time. */
  readonly size?: number
  /** Small tasks that are posted at once at most, 64 by default. A process gets one in any case. */
  readonly batch?: number
  /** How long a thread may have nothing to do until it is ended, 5 seconds by default. */
  readonly idle?: Duration.Input
  /** Handlers with which the thread that the layer is on takes part; without them it does not. */
  readonly caller?: Layer.Layer<Task.Handler<R>, E, RX>
  /** Bounds of the heap and the stack of each thread. Bytes of array buffers don't count. */
  readonly resourceLimits?: {
    readonly maxOldGenerationSizeMb?: number
    readonly maxYoungGenerationSizeMb?: number
    readonly stackSizeMb?: number
  }
  /** Options of Node, those of this process by default. */
  readonly execArgv?: ReadonlyArray<string>
  /** Arguments that the module finds in `process.argv`, behind two others. */
  readonly argv?: ReadonlyArray<string>
}

/**
 * Layer that provides the handlers of tasks by worker threads, which run a module that has them.
 *
 * **Details**
 *
 * - It starts one thread, and fails with `ThreadsUnavailable` if it can't; others start when there is work for them.
 * - A thread runs one task at a time. Small ones travel together: as many as take 2 ms by what was measured, and by
 *   the `cost` of their payloads. A thread has in hand what takes 20 ms more, for when it is through with these.
 * - A task whose thread is lost is tried again alone, and fails as `Quarantined` when that thread is lost too.
 * - A task that was asked to stop and has not after the grace period is interrupted; if that does not help either,
 *   because it never returns to the event loop, its thread is ended and replaced. So is one at its timeout, which
 *   counts from when it begins.
 * - With `caller`, the thread that the layer is on is one more: it takes a batch when no other one is idle, and lets
 *   all else on it have its turn before the next. Once a task has kept it for more than 20 ms before it first waited,
 *   it takes no part any more. Tasks that a thread may have died of never get there.
 * - If later no thread can be started any more, or the layer is closed, what runs tasks dies with
 *   `ThreadsUnavailable`. They stay unsettled.
 * - What a thread prints goes to the standard error of this process.
 *
 * **Gotchas**
 *
 * The task's `pool` and `weight` are not used: threads bound what runs. Handlers on threads have no dispatcher, and of
 * the caller's context only what the runtime gives a task. Their layer is built once for each thread. What a task does
 * to its thread it does to the whole process where that is the caller's: one that never ends or exits belongs nowhere
 * near `caller`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerThreads = <R extends Task.Any, E = never, RX = never>(
  group: RpcGroup.RpcGroup<R>,
  options: ThreadOptions<R, E, RX>
): Layer.Layer<Task.Handler<R>, E | ThreadsUnavailable, RX> =>
  Layer.provide(PoolLayer.layer(group, options), Layer.sync(ThreadSpawner, () => WorkerThreads.spawner(options)))

/**
 * Layer that does as `layerThreads` by child processes, each of which runs the module on one worker thread. For native
 * code: what it does to its process costs the task that it was at, and nothing else.
 *
 * **Details**
 *
 * - A process gets one task at a time. It ends with the layer, and at once when its owner has ended in whatever way,
 *   together with all that it has started.
 * - It is in a session of its own: signals of a terminal don't reach it.
 * - What a process prints goes to the standard error of this one.
 * - Where the kernel ends processes to have memory, it ends these first (Linux).
 *
 * **Gotchas**
 *
 * What a handler starts in a group of its own outlives the process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerProcesses = <R extends Task.Any, E = never, RX = never>(
  group: RpcGroup.RpcGroup<R>,
  options: ThreadOptions<R, E, RX>
): Layer.Layer<Task.Handler<R>, E | ThreadsUnavailable, RX> =>
  Layer.provide(PoolLayer.layer(group, options), Layer.sync(ThreadSpawner, () => Processes.spawner(options)))

/**
 * Runs the tasks of a group on this thread, which `layerThreads` or `layerProcesses` has started.
 *
 * @category running
 * @since 0.1.0
 */
export const runThread = <R extends Task.Any, E>(
  group: RpcGroup.RpcGroup<R>,
  handlers: Layer.Layer<Task.Handler<R>, E>
): void => WorkerThreads.run((shared, port) => Effect.provide(serveGroup(group, shared, port), handlers))
