/**
 * Layer that provides the handlers of tasks by a pool of threads.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Scope from "effect/Scope"
import type * as Task from "../../Task.ts"
import type { ThreadsUnavailable } from "../../ThreadsUnavailable.ts"
import * as Numbers from "../numbers.ts"
import type { TaskHandler } from "../task/taskDefinition.ts"
import { TaskOptions } from "../task/taskOptions.ts"
import { taskCrossing } from "./crossing.ts"
import { LivePools } from "./livePools.ts"
import { Pool } from "./pool.ts"
import type { Definition } from "./poolThread.ts"
import { type Spawn, ThreadSpawner } from "./threadSpawner.ts"
import { type Handlers, handlersOf, serve } from "./worker.ts"

/** How a pool works, as `ThreadOptions` of `@fanout/core/threads` says it. */
export interface Options {
  readonly size?: number
  readonly batch?: number
  readonly idle?: Duration.Input
}

export const layer = <R extends Task.Any, E = never, RX = never>(
  group: RpcGroup.RpcGroup<R>,
  { batch = 64, caller, idle = "5 seconds", size }: Options & {
    readonly caller?: Layer.Layer<Task.Handler<R>, E, RX>
  } = {}
): Layer.Layer<Task.Handler<R>, E | ThreadsUnavailable, RX | ThreadSpawner> =>
  Layer.effectContext(Effect.gen(function*() {
    const spawner = yield* ThreadSpawner
    const scope = yield* Scope.make()
    const context = yield* Effect.context()
    const run = Effect.runForkWith(context)
    const limits = yield* Effect.sync(() => {
      const most = Numbers.count("A thread pool's batch", batch)
      return {
        size: Numbers.count("A thread pool's size", size ?? spawner.parallelism),
        batch: spawner.isApart === true ? 1 : most,
        idleMillis: Numbers.millis("A thread pool's idle", idle)
      }
    })
    const pool = new Pool({
      guest: caller === undefined ? undefined : guestOf(handlersOf(group, yield* Layer.build(caller)), run),
      limits,
      spawner,
      tags: Array.from(group.requests.keys()),
      clock: yield* Clock.Clock,
      context,
      fork: (effect) => void run(Effect.forkIn(effect, scope, { startImmediately: true }))
    })
    yield* Effect.addFinalizer((exit) => Effect.andThen(pool.close, Scope.close(scope, exit)))
    const live = yield* LivePools
    yield* Effect.acquireRelease(Effect.sync(() => live.add(pool)), () => Effect.sync(() => live.delete(pool)))
    yield* pool.begin
    const { permits } = pool
    const handlers = new Map<string, TaskHandler>()
    for (const task of group.requests.values()) {
      const { cost } = Context.getUnsafe(task.annotations, TaskOptions)
      const definition: Definition = { ...taskCrossing(task), tag: task._tag, cost }
      const handler = (payload: unknown) => Effect.withFiber((fiber) => pool.run(definition, payload, fiber.context))
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- handlers are erased in a context
      handlers.set(task.key, { tag: task._tag, handler, context: Context.empty(), permits } as unknown as TaskHandler)
    }
    return Context.makeUnsafe<Task.Handler<R>>(handlers)
  }))

/** Has the thread that the pool is on take part as one of the pool's: a fiber, to which messages go as they are. */
const guestOf =
  (handlers: Handlers, run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>): Spawn => (shared, listener) => {
    let receive: (message: unknown) => void = () => {}
    const fiber = run(serve(handlers, shared, {
      postUnsafe: (message) => soon(() => listener.message(message)),
      listenUnsafe: (listen) => {
        receive = listen
      }
    }, true))
    fiber.addObserver(() => soon(() => listener.ended("it has left")))
    return {
      postUnsafe: (message) => soon(() => receive(message)),
      holdUnsafe: () => {},
      terminate: Effect.asVoid(Fiber.interrupt(fiber))
    }
  }

/** Calls a function after whatever posts has returned. */
const soon = (call: () => void): void => void Promise.resolve().then(call)
