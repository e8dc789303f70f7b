/**
 * A dispatcher that is narrowed to a share of what the process has: for one job, a part of it, or a library that is
 * not to take all there is.
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
 * The most that tasks of a dispatcher may use together.
 *
 * **Details**
 *
 * - `concurrency`: tasks that run at the same time, whatever their pools.
 * - `permits`: of pools, by name. A pool that is not named is bounded by its own size alone.
 * - `tasksPerSecond`: tasks that begin. The further attempts of one that is retried do not wait for their turn, nor
 *   does one that goes on after it has waited for others.
 * - `bytesPerSecond`: what its tasks move, of what they ask `TaskDispatcher.throttle` for.
 * - `priority`: the most urgent that a task may be; one that asks for more is as urgent as this.
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
 * Layer that narrows the dispatcher that it is given.
 *
 * **Details**
 *
 * Narrowing composes: what is narrowed twice obeys both, so nothing that is inside can have more than what is around
 * it. Tasks find the narrowed dispatcher, too, for those that they run themselves.
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
