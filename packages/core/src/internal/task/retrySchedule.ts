/**
 * Makes the schedule of a retry from the options that `Effect.retry` takes.
 */
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { Retry } from "../../Task.ts"
import * as Numbers from "../numbers.ts"

export const retrySchedule = <E>(
  of: string,
  retry: Retry<E> | undefined
): Option.Option<Schedule.Schedule<unknown, E>> => {
  if (retry === undefined) return Option.none()
  if (Schedule.isSchedule(retry)) return Option.some(retry)
  const { schedule = Schedule.forever, times, while: mayGoOn } = retry
  const limited: Schedule.Schedule<unknown, E> = times === undefined
    ? schedule
    : Schedule.upTo(schedule, { times: Numbers.times(`The retry's times of ${of}`, times) })
  return Option.some(mayGoOn === undefined ? limited : Schedule.while(limited, ({ input }) => mayGoOn(input)))
}
