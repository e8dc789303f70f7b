/**
 * When the next attempt of a task is due.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import { maxAttempts } from "./taskOptions.ts"

/** The delay in milliseconds after an attempt that has failed at a time; `None` where there is no other attempt. */
export type Delays = (now: number, error: unknown) => Effect.Effect<Option.Option<number>>

/** Delays by a schedule, one for each call. */
export const delaysOf = (retry: Schedule.Schedule<unknown>): Delays => {
  let attempts = 1
  let stepper: Effect.Success<ReturnType<typeof Schedule.toStep<unknown, unknown, never, never>>> | undefined
  return (now, error) => {
    if (attempts++ >= maxAttempts) return Effect.succeedNone
    return Effect.gen(function*() {
      stepper ??= yield* Schedule.toStep(retry)
      const [, delay] = yield* stepper(now, error)
      return Option.some(Duration.toMillis(delay))
    }).pipe(Pull.catchDone(() => Effect.succeedNone))
  }
}
