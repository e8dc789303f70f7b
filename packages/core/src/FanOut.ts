/**
 * The options of a durable fan-out, and the ends of its elements.
 */
import type * as Arr from "effect/Array"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Failure, message, type Of, type Outcome } from "./Outcome.ts"
import type { Element } from "./Source.ts"
import type * as Task from "./Task.ts"

/**
 * Returns the parts of an element that stands for many elements.
 *
 * **When to use**
 *
 * Use where the handling of an element costs more than its work: a few thousand cycles are much for a file of 100
 * bytes. One task then handles many elements. A failed element among them still has its own row and its own retry.
 *
 * **Details**
 *
 * The function gets the element and the success value of its task. The value is `None` if the task failed, took too
 * long, or took down its thread too often. The function returns `undefined` for an element that stands for itself.
 * Otherwise the returned parts replace the element: they are counted in its place, belong to its bracket, and are the
 * only elements that a retry knows. A part that has ended is a `Settled`; a `Done` can have a count. An `Item` is run
 * next. The parts can be in balanced brackets. A part that opens a bracket has the cursor that it would have in the
 * source, because a retry reads the bracket from there.
 *
 * The function is called in the order in which elements end, for each `Item` that opens no bracket and was not skipped.
 * It is called for retried elements and for parts as well, so the splitting has to come to an end. Cursors stay unique
 * among the elements that have a row or are going to run. A part may use the cursor of the replaced element. If the
 * function throws, or its brackets are not balanced, the element fails and is not replaced.
 *
 * @category models
 */
export type Parts<Payload, A> = (
  element: { readonly cursor: string; readonly payload: Payload },
  value: Option.Option<A>
) => ReadonlyArray<Element<Payload>> | undefined

/**
 * When a fan-out gives up: never (`"collect"`), at the first failure (`"failFast"`), or after more than `maxFailures`
 * failures in one attempt, or in one try of the job's own `retry`.
 *
 * @category models
 */
export type FailurePolicy = "collect" | "failFast" | { readonly maxFailures: number }

/**
 * Options of a fan-out.
 *
 * @category models
 */
export interface FanOutOptions {
  /** Elements that run at the same time, 64 by default. With brackets, as many more may be taken and not begun. */
  readonly concurrency?: number
  /** Maximum number of unrecorded outcomes, 192 by default. At this number the fan-out takes no more elements. */
  readonly flushEvery?: number
  /** How long an outcome stays unrecorded at most, 250 ms by default. */
  readonly flushInterval?: Duration.Input
  readonly failures?: FailurePolicy
  readonly priority?: Task.Priority
  /** `"all"` also stores the success value of every done element. By default, done elements are only counted. */
  readonly keep?: "failures" | "all"
}

/**
 * How a fan-out runs that returns all values. Its `flushInterval` is 50 ms by default.
 *
 * @category models
 */
export type AllOptions = Omit<FanOutOptions, "failures" | "keep">

/**
 * How a durable `forEach` runs its function.
 *
 * **Details**
 *
 * - `success` and `error` are the schemas of the function's success value and error. By default it has no error.
 * - `keyOf` gives the text that stands for an item in logs and rows, by default `item 7` for the eighth one. The texts
 *   also tell whether the items have changed since an earlier run; by default their JSON does.
 * - `pool`, `rate`, `weight`, `timeout` and `retry` are those of a task, see `Task.make`. A timeout fails the effect
 *   with `Interrupted`, of which the job dies unless its program catches it.
 *
 * @category models
 */
export interface ForEachOptions<A, S extends Task.Codec, E extends Task.Codec> extends AllOptions {
  readonly success: S
  readonly error?: E
  readonly keyOf?: (item: A) => string
  readonly pool?: string
  readonly rate?: string
  readonly weight?: number
  readonly timeout?: Duration.Input
  readonly retry?: Task.Retry<E["Type"] | Task.TimedOut>
}

