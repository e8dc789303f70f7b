/**
 * Runs tasks: one task, many tasks, or a durable fan-out over an ordered source.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type {
  AllOptions,
  FailurePolicy,
  FanOutOptions,
  FanOutStopped,
  ForEachOptions,
  OnCommit,
  OnDone,
  Parts,
  PauseOn,
  Result
} from "./FanOut.ts"
import { make as makeDispatcher } from "./internal/job/dispatcher.ts"
import * as Numbers from "./internal/numbers.ts"
import { currentDispatcher } from "./internal/task/currentDispatcher.ts"
import { noteMoved, waitForOthers as waitForOthersInternal } from "./internal/task/slot.ts"
import { type Interrupted, makeUnsafe } from "./Interrupter.ts"
import type { JobContext } from "./JobContext.ts"
import type { JobStoreError } from "./JobStoreError.ts"
import type { Pools } from "./Pools.ts"
import type { Tally } from "./Progress.ts"
import type { Source } from "./Source.ts"
import type * as Task from "./Task.ts"
import type { TaskHandle } from "./TaskHandle.ts"

/**
 * Pool and priority of one dispatch, in place of those that the task declares.
 *
 * @category models
 */
export interface DispatchOptions {
  readonly pool?: string
  readonly priority?: Task.Priority
}

/**
 * A rate in bytes per second, or no limit. `take` waits until no bytes are owed; then the dispatcher owes the bytes of
 * the call. A negative number reduces the debt. `pieceUnsafe` gives the number of bytes to take at once.
 *
 * @category models
 */
export interface Bandwidth {
  readonly take: (bytes: number) => Effect.Effect<void>
  readonly pieceUnsafe: (most: number) => number
}

/**
 * Runs tasks within the permits of the pools. A task that waits through `run`, `TaskHandle.await` or a fan-out gives
 * its permits back while it waits. So nested tasks can't deadlock a pool of any size.
 *
 * @category models
 */
