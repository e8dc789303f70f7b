/**
 * Runs tasks: one, many, or a durable fan-out over an ordered source.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { Element, FanOutOptions, FanOutStopped, OnCommit, Parts, PauseOn } from "./FanOut.ts"
import { make as makeDispatcher } from "./internal/job/dispatcher.ts"
import { currentDispatcher } from "./internal/task/currentDispatcher.ts"
import { noteMoved, waitForOthers as waitForOthersInternal } from "./internal/task/slot.ts"
import { type Interrupted, makeUnsafe } from "./Interrupter.ts"
import type { JobContext } from "./JobContext.ts"
import type { JobStoreError } from "./JobStoreError.ts"
import type { Limits } from "./LimitedTaskDispatcher.ts"
import type { Pools } from "./Pools.ts"
import type { Tally } from "./Progress.ts"
import type * as Task from "./Task.ts"
import type { TaskHandle } from "./TaskHandle.ts"

/**
 * How one dispatch differs from what its task declares.
 *
 * @category models
 * @since 0.1.0
 */
export interface DispatchOptions {
  readonly pool?: string
  readonly priority?: Task.Priority
}

/**
 * A rate in bytes a second, or none.
 *
 * **Details**
 *
 * `take` waits until nothing is owed, and owes so many bytes then; a negative number is owed no more. `pieceUnsafe` is
 * how many to take at once, `most` at most.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bandwidth {
  readonly take: (bytes: number) => Effect.Effect<void>
  readonly pieceUnsafe: (most: number) => number
}

/**
 * What runs tasks within the pools' permits.
 *
 * **Details**
 *
 * A task that waits for others through `run`, `TaskHandle.await` or a fan-out gives its own permits back
 * meanwhile, so no nesting can deadlock a pool of any size.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dispatcher {
  /** Runs a plain effect as a task and gives its result. */
  readonly runEffect: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    options?: DispatchOptions
  ) => Effect.Effect<A, E | Interrupted, R>

  /** Runs a task and gives its result; an attempt that took too long ends with `Interrupted` by `Timeout`. */
  readonly run: <T extends Task.Any>(
    task: T,
    payload: Task.Payload<T>,
    options?: DispatchOptions
  ) => Effect.Effect<Task.Success<T>, Task.Failure<T> | Interrupted | Task.Skipped, Task.Handler<T>>

  /** Starts a task that goes on by itself, until it or the job ends. */
  readonly dispatch: <T extends Task.Any>(
    task: T,
    payload: Task.Payload<T>,
    options?: DispatchOptions
  ) => Effect.Effect<TaskHandle<Task.Success<T>, Task.Failure<T>>, never, Task.Handler<T>>

  /** Starts many tasks; the handles come in the order of the payloads. */
  readonly dispatchMany: <T extends Task.Any>(
    task: T,
    payloads: Iterable<Task.Payload<T>>,
    options?: DispatchOptions
  ) => Effect.Effect<ReadonlyArray<TaskHandle<Task.Success<T>, Task.Failure<T>>>, never, Task.Handler<T>>

  /**
   * Runs a task for every element of an ordered source, durably, and gives the tally.
   *
   * **Details**
   *
   * The name is unique in the job, and the same in each of its runs: one fan-out has one name, also where many are
   * opened one after the other. A finished fan-out gives a later run its stored tally without opening its source; one
   * that was stopped or lost goes on with what was not settled, then with the source after the last element it
   * had taken; one that is retried runs its failed elements first.
   *
   * A name that is open, or has ended in this run, is a defect: what it names would be taken for done. Where a program
   * does a part of itself again, as by `Effect.retry`, what a fan-out came to is kept outside of that part.
   */
  readonly fanOut: <T extends Task.Any, E, R, E2 = never, R2 = never>(
    name: string,
    task: T,
    source: (after: Option.Option<string>) => Stream.Stream<Element<Task.Payload<T>>, E, R>,
    options?: FanOutOptions & {
      /** For elements that stand for many. */
      readonly parts?: Parts<Task.Payload<T>, Task.Success<T>>
      /** For what is no failure of one element. */
      readonly pauseOn?: PauseOn<Task.Failure<T>>
      readonly onCommit?: OnCommit<Task.Payload<T>, Task.Success<T>, E2, R2>
    }
  ) => Effect.Effect<
    Tally,
    E | NoInfer<E2> | Interrupted | FanOutStopped | JobStoreError,
    R | NoInfer<R2> | JobContext | Task.Handler<T>
  >

  /** A dispatcher that runs tasks like this one, but uses no more than the limits allow. */
  readonly limited: (limits: Limits) => Effect.Effect<Dispatcher>

  /** The rate at which its tasks may move bytes, together. */
  readonly bandwidth: Bandwidth
}

/**
 * Service that runs tasks.
 *
 * @category services
 * @since 0.1.0
 */
export class TaskDispatcher extends Context.Service<TaskDispatcher, Dispatcher>()("@fanout/core/TaskDispatcher") {}

/**
 * Reference to the dispatcher of the job or task that runs now, for handlers: their layer can't require one.
 *
 * @category services
 * @since 0.1.0
 */
export const Current: Context.Reference<Option.Option<TaskDispatcher["Service"]>> = currentDispatcher

/**
 * Waits until the task that runs now may move so many bytes, at the rate that its job, or whatever else its dispatcher
 * was limited to, has. At once where there is no limit, and on threads: there whoever runs the task has asked before.
 *
 * **When to use**
 *
 * Use in handlers, for each piece that is read, written, sent or received. It is how a pool that finds its own size
 * learns how fast long tasks get on. Where it is not known how much will be moved, ask for the most, and give back the
 * rest by a negative number.
 *
 * **Gotchas**
 *
 * A task that is asked to stop is let go at once, so that it can come to its safe point: look at `Interrupter.check`
 * before the next piece.
 *
 * @category accessors
 * @since 0.1.0
 */
export const throttle = (bytes: number): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.andThen(noteMoved(bytes), Current),
    Option.match({ onNone: () => Effect.void, onSome: ({ bandwidth }) => bandwidth.take(bytes) })
  )

/**
 * Returns how many bytes the task that runs now should move at once, `most` of them where there is no limit: what takes
 * a tenth of a second, so that a rate holds within any second.
 *
 * @category accessors
 * @since 0.1.0
 */
export const pieceBytes = (most: number): Effect.Effect<number> =>
  Effect.map(Current, Option.match({ onNone: () => most, onSome: ({ bandwidth }) => bandwidth.pieceUnsafe(most) }))

/**
 * Runs an effect that waits for what another task does; the task that runs now gives its permits back meanwhile, as
 * where it waits through its dispatcher.
 *
 * **When to use**
 *
 * Use where tasks wait for one another by other means, such as a `Deferred` or a `Semaphore`. Otherwise those that wait
 * may hold all permits, while the one that they wait for needs one to go on: after `throttle`, for example.
 *
 * **Gotchas**
 *
 * Take nothing in it that has to be given back: where the task is interrupted while it waits for its permits, what the
 * effect gave is lost.
 *
 * @category accessors
 * @since 0.1.0
 */
export const waitForOthers: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = waitForOthersInternal

/**
 * Layer that provides a dispatcher to an application that has no job. Its tasks end with the layer.
 *
 * **Gotchas**
 *
 * `fanOut` needs a job: by type it requires `JobContext`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<TaskDispatcher, never, Pools> = Layer.effect(
  TaskDispatcher,
  Effect.suspend(() => Effect.map(makeDispatcher(makeUnsafe()), ({ dispatcher }) => dispatcher))
)
