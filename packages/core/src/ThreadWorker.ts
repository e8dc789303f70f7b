/**
 * What a thread of a `ThreadPool` runs: the handlers of its tasks, for the owner on the other side of a port.
 *
 * `runThread` of `@fanout/core/node` is all that a module for Node's worker threads has to call.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Worker from "./internal/threads/worker.ts"
import type * as Task from "./Task.ts"

/**
 * How a thread reaches its owner.
 *
 * @category models
 * @since 0.1.0
 */
export interface Port {
  /** Posts a message, with what is to be moved instead of copied. It throws where the message can't be copied. */
  readonly postUnsafe: (message: unknown, transfers?: ReadonlyArray<unknown>) => void

  /** Has each message handed on. */
  readonly listenUnsafe: (receive: (message: unknown) => void) => void
}

/**
 * Runs tasks for the owner until it closes the thread.
 *
 * @category running
 * @since 0.1.0
 */
export const serve = <R extends Task.Any>(
  group: RpcGroup.RpcGroup<R>,
  shared: SharedArrayBuffer,
  port: Port
): Effect.Effect<void, never, Task.Handler<R>> =>
  Effect.contextWith((context: Context.Context<Task.Handler<R>>) =>
    Worker.serve(Worker.handlersOf(group, context), shared, port)
  )