/**
 * How one element ended, as `OnCommit` gets it.
 *
 * **Details**
 *
 * `payload` is `None` for a `Settled` element without `retry`, for a payload that does not fit the task's schema, and
 * for the row of a skipped bracket. `value` is the success value of a done task. An element that was replaced by parts
 * comes right before the parts, as `Done` with a count of 0, if its task succeeded.
 *
 * @category models
 */
export interface Ended<Payload, A> {
  readonly cursor: string
  readonly payload: Option.Option<Payload>
  readonly outcome: Outcome
  readonly value: Option.Option<A>
}

/**
 * The result of one element, as `results` gives it.
 *
 * @category models
 */
export interface Result<T extends Task.Any> {
  readonly cursor: string
  /** The key of the payload. */
  readonly key: string
  readonly outcome: Of<T>
}

/**
 * Why a job is paused instead of recording the failure of one of its tasks.
 *
 * @category models
 */
export interface Pause {
  /** Name that the application chooses for the cause of the pause. `person` and `parent` are reserved. */
  readonly by: string
  /** Sentence for people. The sentence is logged. */
  readonly message: string
}

/**
 * Decides whether the typed error of a task, or of the source, pauses the job: an error that is not the fault of the
 * element and would fail the next elements too, such as a full disk, a missing device or a network that is down. The
 * element then stays unsettled, and runs again when the job goes on; the source is opened again behind the last element
 * that was taken. For any other error the function returns `undefined`. `waits` of `Job.toLayer` tells how the job goes
 * on by itself.
 *
 * @category models
 */
export type PauseOn<E> = (error: E) => Pause | undefined

/**
 * Effect of the application that is part of the recording of a fan-out.
 *
 * **Details**
 *
 * The function gets the elements that have ended since the last flush, in the order in which they ended. The effect
 * runs in the transaction that records these elements. A write through a `SqlClient` of the same database is committed
 * if and only if the elements are recorded. Each element is recorded once. If the effect fails, nothing of the flush is
 * recorded, running tasks are stopped as by `failFast`, and the fan-out fails with the error. A resumed job runs the
 * elements again.
 *
 * **Gotchas**
 *
 * A `SqlClient` of another database shares no transaction with the store, and none does with a store in memory. A crash
 * between the two commits repeats the writes. The store logs one warning of that.
 *
 * The fan-out waits for the effect, and so does the database or, on Postgres, the job: the effect should only write.
 * When the job has to stop, the effect is interrupted one second after the grace period of the tasks. On Postgres, a
 * statement that fails ends the transaction, even if the error is caught. Put a statement that may fail in
 * `withTransaction`, which is a savepoint on Postgres.
 *
 * @category models
 */
export type OnCommit<Payload, A, E, R> = (
  ended: Arr.NonEmptyReadonlyArray<Ended<Payload, A>>
) => Effect.Effect<void, E, R>

/**
 * One element that is done, as `OnDone` gets it.
 *
 * @category models
 */
export interface Done<Payload, A> {
  readonly cursor: string
  readonly payload: Payload
  readonly value: A
}

/**
 * Writes the values of done elements in the transaction that records the elements, as `OnCommit` does. The function
 * gets the elements whose task has succeeded and that no parts replace, with plain payloads and values. `Arr.map` of
 * Effect keeps the type of an array that is not empty, which `sql.insert` asks for.
 *
 * @category models
 */
export type OnDone<Payload, A, E, R> = (
  done: Arr.NonEmptyReadonlyArray<Done<Payload, A>>
) => Effect.Effect<void, E, R>

/**
 * Error of a fan-out that gave up because too many elements failed. Unsettled elements stay unsettled.
 *
 * @category errors
 */
export class FanOutStopped
  extends Schema.TaggedError<FanOutStopped>("@fanout/core/FanOut/FanOutStopped")("FanOutStopped", {
    fanOut: Schema.String,
    failures: Schema.Natural,
    first: Failure
  })
{
  override get message(): string {
    const failures = this.failures === 1 ? "1 failure" : `${this.failures} failures, the first one`
    return `Fan-out "${this.fanOut}" gave up after ${failures}: ${message(this.first)}`
  }
}
