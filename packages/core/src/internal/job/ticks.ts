/**
 * Computes the due ticks of a schedule.
 */
import * as Cron from "effect/Cron"
import * as Result from "effect/Result"
import type { JobSchedule } from "../../JobSchedule.ts"

/** Age at which a tick counts as missed. The age is far above the time between two looks of a job manager. */
const missedMillis = 60_000

/** Most ticks that run at once. */
const ticksLimit = 100

/** The due ticks, the oldest first, and the next tick after `now`. */
export interface Ticks {
  readonly due: ReadonlyArray<number>
  readonly nextAt: number
}

type Timing = Pick<JobSchedule, "cron" | "timeZone">

/** Computes the first tick after a time. The failure is the reason why the schedule has no such tick. */
export const nextTick = ({ cron, timeZone }: Timing, after: number): Result.Result<number, string> =>
  Result.flatMap(
    Result.mapError(Cron.parse(cron, timeZone), ({ message }) => message),
    (parsed) =>
      Result.try({
        try: () => Cron.next(parsed, after).getTime(),
        // `Cron.next` throws for a time such as the 30th of February.
        catch: () => "there is no such time"
      })
  )

/** Computes the ticks that are due at a time. Fails like `nextTick`. */
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
    // The number of missed ticks has no bound, so the loop goes back from the next tick and stops at the limit.
    for (let tick = before(parsed, next); tick >= since && due.length < limit; tick = before(parsed, tick)) {
      // On a day that sets the clocks forward, `Cron.prev` gives times that `Cron.next` does not give.
      if (tick <= now) due.unshift(tick)
    }
    return { due, nextAt: next }
  })

/** Computes the last tick before a time. A cron that names a year may have no earlier tick. */
const before = (cron: Cron.Cron, tick: number): number =>
  Result.getOrElse(Result.try(() => Cron.prev(cron, tick).getTime()), () => Number.NEGATIVE_INFINITY)
