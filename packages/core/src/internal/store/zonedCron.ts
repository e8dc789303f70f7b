/**
 * The times of a cron expression in a time zone. They do not depend on the time from which they are asked for: each
 * wall time of the expression stands for one instant. A wall time that comes twice stands for the first one. A wall
 * time that is left out, since clocks are set forward, stands for the instant that is as much later: 02:30 for 03:30.
 *
 * Effect's `Cron` leaves out such a time where it is asked within the hour after the change, so it does wall times
 * alone.
 */
import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Result from "effect/Result"

export interface ZonedCron {
  /** The expression, whose times are wall times as if they were UTC. */
  readonly wall: Cron.Cron
  readonly zone: DateTime.TimeZone
}

/** By its offset: the first zone with a name costs a process 15 ms, for what Node knows of all zones. */
const utc = DateTime.zoneMakeOffset(0)

export const parse = (expression: string, timeZone: string): Result.Result<ZonedCron, Cron.CronParseError> =>
  Result.flatMap(
    Cron.parse(expression, timeZone),
    ({ tz }) => Result.map(Cron.parse(expression, utc), (wall) => ({ wall, zone: Option.getOrElse(tz, () => utc) }))
  )

const dayMillis = 24 * 60 * 60 * 1000

/** The offsets before and after a time. They differ if clocks change around it. */
const offsetsAround = (timeZone: DateTime.TimeZone, time: number): ReadonlyArray<number> =>
  [time - dayMillis, time + dayMillis].map((at) => DateTime.zonedOffset(DateTime.makeZonedUnsafe(at, { timeZone })))

/** The instant for which a wall time stands. */
const instantOf = (timeZone: DateTime.TimeZone, wallTime: number): number =>
  DateTime.makeZonedUnsafe(wallTime, { timeZone, adjustForTimeZone: true, disambiguation: "compatible" })
    .epochMilliseconds

/** Computes the first time after a time. Throws if the expression names no date, such as the 30th of February. */
export const next = ({ wall, zone }: ZonedCron, time: number): number => {
  let found = Number.POSITIVE_INFINITY
  let offset = Number.POSITIVE_INFINITY
  // Around a change, a later wall time can stand for an earlier instant.
  for (let at = time + Math.min(...offsetsAround(zone, time)); found === Infinity || at - offset < found;) {
    at = Cron.next(wall, at).getTime()
    const instant = instantOf(zone, at)
    if (instant <= time || instant >= found) continue
    found = instant
    offset = Math.max(...offsetsAround(zone, found))
  }
  return found
}

/** Computes the last time before a time, as `next` does. */
export const prev = ({ wall, zone }: ZonedCron, time: number): number => {
  let found = Number.NEGATIVE_INFINITY
  let offset = Number.NEGATIVE_INFINITY
  for (let at = time + Math.max(...offsetsAround(zone, time)); found === -Infinity || at - offset > found;) {
    at = Cron.prev(wall, at).getTime()
    const instant = instantOf(zone, at)
    if (instant >= time || instant <= found) continue
    found = instant
    offset = Math.min(...offsetsAround(zone, found))
  }
  return found
}
