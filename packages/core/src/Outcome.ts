/**
 * How one element of a fan-out ended, as it is stored.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { sentenceOfDefect } from "./internal/defect.ts"

/**
 * Schema for why an element failed.
 *
 * **Details**
 *
 * - `Error`: the task's typed error, encoded with its schema; the `message` is for people.
 * - `Defect`: the task died of what it has thrown. `name` is that of the error, `stack` where it was thrown, up to
 *   4,096 characters. In each run of a fan-out the first 100 defects have a stack, and are logged with their cause.
 * - `Timeout`: its last attempt took longer than the task allows.
 * - `Quarantined`: it took down whatever ran it, too often.
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
  Timeout: { millis: Schema.Number },
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
 * Schema for how an element ended. Values are encoded with the task's schemas.
 *
 * **Details**
 *
 * `Skipped` stands for `count` elements: more than one where a whole subtree was left out because the element that
 * opens it failed. `Done` may stand for more than one, too, where one element is told for many; without a count it is
 * one.
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
 * Sentence for people that says why an element failed.
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
