/**
 * Runs tasks on worker threads and child processes of Node, by the same handlers as on fibers. Jobs see no difference.
 *
 * Threads are supervised one by one. A thread that dies costs the task that it was running one attempt. Other threads
 * run the remaining tasks of the thread.
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
 * Options of threads and processes: their module, number and limits.
 *
 * @category models
 */
export interface ThreadOptions<R extends Task.Any = Task.Any, E = never, RX = never> {
  /** The module that each thread runs. The module calls `runThread`. */
  readonly module: URL
  /** Maximum number of threads; by default as many as the machine runs at the same time. */
  readonly size?: number
  /** Maximum number of small tasks that are posted at once, 64 by default. A process gets one task at a time. */
  readonly batch?: number
  /** How long a thread may be idle before it is ended, 5 seconds by default. */
  readonly idle?: Duration.Input
  /** Handlers for the calling thread, which then runs tasks as well. Without handlers, it runs none. */
  readonly caller?: Layer.Layer<Task.Handler<R>, E, RX>
  /** Bounds of the heap and the stack of each thread. The bytes of array buffers don't count. */
  readonly resourceLimits?: {
    readonly maxOldGenerationSizeMb?: number
    readonly maxYoungGenerationSizeMb?: number
    readonly stackSizeMb?: number
  }
  /** Options of Node; the options of this process by default. */
  readonly execArgv?: ReadonlyArray<string>
  /** Arguments that the module finds in `process.argv`, after the first two. */
  readonly argv?: ReadonlyArray<string>
}

/**
 * Layer that provides the handlers of tasks by worker threads. The threads run a module that has the actual handlers.
 *
 * **Details**
 *
 * - The layer starts one thread, or fails with `ThreadsUnavailable`. More threads start when there is work for them.
 * - A thread runs one task at a time. Small tasks travel in batches. A batch is as many tasks as are expected to take 2
 *   ms, by measurement and by their `cost`. A thread also holds a next batch of 20 ms.
 * - A task whose thread is lost is tried again alone. If that thread is lost as well, the task fails as `Quarantined`.
 * - A task that was asked to stop is interrupted after the grace period. If the task never returns to the event loop,
 *   its thread is ended and replaced. The same holds at the timeout, which counts from the task's begin.
 * - With `caller`, the calling thread is one more thread. It takes a batch when no other thread is idle, and lets all
 *   other work of the thread run before the next batch. It stops taking batches after a task has kept it for more than
 *   20 ms before that task first waited. A task that may have killed a thread never runs there.
 * - If no thread can be started any more, or the layer closes, calls of tasks die with `ThreadsUnavailable`. The tasks
 *   stay unsettled.
 * - The output of a thread goes to the standard error of this process.
 *
 * **Gotchas**
 *
 * The task's `pool` and `weight` have no effect: the threads bound what runs. A handler on a thread has no dispatcher.
 * Of the caller's context, it sees only what the runtime gives to a task. The layer of the handlers is built once for
 * each thread. A task of `caller` affects the whole process, so it must neither run for ever nor exit.
 *
 * @category layers
 */
export const layerThreads = <R extends Task.Any, E = never, RX = never>(
  group: RpcGroup.RpcGroup<R>,
  options: ThreadOptions<R, E, RX>
): Layer.Layer<Task.Handler<R>, E | ThreadsUnavailable, RX> =>
  Layer.provide(PoolLayer.layer(group, options), Layer.sync(ThreadSpawner, () => WorkerThreads.spawner(options)))

/**
 * Layer that works like `layerThreads` with child processes, each of which runs the module on one worker thread. Use it
 * for native code: a crash of a process costs only the task that the process was running.
 *
 * **Details**
 *
 * - A process gets one task at a time. The process ends with the layer. When the owner of a process ends for any
 *   reason, the process ends at once, with everything that it has started.
 * - A process has a session of its own: signals of a terminal don't reach it.
 * - The output of a process goes to the standard error of this process.
 * - When the Linux kernel kills processes to free memory, it kills these processes first.
 *
 * **Gotchas**
 *
 * A process that a handler starts in a process group of its own outlives the child process.
 *
 * @category layers
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
 */
export const runThread = <R extends Task.Any, E>(
  group: RpcGroup.RpcGroup<R>,
  handlers: Layer.Layer<Task.Handler<R>, E>
): void => WorkerThreads.run((shared, port) => Effect.provide(serveGroup(group, shared, port), handlers))
