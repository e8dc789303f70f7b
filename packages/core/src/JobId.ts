/**
 * Identifies one started job.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"

/**
 * Schema for job identifiers: short enough to type, random enough to be unique.
 *
 * @category schemas
 */
export const JobId = Schema.NonEmptyString.pipe(Schema.brand("@fanout/core/JobId"))
export type JobId = typeof JobId.Type

/**
 * Creates a `JobId`. Throws if the text is empty.
 *
 * @category constructors
 */
export const make = (text: string): JobId => JobId.make(text)

// Crockford's base 32: no letters that look like digits.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

/**
 * Draws a new identifier of 12 characters (60 bits) from `Random`.
 *
 * @category constructors
 */
export const generate: Effect.Effect<JobId> = Effect.gen(function*() {
  let text = ""
  for (let i = 0; i < 12; i++) text += alphabet[yield* Random.nextIntBetween(0, alphabet.length - 1)]
  return make(text)
})
