/**
 * Puts the number of an attempt into the context of a handler.
 */
import * as Context from "effect/Context"
import { CurrentAttempt } from "../../Task.ts"

/** Adds the number only where it differs: the context of most first attempts has none, and 1 is the default. */
export const numbered = (context: Context.Context<never>, attempt: number): Context.Context<never> =>
  Context.get(context, CurrentAttempt) === attempt ? context : Context.add(context, CurrentAttempt, attempt)
