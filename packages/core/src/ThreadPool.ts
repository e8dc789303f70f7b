/**
 * Runs tasks on threads, behind the same handlers that run them on fibers: a job does not see the difference.
 *
 * Threads are supervised one by one. What one of them dies of costs the task that it was at another attempt; the rest
 * of what it had goes to others.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Scope from "effect/Scope"
import { Attempt } from "./internal/dispatcher/attempt.ts"
import type { TaskHandler } from "./internal/dispatcher/taskDefinition.ts"
import { taskCrossing } from "./internal/threads/crossing.ts"
import * as Guest from "./internal/threads/guest.ts"
import { Pool } from "./internal/threads/pool.ts"
import type { Caller, Definition } from "./internal/threads/poolThread.ts"
import { handlersOf } from "./internal/threads/worker.ts"
import { Interrupter } from "./Interrupter.ts"
import { Lease } from "./Lease.ts"
import { Reporter } from "./Progress.ts"
import * as Task from "./Task.ts"
import { Cell } from "./TaskCheckpoint.ts"
import { ThreadSpawner, type ThreadsUnavailable } from "./ThreadSpawner.ts"

/**
 * How a pool is to work.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Threads at most; by default as many as the machine runs at the same time. */
  readonly size?: number
  /** Small tasks that are posted at once at most, 64 by default. A thread that is a process gets one in any case. */
  readonly batch?: number
  /** How long a thread may have nothing to do until it is ended, 5 seconds by default. */
  readonly idle?: Duration.Input
}

/**
 * Who takes part beside the threads.
 *
 * @category models
 * @since 0.1.0
 */
export interface Guests<R extends Task.Any, E, RX> {
  /** Handlers with which the thread that the pool is on takes part; without them it does not. */
  readonly caller?: Layer.Layer<Task.Handler<R>, E, RX>
}

/**
 * Layer that provides the handlers of tasks by threads which have them.
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
 * - With `caller`, the thread that the pool is on is one more: it takes a batch when no other one is idle, and lets all
 *   else on it have its turn before the next. Once a task has kept it for more than 20 ms before it first waited, it
 *   takes no part any more.
 *   Tasks that a thread may have died of never get there.
 * - If later no thread can be started any more, or the layer is closed, what runs tasks dies with
 *   `ThreadsUnavailable`. They stay unsettled.
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
export const layer = <R extends Task.Any, E = never, RX = never>(
  group: RpcGroup.RpcGroup<R>,
  { batch = 64, caller, idle = "5 seconds", size }: Options & Guests<R, E, RX> = {}
): Layer.Layer<Task.Handler<R>, E | ThreadsUnavailable, RX | ThreadSpawner> =>
  Layer.effectContext(Effect.gen(function*() {
    const spawner = yield* ThreadSpawner
    const scope = yield* Scope.make()
    const context = yield* Effect.context()
    const run = Effect.runForkWith(context)
    const idleMillis = Duration.toMillis(idle)
    const limits = { size: size ?? spawner.parallelism, batch: spawner.isApart === true ? 1 : batch, idleMillis }
    for (const [name, value] of Object.entries({ size: limits.size, batch })) {
      if (!Number.isInteger(value) || value < 1) {
        return yield* Effect.die(new Error(`A thread pool's ${name} has to be a whole number, at least 1: ${value}`))
      }
    }
    const own = caller === undefined ? undefined : handlersOf(group, yield* Layer.build(caller))
    const pool = new Pool({
      guest: own === undefined ? undefined : Guest.spawn(own, run),
      limits,
      spawner,
      tags: Array.from(group.requests.keys()),
      clock: yield* Clock.Clock,
      context,
      fork: (effect) => void run(Effect.forkIn(effect, scope, { startImmediately: true }))
    })
    yield* Effect.addFinalizer((exit) => Effect.andThen(pool.close, Scope.close(scope, exit)))
    yield* pool.begin
    const handlers = new Map<string, TaskHandler>()
    for (const task of group.requests.values()) {
      const { cost } = Context.getUnsafe(task.annotations, Task.TaskOptions)
      const definition: Definition = { tag: task._tag, crossing: taskCrossing(task), cost }
      const handler = (payload: unknown) =>
        Effect.withFiber((fiber) => pool.run(definition, payload, callerOf(fiber.context)))
      const { permits } = pool
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- handlers are erased in a context
      handlers.set(task.key, { tag: task._tag, handler, context: Context.empty(), permits } as unknown as TaskHandler)
    }
    return Context.makeUnsafe<Task.Handler<R>>(handlers)
  }))

const callerOf = (context: Context.Context<never>): Caller => {
  const interrupter = Context.get(context, Interrupter)
  const attempt = interrupter instanceof Attempt ? interrupter : undefined
  return {
    interrupter,
    reporter: Context.get(context, Reporter),
    cell: Context.get(context, Cell),
    lease: Context.get(context, Lease),
    begin: () => attempt?.begin(),
    isSuspect: attempt?.isSuspect ?? false
  }
}