export interface Dispatcher {
  /** Runs a plain effect as a task and returns its result. */
  readonly runEffect: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    options?: DispatchOptions
  ) => Effect.Effect<A, E | Interrupted, R>

  /** Runs a task and returns its result. Fails with `Interrupted` by `Timeout` if an attempt took too long. */
  readonly run: <T extends Task.Any>(
    task: T,
    payload: Task.Payload<T>,
    options?: DispatchOptions
  ) => Effect.Effect<Task.Success<T>, Task.Failure<T> | Interrupted | Task.Skipped, Task.Handler<T>>

  /**
   * Starts a task that runs in the background until the task or the job ends. A program that succeeds before the task
   * has ended interrupts it, and the job's log says so.
   */
  readonly dispatch: <T extends Task.Any>(
    task: T,
    payload: Task.Payload<T>,
    options?: DispatchOptions
  ) => Effect.Effect<TaskHandle<Task.Success<T>, Task.Failure<T>>, never, Task.Handler<T>>

  /** Starts many tasks. The handles are in the order of the payloads. */
  readonly dispatchMany: <T extends Task.Any>(
    task: T,
    payloads: Iterable<Task.Payload<T>>,
    options?: DispatchOptions
  ) => Effect.Effect<ReadonlyArray<TaskHandle<Task.Success<T>, Task.Failure<T>>>, never, Task.Handler<T>>

  /**
   * Runs a task for every element of an ordered source, durably, and returns the tally.
   *
   * **Details**
   *
   * The name is unique in the job and the same in every run of the job. A fan-out that has finished returns its stored
   * tally in a later run, without opening its source. A stopped or lost fan-out first runs its unsettled elements, then
   * the source after the last element it had taken. A retried fan-out first runs its failed elements.
   *
   * A name that is open, or whose fan-out has ended in this run, is a defect: the second fan-out would count as done.
   * Code that repeats a part of the program, such as `Effect.retry`, keeps the tally of a fan-out outside of that part.
   */
  readonly fanOut: <
    T extends Task.Any,
    E,
    R,
    E2 = never,
    R2 = never,
    E3 = never,
    R3 = never,
    const F extends FailurePolicy = "collect"
  >(
    name: string,
    task: T,
    source: Source<Task.Payload<T>, E, R>,
    options?: Omit<FanOutOptions, "failures"> & {
      /** By default `"collect"`, with which the fan-out never fails with `FanOutStopped`. */
      readonly failures?: F
      /** For elements that stand for many elements. */
      readonly parts?: Parts<Task.Payload<T>, Task.Success<T>>
      /** For errors that are not the failure of one element. */
      readonly pauseOn?: PauseOn<Task.Failure<T> | NoInfer<E>>
      readonly onCommit?: OnCommit<Task.Payload<T>, Task.Success<T>, E2, R2>
      readonly onDone?: OnDone<Task.Payload<T>, Task.Success<T>, E3, R3>
    }
  ) => Effect.Effect<
    Tally,
    E | NoInfer<E2> | NoInfer<E3> | (F extends "collect" ? never : FanOutStopped) | Interrupted | JobStoreError,
    R | NoInfer<R2> | NoInfer<R3> | JobContext | Task.Handler<T>
  >

  /**
   * Runs a function for every item, durably, and returns the values in the order of the items. It is the durable
   * counterpart of `Effect.forEach`.
   *
   * **Details**
   *
   * The function needs no `Task` and no layer, and its items need no schema: the store keeps their places and the
   * values. The first failure stops the other items and fails the effect. An item that has failed or was stopped runs
   * again when the effect runs again: in a retry within the program, in the next run of the job, after a retry of the
   * job. An item that is done never runs again. A timeout is `Interrupted` by `Timeout`.
   *
   * **Gotchas**
   *
   * A name that has given its values can't be used again in the same run, not by an `Effect.retry` around more than one
   * step either. Each item costs some 50 µs and 200 bytes in the store; `fanOut` counts elements for 2 µs. Each run of
   * the job has to give the same items: those of its payload, or the results of an earlier fan-out. Other items end the
   * effect with a defect. The function runs in fibers of this process; work for threads or processes is
   * a task, for `runAll`. To have failures as values, give `Effect.result` of the function, and `Schema.Result`.
   */
  readonly forEach: <A, S extends Task.Codec, E extends Task.Codec = Schema.Never, R = never>(
    name: string,
    items: Iterable<A>,
    f: (item: A, index: number) => Effect.Effect<
      NoInfer<S>["Type"],
      // The compiler is to name `NothingDurable` then, and not the errors that have no schema.
      NoInfer<E>["Type"] | Interrupted | (JobContext extends R ? unknown : never),
      R
    >,
    options: ForEachOptions<NoInfer<A>, S, E>
  ) => JobContext extends R ? NothingDurable
    : Effect.Effect<ReadonlyArray<S["Type"]>, E["Type"] | Interrupted | JobStoreError, R | JobContext>

  /**
   * Runs a task for every payload, durably, and returns the values in the order of the payloads, as `forEach` does: on
   * fibers, threads or processes, as the layer of the task says. A task that is skipped has no value, and is a defect.
   */
  readonly runAll: <T extends Task.Any>(
    name: string,
    task: T,
    payloads: Iterable<Task.Payload<T>>,
    options?: AllOptions & { readonly pauseOn?: PauseOn<Task.Failure<T>> }
  ) => Effect.Effect<
    ReadonlyArray<Task.Success<T>>,
    Task.Failure<T> | Interrupted | JobStoreError,
    JobContext | Task.Handler<T>
  >

  /**
   * Reads the stored results of a fan-out of this job, in the order of their recording and in flat memory. A fan-out
   * that keeps `"all"` has a result for each element, any other one for those that failed or were skipped.
   */
  readonly results: <T extends Task.Any>(name: string, task: T) => Stream.Stream<Result<T>, JobStoreError, JobContext>

  /** A dispatcher that runs tasks like this dispatcher, within the limits. */
  readonly limited: (limits: Limits) => Effect.Effect<Dispatcher>

  /** The rate at which the tasks of the dispatcher may move bytes, together. */
  readonly bandwidth: Bandwidth
}

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
 */
export interface Limits {
  readonly concurrency?: number
  readonly permits?: Readonly<Record<string, number>>
  readonly tasksPerSecond?: number
  readonly bytesPerSecond?: number
  readonly priority?: Task.Priority
}

