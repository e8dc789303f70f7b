/**
 * Stored outcome of one element of a fan-out.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
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
export type Failure = typeof Failure.Type

/**
 * Schema for how an element ended. Values are JSON, as `Schema.toCodecJson` of the task's schemas encodes them, and
 * `decode` reads them. `Skipped` stands for `count` elements, which is more than one for a bracket whose opening
 * element was not done. `Done` stands for `count` elements, or for one element without a `count`.
 *
 * @category schemas
 */
export const Outcome = Schema.TaggedUnion({
  Done: { value: Schema.Json, count: Schema.optionalKey(Schema.Natural) },
  Skipped: { reason: Schema.String, count: Schema.Natural },
  Failed: { failure: Failure }
})
export type Outcome = typeof Outcome.Type

/**
 * Returns a sentence for people that says why an element failed.
 *
 * @category accessors
 */
export const message = (failure: Failure): string =>
  Failure.match(failure, {
    Error: ({ message }) => message,
    Defect: (defect) => `the task died: ${sentenceOfDefect(defect)}`,
    Timeout: ({ millis }) => `the task took longer than ${millis} ms`,
    Quarantined: ({ message }) => `quarantined: ${message}`
  })

/** A name is short. A longer text is no name, and there may be any number of such texts. */
const nameOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" && value.length <= 64 ? value : undefined

/**
 * Names the cause of a failure, so that failures of one cause can be counted: the `code` of the task's error, or else
 * its `_tag`; the name of a defect; the tag of any other failure.
 *
 * @category accessors
 */
export const cause = (failure: Failure): string => {
  if (failure._tag === "Defect") return nameOf(failure.name) ?? failure._tag
  if (failure._tag !== "Error") return failure._tag
  const { error } = failure
  const of = (key: string) => Predicate.hasProperty(error, key) ? nameOf(error[key]) : undefined
  return of("code") ?? of("_tag") ?? failure._tag
}

/**
 * An outcome with the typed value and the typed error of its task.
 *
 * **Details**
 *
 * A failure by `Error` holds the error of the task, or `Interrupted` if a handler failed with it although nobody had
 * asked for a stop.
 *
 * @category models
 */
export type Of<T extends Task.Any> =
  | { readonly _tag: "Done"; readonly value: Task.Success<T>; readonly count?: number }
  | Extract<Outcome, { readonly _tag: "Skipped" }>
  | { readonly _tag: "Failed"; readonly failure: FailureOf<T> }

/**
 * A failure with the typed error of its task.
 *
 * @category models
 */
export type FailureOf<T extends Task.Any> =
  | { readonly _tag: "Error"; readonly error: Task.Failure<T> | Interrupted; readonly message: string }
  | Exclude<Failure, { readonly _tag: "Error" }>

/**
 * Reads the value or the error in an outcome with the schemas of the task. Fails if the stored value or error does not
 * fit the present schema of the task, as the value of a fan-out that does not keep `"all"` can.
 *
 * @category accessors
 */
export const decode = <T extends Task.Any>(task: T, outcome: Outcome): Effect.Effect<Of<T>, Schema.SchemaError> => {
  const { decodeError, decodeSuccess } = codecsOf(task)
  // oxlint-disable typescript/no-unsafe-type-assertion -- decoded with the task's own schemas
  if (outcome._tag === "Done") {
    return Effect.map(decodeSuccess(outcome.value), (value) => ({ ...outcome, value: value as Task.Success<T> }))
  }
  if (outcome._tag === "Skipped" || outcome.failure._tag !== "Error") return Effect.succeed(outcome as Of<T>)
  const { failure } = outcome
  return Effect.map(decodeError(failure.error), (error) => ({
    _tag: "Failed",
    failure: { ...failure, error: error as Task.Failure<T> }
  }))
  // oxlint-enable typescript/no-unsafe-type-assertion
}
