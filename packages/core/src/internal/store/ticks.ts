/**
 * Computes the ticks of a schedule, and when it is due.
 */
import * as Cron from "effect/Cron"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { JobSchedule, Tick } from "../../JobSchedule.ts"
import * as ZonedCron from "./zonedCron.ts"

/** Age at which a tick counts as missed. The age is far above the time between two looks of a job manager. */
const missedMillis = 60_000

/** Most ticks that run at once, or wait. */
export const ticksLimit = 100

/** The due ticks, the oldest first, whether some of them were missed, and the next tick, which starts after `now`. */
export interface Ticks {
  readonly due: ReadonlyArray<number>
  readonly isMissed: boolean
  readonly nextAt: number
}

type Timing = Pick<JobSchedule, "cron" | "timeZone">
type Jittered = Timing & Pick<JobSchedule, "name" | "jitterMillis">

// --- Expressions ----------------------------------------------------------------------------------------------------

const nicknames: Readonly<Record<string, string>> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@yearly": "0 0 1 1 *"
}

const fields = ["second", "minute", "hour", "day", "month", "weekday"]

/** Says what is wrong with an expression, and with which of its fields. */
const flaw = ({ cron, timeZone }: Timing, message: string): string => {
  if (Result.isFailure(Cron.parse("* * * * *", timeZone))) return `there is no time zone "${timeZone}"`
  const segments = cron.trim().split(/\s+/)
  if (cron.trim().startsWith("@")) return `"${cron.trim()}" is none of ${Object.keys(nicknames).join(", ")}`
  if (segments.length !== 5 && segments.length !== 6) {
    return `it needs five fields, which are minute, hour, day, month and weekday, or six with the second before them`
  }
  const names = fields.slice(-segments.length)
  const wrong = segments.findIndex((segment, at) =>
    Result.isFailure(Cron.parse(segments.map((_, other) => other === at ? segment : "*").join(" ")))
  )
  return wrong < 0 ? message : `the ${names[wrong]} is "${segments[wrong]}": ${message}`
}

const parse = ({ cron, timeZone }: Timing): Result.Result<ZonedCron.ZonedCron, string> =>
  Result.mapError(
    ZonedCron.parse(nicknames[cron.trim()] ?? cron, timeZone),
    ({ message }) => flaw({ cron, timeZone }, message)
  )

const after = (cron: ZonedCron.ZonedCron, time: number): Result.Result<number, string> =>
  Result.try({
    try: () => ZonedCron.next(cron, time),
    catch: () => "there is no such time"
  })

/** Computes the last tick before a time. A cron that names a year may have no earlier tick. */
const before = (cron: ZonedCron.ZonedCron, tick: number): number =>
  Result.getOrElse(Result.try(() => ZonedCron.prev(cron, tick)), () => Number.NEGATIVE_INFINITY)

// --- Jitter ---------------------------------------------------------------------------------------------------------

/** Number from 0 on and below 1 that a text always has, in each process: FNV-1a, mixed as in MurmurHash3. */
const shareOf = (text: string): number => {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b)
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35)
  return ((hash ^ hash >>> 16) >>> 0) / 2 ** 32
}

/** The time at which a tick starts its job. It is before the next tick, so the order of ticks stays as it is. */
const startOf = (cron: ZonedCron.ZonedCron, { jitterMillis, name }: Jittered, tick: number): number => {
  if (jitterMillis === 0 || !Number.isFinite(tick)) return tick
  const room = Result.getOrElse(after(cron, tick), () => Number.POSITIVE_INFINITY) - tick
  return tick + Math.floor(shareOf(`${tick} ${name}`) * Math.min(jitterMillis + 1, room))
}

/** The last time that there is a date for. */
const never = 8.64e15

/** The time from which on a job manager has something to do for a schedule. */
export const dueAt = (schedule: JobSchedule): number => {
  const { jitterMillis, nextAt, pausedAt, waiting: [waiting] } = schedule
  if (Option.isSome(pausedAt)) return never
  if (waiting !== undefined || jitterMillis === 0) return Math.min(waiting ?? nextAt, nextAt)
  return Result.match(parse(schedule), {
    onFailure: () => nextAt,
    onSuccess: (cron) => startOf(cron, schedule, nextAt)
  })
}

// --- Ticks ----------------------------------------------------------------------------------------------------------

/** Computes the first tick after a time. The failure is the reason why the schedule has no such tick. */
export const nextTick = (timing: Timing, time: number): Result.Result<number, string> =>
  Result.flatMap(parse(timing), (cron) => after(cron, time))

/** Computes the first ticks from `from` on that are after a time. Fails like `nextTick`. */
export const ticksAfter = (
  schedule: Jittered,
  time: number,
  count: number
): Result.Result<ReadonlyArray<Tick>, string> =>
  Result.flatMap(parse(schedule), (cron) =>
    Result.map(after(cron, time), (first) => {
      const ticks: Array<Tick> = []
      for (let at = first; ticks.length < count;) {
        ticks.push({ at, startsAt: startOf(cron, schedule, at) })
        const next = after(cron, at)
        if (Result.isFailure(next)) break
        at = next.success
      }
      return ticks
    }))

/** Computes the ticks that are due at a time. Fails like `nextTick`. */
export const ticksOf = (
  schedule: Jittered & Pick<JobSchedule, "missed" | "nextAt">,
  now: number
): Result.Result<Ticks, string> =>
  Result.flatMap(parse(schedule), (cron) =>
    Result.map(after(cron, now), (next) => {
      const { missed, nextAt } = schedule
      const starts = startOf(cron, schedule, nextAt)
      const isMissed = starts < now - missedMillis
      const limit = missed === "latest" && isMissed ? 1 : ticksLimit
      const since = missed === "skip" && isMissed ? now - missedMillis : starts
      const due: Array<number> = []
      let coming = next
      // The number of missed ticks has no bound, so the loop goes back from the next tick and stops at the limit.
      for (let tick = before(cron, next); due.length < limit; tick = before(cron, tick)) {
        const start = startOf(cron, schedule, tick)
        if (start < since || !Number.isFinite(tick)) break
        if (start <= now) due.unshift(tick)
        else if (tick <= now) coming = tick
      }
      return { due, isMissed, nextAt: coming }
    }))
