/**
 * What a durable fan-out takes from its source, and how it is told to run.
 *
 * Order is the trick: a source is ordered and can be reopened after any of its cursors, so the checkpoint of a
 * fan-out is one cursor and the few elements that were taken and are not settled.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Failure, message, type Outcome } from "./Outcome.ts"
import type * as Task from "./Task.ts"

/**
 * One element of a source. Cursors are unique within the source. A source that gives one again ends the fan-out with a
 * defect, as far as that is noticed: behind the same one, and where a later run goes on, the one to go on behind, the
 * first of all, and those of unsettled elements. An element whose payload does not fit the schema of the task fails by
 * itself, and is not retried.
 *
 * **Details**
 *
 * - `Item`: one payload for the task. With `opens` it begins a bracket: the elements up to the matching `After`
 *   wait until it is settled, and are skipped, as one row with a count, when it fails. What is behind the `After` does
 *   not wait for it. One that stands for many (`Parts`) says for how many: as many are skipped with its bracket. With
 *   `checkpoint`, as a `TaskCheckpoint` encodes it, its task goes on from where another one has come to.
 * - `After`: ends the innermost open bracket. Its payload runs once everything in the bracket is settled.
 * - `Settled`: an ending that the source itself knows, such as a folder that can't be read. With `retry`, a retry
 *   runs that payload instead, and then the elements that the source gives behind the cursor `bracketAfter`, up to
 *   the first `After` that ends a bracket which did not begin there.
 *
 * Brackets are balanced, also behind a cursor inside of them: reopened there, the source still gives their `After`s.
 *
 * @category models
 * @since 0.1.0
 */
export type Element<Payload> =
  | {
    readonly _tag: "Item"
    readonly cursor: string
    readonly payload: Payload
    readonly opens?: boolean
    readonly count?: number
    readonly checkpoint?: Schema.Json
  }
  | { readonly _tag: "After"; readonly cursor: string; readonly payload: Payload }
  | {
    readonly _tag: "Settled"
    readonly cursor: string
    readonly key: string
    readonly outcome: Outcome
    readonly retry?: { readonly payload: Payload; readonly bracketAfter?: string }
  }

/**
 * Tells what an element that stands for many came to.
 *
 * **When to use**
 *
 * Use where an element costs more than what is to be done for it: a few thousand cycles are much for a file of 100
 * bytes. A task then takes many, and what has failed among them still has a row of its own and is retried by itself.
 *
 * **Details**
 *
 * It is given the element, and what its task succeeded with: `None` where it failed, took too long, or took down its
 * thread too often. The elements that it gives take the place of the one: they count instead of it, in the bracket
 * that it is in, and a retry knows only them. Those that have ended are told as `Settled`, where `Done` may stand for
 * many; what an `Item` says is run next. They may be in brackets, which are balanced: what opens one has the cursor
 * that it would have in the source, where a retry takes the bracket from. For an element that stands for itself it
 * gives `undefined`.
 *
 * It is asked once an element has ended that opens no bracket, in the order in which they end; one that took the place
 * of another is such an element, too, and one that is retried. So it has to come to an end. Cursors stay unique among
 * what has a row or is to run; the one of the element itself is free again. Where it throws, or brackets are not
 * balanced, the element fails, and nothing takes its place.
 *
 * @category models
 * @since 0.1.0
 */
export type Parts<Payload, A> = (
  element: { readonly cursor: string; readonly payload: Payload },
  value: Option.Option<A>
) => ReadonlyArray<Element<Payload>> | undefined

/**
 * When a fan-out gives up: never (`"collect"`), at the first failure, or after more than so many in one attempt.
 *
 * @category models
 * @since 0.1.0
 */
export type FailurePolicy = "collect" | "failFast" | { readonly maxFailures: number }

/**
 * How a fan-out is to run.
 *
 * @category models
 * @since 0.1.0
 */
export interface FanOutOptions {
  /**
   * Elements that run at the same time, 64 by default. Where the source has brackets, as many more may have been taken
   * and not begun.
   */
  readonly concurrency?: number
  /** Endings that may be unrecorded before nothing more is taken, 192 by default. */
  readonly flushEvery?: number
  /** How long an ending stays unrecorded at most, 250 ms by default. */
  readonly flushInterval?: Duration.Input
  readonly failures?: FailurePolicy
  readonly priority?: Task.Priority
  /** `"all"` stores the success value of every done element as well; by default they are only counted. */
  readonly keep?: "failures" | "all"
}

/**
 * How one element ended, as it is recorded.
 *
 * **Details**
 *
 * `payload` is `None` where there was none to run: for an ending that the source itself knew and that can't be
 * retried, and for the row of what was skipped in a bracket. `value` is what a done task succeeded with. An element
 * that others took the place of comes right before them, as `Done` with a count of 0, if its task succeeded.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ended<Payload, A> {
  readonly cursor: string
  readonly payload: Option.Option<Payload>
  readonly outcome: Outcome
  readonly value: Option.Option<A>
}

/**
 * Why a job is paused instead of one of its tasks failing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pause {
  /** What the job is paused by: a name that the application chooses, not `person` or `parent`. */
  readonly by: string
  /** Sentence for people, which is logged. */
  readonly message: string
}

/**
 * Tells of a task's typed error whether it is nothing that the element is to blame for, but would meet all that follow:
 * a disk is full, a device is gone. Then the job is paused, and the element stays unsettled: it runs again when the job
 * is resumed. `undefined` for all else.
 *
 * @category models
 * @since 0.1.0
 */
export type PauseOn<E> = (error: E) => Pause | undefined

/**
 * What takes part in the recording of a fan-out.
 *
 * **Details**
 *
 * It is given the elements that have ended since the last time, in the order in which they ended, and runs in the
 * transaction that records them: what it writes with a `SqlClient` of the same database is there if and only if they
 * are recorded, each once. If it fails nothing of that is recorded, what runs is stopped as by `failFast`, and the
 * fan-out fails with its error; when the job is resumed they run again.
 *
 * **Gotchas**
 *
 * It holds up the fan-out, and with it the database or, on Postgres, the job: it should only write. It is interrupted
 * only a second after the grace of what runs, when the job has to stop. A statement that fails ends a transaction of
 * Postgres, also where the error is caught: one that may fail belongs in `withTransaction`, which is a savepoint there.
 *
 * @category models
 * @since 0.1.0
 */
export type OnCommit<Payload, A, E, R> = (
  ended: Arr.NonEmptyReadonlyArray<Ended<Payload, A>>
) => Effect.Effect<void, E, R>

/**
 * Error of a fan-out that gave up because too many elements failed. What was not settled stays so.
 *
 * @category errors
 * @since 0.1.0
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
