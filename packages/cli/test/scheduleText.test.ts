import { assert, describe, it } from "@effect/vitest"
import type { JobSchedule } from "@fanout/core/JobSchedule"
import * as Option from "effect/Option"
import * as JobStoreRecords from "../../core/test/JobStoreRecords.ts"
import { alike, command, next, nextSentence, pause, time, times } from "../src/ui/scheduleText.ts"

const at = new Date(2026, 2, 1, 3, 0).getTime()

const schedule = (fields: Partial<JobSchedule> = {}) =>
  JobStoreRecords.schedule("nightly", { job: "scheduled", nextAt: at, overlap: "skip", ...fields })

describe("scheduleText", () => {
  it("says when a schedule runs next", () => {
    const ticks = [{ at, startsAt: at + 1000 }]
    assert.strictEqual(time(at), "2026-03-01 03:00")
    assert.strictEqual(next(schedule(), ticks, at - 1), "2026-03-01 03:00:01")
    assert.strictEqual(next(schedule(), ticks, at), "due now")
    assert.strictEqual(next(schedule({ jitterMillis: 2000 }), ticks, at), "2026-03-01 03:00:01")
    assert.strictEqual(next(schedule({ waiting: [at] }), ticks, at - 1), "waits for its job")
    assert.strictEqual(next(schedule(), [], at - 1), "never")
    assert.match(nextSentence(schedule(), ticks), /^It runs next at 2026-03-01 03:00:01, if/)
  })

  it("says why a schedule is paused", () => {
    const paused = (by: "person" | "failures") =>
      schedule({ failures: Option.some(3), pausedAt: Option.some(at), pausedBy: Option.some(by) })
    assert.strictEqual(pause(paused("person")), "paused")
    assert.strictEqual(next(paused("failures"), [], at), "paused: 3 failures")
    assert.include(nextSentence(paused("failures"), []), "`fanout schedule resume nightly`")
  })

  it("says in words when a schedule runs, where there are short ones", () => {
    const words: Readonly<Record<string, string>> = {
      "* * * * *": "every minute",
      "*/5 * * * *": "every 5 minutes",
      "@hourly": "every hour",
      "7 * * * *": "every hour at :07",
      "0 */6 * * *": "every 6 hours",
      "@daily": "every day at 00:00",
      "5 3 * * *": "every day at 03:05",
      "30 18 * * 1-5": "Monday to Friday at 18:30",
      "0 9 * * 7": "every Sunday at 09:00",
      "0 9 * * 1,3": "Monday, Wednesday at 09:00",
      "@weekly": "every Sunday at 00:00",
      "@monthly": "on day 1 of each month at 00:00"
    }
    assert.deepStrictEqual(Object.fromEntries(Object.keys(words).map((cron) => [cron, times(cron)])), words)
    for (
      const cron of [
        "0 0 3 * * *",
        "0 3 1 1 *",
        "0 3 1-5 * 1",
        "1,2 3 * * *",
        "0 0 * * SUN",
        "@yearly",
        "*/5 3 * * *",
        ""
      ]
    ) {
      assert.strictEqual(times(cron), cron)
    }
  })

  it("finds the name that was meant", () => {
    const names = ["nightly", "weekly", "a"]
    assert.strictEqual(alike("nightli", names), "nightly")
    assert.strictEqual(alike("week", names), "weekly")
    assert.strictEqual(alike("b", names), "a")
    assert.isUndefined(alike("monthly-report", names))
  })

  it("writes a command as it is written in a shell", () => {
    const args = ["copy", "My Photos", "it's", "-T", "a\u001b", ""]
    assert.strictEqual(command(args), `copy 'My Photos' 'it'\\''s' -T 'a\\x1b' ''`)
  })
})
