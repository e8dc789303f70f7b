import { assert, describe, it } from "@effect/vitest"
import * as Cron from "effect/Cron"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { runs } from "../../../test/effort.ts"
import * as ZonedCron from "../src/internal/store/zonedCron.ts"

const minute = 60_000
const day = 24 * 60 * minute

/** Zones, and a day on which their clocks change: at night, at midnight, by half an hour, by a whole day. */
const changes = [
  ["Europe/Berlin", "2026-03-29"],
  ["Europe/Berlin", "2026-10-25"],
  ["America/New_York", "2026-03-08"],
  ["America/New_York", "2026-11-01"],
  ["America/St_Johns", "2026-03-08"],
  ["America/Havana", "2026-03-08"],
  ["America/Havana", "2026-11-01"],
  ["Asia/Beirut", "2026-03-29"],
  ["Asia/Beirut", "2026-10-25"],
  ["America/Sao_Paulo", "2018-11-04"],
  ["America/Sao_Paulo", "2018-02-18"],
  ["Australia/Lord_Howe", "2026-10-04"],
  ["Australia/Lord_Howe", "2026-04-05"],
  ["Africa/Casablanca", "2026-02-15"],
  ["Pacific/Apia", "2011-12-30"],
  ["+05:45", "2026-03-29"],
  ["UTC", "2026-03-29"]
] as const

const crons = ["30 2 * * *", "30 0 * * *", "0 0 * * *", "*/20 2 * * *", "*/20 * * * *", "15 1,2,3 * * 0", "0 */6 * * *"]

/** Milliseconds by which the clocks of a zone are ahead of UTC, as `Intl` tells. */
const offsetOf = (timeZone: string) => {
  const format = new Intl.DateTimeFormat("en", { timeZone, timeZoneName: "longOffset" })
  return (time: number): number => {
    const name = format.formatToParts(time).find(({ type }) => type === "timeZoneName")?.value ?? ""
    const [, sign = "+", hours = "0", minutes = "0"] = /GMT([+-])(\d+):(\d+)/.exec(name) ?? []
    return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * minute
  }
}

/** The times of a cron around a day, found by looking at each minute. */
const timesAround = (cron: string, timeZone: string, around: number): ReadonlyArray<number> => {
  const wall = Cron.parseUnsafe(cron, "UTC")
  const offsetAt = offsetOf(timeZone)
  const times = new Set<number>()
  for (let at = around - 10 * day; at < around + 10 * day; at += minute) {
    if (!Cron.match(wall, new Date(at))) continue
    const offsets = [offsetAt(at - 2 * day), offsetAt(at + 2 * day)]
    const shown = offsets.map((offset) => at - offset).filter((time) => time + offsetAt(time) === at)
    times.add(shown.length > 0 ? Math.min(...shown) : at - (offsets[0] ?? 0))
  }
  return Array.from(times).toSorted((one, other) => one - other)
}

describe("the times of a cron in a zone", () => {
  const Minutes = Schema.Int.check(Schema.isBetween({ minimum: -2 * 1440, maximum: 2 * 1440 }))

  it.prop(
    "are each wall time once, whenever anybody asks, also where the clocks change",
    {
      cron: Schema.Literals(crons),
      change: Schema.Literals(Array.from(changes.keys())),
      asked: Schema.Array(Minutes).check(Schema.isMinLength(1)),
      seconds: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 59 }))
    },
    ({ asked, change, cron, seconds }) => {
      const [timeZone, date] = changes[change] ?? changes[0]
      const around = new Date(date).getTime()
      const times = timesAround(cron, timeZone, around)
      const zoned = Result.getOrThrow(ZonedCron.parse(cron, timeZone))
      for (const minutes of asked) {
        const now = around + minutes * minute + seconds * 1000
        const where = `${cron} ${timeZone} ${new Date(now).toISOString()}`
        assert.strictEqual(ZonedCron.next(zoned, now), times.find((time) => time > now), where)
        assert.strictEqual(ZonedCron.prev(zoned, now), times.findLast((time) => time < now), where)
      }
    },
    { arbitrary: { runs: runs(50), size: 20 } }
  )

  it("come as much later as clocks are set forward, and the first time where they come twice", () => {
    const nights = (cron: string, timeZone: string, from: string) => {
      const zoned = Result.getOrThrow(ZonedCron.parse(cron, timeZone))
      const first = ZonedCron.next(zoned, new Date(from).getTime())
      return [first, ZonedCron.next(zoned, first)].map((time) => new Date(time).toISOString().slice(5, 16))
    }

    assert.deepStrictEqual(nights("30 2 * * *", "Europe/Berlin", "2026-03-29T01:10:00Z"), [
      "03-29T01:30",
      "03-30T00:30"
    ])
    assert.deepStrictEqual(nights("30 2 * * *", "America/New_York", "2026-03-08T07:10:00Z"), [
      "03-08T07:30",
      "03-09T06:30"
    ])
    assert.deepStrictEqual(nights("30 0 * * *", "Asia/Beirut", "2026-03-28T22:10:00Z"), ["03-28T22:30", "03-29T21:30"])
    assert.deepStrictEqual(nights("30 0 * * *", "America/Havana", "2026-03-08T05:10:00Z"), [
      "03-08T05:30",
      "03-09T04:30"
    ])
    assert.deepStrictEqual(nights("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z"), [
      "10-25T00:30",
      "10-26T01:30"
    ])
  })
})
