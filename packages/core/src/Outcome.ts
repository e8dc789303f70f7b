/**
 * Stored outcome of one element of a fan-out.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { sentenceOfDefect } from "./internal/defect.ts"
import { codecsOf } from "./internal/task/taskCodecs.ts"
import type { Interrupted } from "./Interrupter.ts"
import type * as Task from "./Task.ts"

/**
 * Schema for why an element failed.
 *
 * **Details**
 *
 * - `Error`: the task's typed error as JSON, as `Schema.toCodecJson` of its schema encodes it. `message` is for people.
 * - `Defect`: the task died of a thrown error. `name` is the error's name, and `stack` the place of the throw, up to
 *   4,096 characters. In each run of a fan-out, the first 100 defects have a stack and are logged with their cause.
 * - `Timeout`: the last attempt took longer than the task allows.
 * - `Quarantined`: the task killed the thread or process that ran it, too often.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Failure = Schema.TaggedUnion({
  Error: { error: Schema.Json, message: Schema.String },
  Defect: {
    message: Schema.String,
    name: Schema.optionalKey(Schema.String),
    stack: Schema.optionalKey(Schema.String)
  },
  Timeout: { millis: Schema.Finite },
  Quarantined: { message: Schema.String }
})

/**
 * Why an element failed.
 *
 * @category models
 * @since 0.1.0
 */
export type Failure = typeof Failure.Type

/**
 * Schema for how an element ended. Values are JSON, as `Schema.toCodecJson` of the task's schemas encodes them; `value`
 * and `error` decode them. `Skipped` stands for `count` elements, which is more than one for a bracket whose opening
 * element was not done. `Done` stands for `count` elements, or for one element without a `count`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Outcome = Schema.TaggedUnion({
  Done: { value: Schema.Json, count: Schema.optionalKey(Schema.Natural) },
  Skipped: { reason: Schema.String, count: Schema.Natural },
  Failed: { failure: Failure }
})

/**
 * How an element ended.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = typeof Outcome.Type

/**
 * Returns a sentence for people that says why an element failed.
 *
 * @category accessors
 * @since 0.1.0
 */
export const message = (failure: Failure): string =>
  Failure.match(failure, {
    Error: ({ message }) => message,
    Defect: (defect) => `the task died: ${sentenceOfDefect(defect)}`,
    Timeout: ({ millis }) => `the task took longer than ${millis} ms`,
    Quarantined: ({ message }) => `quarantined: ${message}`
  })

/**
 * Reads the typed error of a task from the outcome of its element. Returns `None` if the element ended otherwise.
 * Returns `Interrupted` if a handler failed with it although nobody had asked for a stop. Fails if the stored error
 * does not fit the present schema of the task.
 *
 * @category accessors
 * @since 0.1.0
 */
export const error = <T extends Task.Any>(
  task: T,
  outcome: Outcome | Failure
): Effect.Effect<Option.Option<Task.Failure<T> | Interrupted>, Schema.SchemaError> => {
  const failure = outcome._tag === "Failed" ? outcome.failure : outcome
  return failure._tag === "Error"
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- decoded with the task's own schema
    ? Effect.map(codecsOf(task).decodeError(failure.error), (read) => Option.some(read as Task.Failure<T>))
    : Effect.succeedNone
}

/**
 * Reads the success value of a task from the outcome of its element. Returns `None` if the task was not done. Only a
 * fan-out that keeps `"all"` stores the value. Fails if the stored value does not fit the present schema of the task.
 *
 * @category accessors
 * @since 0.1.0
 */
export const value = <T extends Task.Any>(
  task: T,
  outcome: Outcome
): Effect.Effect<Option.Option<Task.Success<T>>, Schema.SchemaError> =>
  outcome._tag === "Done"
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- decoded with the task's own schema
    ? Effect.map(codecsOf(task).decodeSuccess(outcome.value), (read) => Option.some(read as Task.Success<T>))
    : Effect.succeedNone
