/**
 * Narrows a dispatcher to a share of the process: for one job, for a part of a job, or for a library.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Task from "./Task.ts"
import { Current, TaskDispatcher } from "./TaskDispatcher.ts"

/**
 * Limits of the tasks of a dispatcher, together.
 *
 * **Details**
 *
 * - `concurrency`: tasks that run at the same time, in whatever pools.
 * - `permits`: permits of pools, by pool name. The size of a pool is the only bound of a pool without an entry.
 * - `tasksPerSecond`: tasks that begin. The retries of a task do not wait for this limit, nor does a task that goes on
 *   after it has waited for other tasks.
 * - `bytesPerSecond`: bytes that the tasks ask `TaskDispatcher.throttle` for.
 * - `priority`: the highest priority of a task. A higher priority is lowered to this one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  readonly concurrency?: number
  readonly permits?: Readonly<Record<string, number>>
  readonly tasksPerSecond?: number
  readonly bytesPerSecond?: number
  readonly priority?: Task.Priority
}

/**
 * Layer that narrows a dispatcher. A dispatcher that is narrowed twice obeys both limits, so an inner dispatcher never
 * gets more than the outer one. The tasks that a task runs use the narrowed dispatcher as well.
 *
 * **Example** (Leaving most of a pool to others)
 *
 * ```ts
 * const gentle = crawl.pipe(
 *   Effect.provide(LimitedTaskDispatcher.layer({ permits: { network: 2 }, tasksPerSecond: 10, priority: "low" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (limits: Limits): Layer.Layer<TaskDispatcher, never, TaskDispatcher> =>
  Layer.effectContext(
    TaskDispatcher.use(({ limited }) => limited(limits)).pipe(
      Effect.map((dispatcher) =>
        Context.add(Context.make(TaskDispatcher, dispatcher), Current, Option.some(dispatcher))
      )
    )
  )
