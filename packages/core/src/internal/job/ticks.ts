/**
 * Tells which ticks of a schedule are to be run now: decides, and changes nothing.
 */
import * as Cron from "effect/Cron"
import * as Result from "effect/Result"
import type { JobSchedule } from "../../JobSchedule.ts"

/** Age from which on a tick was missed, in milliseconds: far more than a manager takes from one look to the next. */
const missedMillis = 60_000

/** Most ticks run at once. */
const ticksLimit = 100

/** Ticks to run, the oldest first, and the next one after `now`. */
export interface Ticks {
  readonly due: ReadonlyArray<number>
  readonly nextAt: number
}

type Timing = Pick<JobSchedule, "cron" | "timeZone">

/** The first tick after a time, or why there is none. */
export const nextTick = ({ cron, timeZone }: Timing, after: number): Result.Result<number, string> =>
  Result.flatMap(
    Result.mapError(Cron.parse(cron, timeZone), ({ message }) => message),
    (parsed) =>
      Result.try({
        try: () => Cron.next(parsed, after).getTime(),
        // Such as the 30th of February.
        catch: () => "there is no such time"
      })
  )

/** What a schedule has due at a time. Fails like `nextTick`. */
export const ticksOf = (
  { cron, missed, nextAt, timeZone }: Timing & Pick<JobSchedule, "missed" | "nextAt">,
  now: number
): Result.Result<Ticks, string> =>
  Result.map(nextTick({ cron, timeZone }, now), (next) => {
    const parsed = Cron.parseUnsafe(cron, timeZone)
    const isMissed = nextAt < now - missedMillis
    const limit = missed === "latest" && isMissed ? 1 : ticksLimit
    const since = missed === "skip" && isMissed ? now - missedMillis : nextAt
    const due: Array<number> = []
    // Backwards from now, since there is no end to what may have been missed.
    for (let tick = before(parsed, next); tick >= since && due.length < limit; tick = before(parsed, tick)) {
      // Where the clocks are set forward, `Cron.prev` gives times that `Cron.next` does not.
      if (tick <= now) due.unshift(tick)
    }
    return { due, nextAt: next }
  })

/** The last tick before another one. A cron has no first one, but for years without any. */
const before = (cron: Cron.Cron, tick: number): number =>
  Result.getOrElse(Result.try(() => Cron.prev(cron, tick).getTime()), () => Number.NEGATIVE_INFINITY)