/**
 * The type of a durable `forEach` whose function starts something durable itself. The function runs as a task: where it
 * runs again, a fan-out in it would not.
 *
 * @category models
 */
export interface NothingDurable {
  readonly "the function of forEach runs as a task: fanOut, forEach, Checkpoint and ChildJobs are for the program":
    never
}

/**
 * Service that runs tasks.
 *
 * @category services
 */
export class TaskDispatcher extends Context.Service<TaskDispatcher, Dispatcher>()("@fanout/core/TaskDispatcher") {}

/**
 * Reference to the dispatcher of the job or task that runs now. Handlers use it, because their layer can't require a
 * dispatcher.
 *
 * @category services
 */
export const Current: Context.Reference<Option.Option<TaskDispatcher["Service"]>> = currentDispatcher

/**
 * Waits until the task that runs now may move `bytes`, at the rate of its job or of its limited dispatcher. The call
 * returns at once without a limit, and on a thread, whose caller has already waited.
 *
 * **When to use**
 *
 * Use in handlers, for each piece that is read, written, sent or received. An adaptive pool learns from these calls how
 * fast long tasks get on. If the number is not known, ask for the most and return the rest by a negative number.
 *
 * **Gotchas**
 *
 * A task that is asked to stop does not wait, so that it can reach its safe point: yield `Interrupter.check` before the
 * next piece.
 *
 * @category accessors
 */
export const throttle = (bytes: number): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.andThen(Effect.suspend(() => noteMoved(Numbers.amount("The bytes of throttle", bytes))), Current),
    Option.match({ onNone: () => Effect.void, onSome: ({ bandwidth }) => bandwidth.take(bytes) })
  )

/**
 * Returns how many bytes the task that runs now should move at once: as many as take a tenth of a second at its rate,
 * so that the rate holds within any second. The result is at most `most`, and `most` without a limit. A slow rate still
 * gives 4,096 bytes, if `most` allows.
 *
 * @category accessors
 */
export const pieceBytes = (most: number): Effect.Effect<number> =>
  Effect.map(Current, (current) => {
    const piece = Numbers.size("The most of pieceBytes", most)
    return Option.match(current, { onNone: () => piece, onSome: ({ bandwidth }) => bandwidth.pieceUnsafe(piece) })
  })

/**
 * Runs an effect that waits for another task. The running task gives its permits back meanwhile, as in `run`.
 *
 * **When to use**
 *
 * Use where tasks wait for one another by other means, such as a `Deferred` or a `Semaphore`. Otherwise the waiting
 * tasks may hold all permits, while the task that they wait for needs a permit to go on, such as after `throttle`.
 *
 * **Gotchas**
 *
 * The effect must not acquire a resource that has to be released: if the task is interrupted while it waits for its
 * permits, the result of the effect is lost.
 *
 * @category accessors
 */
export const waitForOthers: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = waitForOthersInternal

/**
 * Layer that provides a dispatcher to an application without a job. Tasks of the dispatcher end with the layer.
 * `fanOut` needs a job: its type requires `JobContext`.
 *
 * @category layers
 */
export const layer: Layer.Layer<TaskDispatcher, never, Pools> = Layer.effect(
  TaskDispatcher,
  Effect.suspend(() => Effect.map(makeDispatcher(makeUnsafe()), ({ dispatcher }) => dispatcher))
)

/**
 * Layer that narrows a dispatcher. A dispatcher that is narrowed twice obeys both limits, so an inner dispatcher never
 * gets more than the outer one. The tasks that a task runs use the narrowed dispatcher as well.
 *
 * **Example** (Leaving most of a pool to others)
 *
 * ```ts
 * const gentle = crawl.pipe(
 *   Effect.provide(TaskDispatcher.layerLimited({ permits: { network: 2 }, tasksPerSecond: 10, priority: "low" }))
 * )
 * ```
 *
 * @category layers
 */
export const layerLimited = (limits: Limits): Layer.Layer<TaskDispatcher, never, TaskDispatcher> =>
  Layer.effectContext(
    TaskDispatcher.use(({ limited }) => limited(limits)).pipe(
      Effect.map((dispatcher) =>
        Context.add(Context.make(TaskDispatcher, dispatcher), Current, Option.some(dispatcher))
      )
    )
  )
