import { assert, describe, it } from "@effect/vitest"
import * as ChildJobs from "@fanout/core/ChildJobs"
import * as Job from "@fanout/core/Job"
import * as JobContext from "@fanout/core/JobContext"
import * as JobManager from "@fanout/core/JobManager"
import * as JobSchedule from "@fanout/core/JobSchedule"
import * as JobStore from "@fanout/core/JobStore"
import { settle } from "@fanout/core/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { nextTick, ticksAfter, ticksOf } from "../src/internal/store/ticks.ts"
import { process } from "./managers.ts"
import { onStores } from "./stores.ts"

const at = (text: string) => new Date(text).getTime()
const second = 1000
const minute = 60 * second
const start = at("2026-03-01T00:00:00Z")

const Report = Job.make("test/Report", { payload: Schema.String })
const Other = Job.make("test/Other", {})

/** Notes when each run begins, by its payload. */
const reports = (ran: Array<string>, millis = 0) =>
  Report.toLayer((payload) =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      ran.push(`${payload} ${new Date(now).toISOString().slice(5, 16)}`)
      yield* Effect.sleep(millis)
    })
  )

/** A tick of a schedule starts its job at once. */
const punctual = { name: "s", jitterMillis: 0 }

const tickAfter = (schedule: Parameters<typeof ticksAfter>[0], time: number): JobSchedule.Tick => {
  const [first = assert.fail("there is no tick")] = Result.getOrThrow(ticksAfter(schedule, time, 1))
  return first
}

const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

describe("ticks", () => {
  const Time = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 * 24 * 3600 }))
  const crons = ["0 3 * * *", "*/7 * * * *", "*/20 * * * * *", "30 2 * * 0", "0 0 31 * *", "15 */5 1 1 *"]

  it.prop(
    "are those of the cron, each once, however often and whenever anybody looks",
    {
      cron: Schema.Literals(crons),
      timeZone: Schema.Literals(["UTC", "Europe/Berlin", "America/New_York", "+05:45"]),
      jitterMillis: Schema.Literals([0, 0, 30_000, 7_200_000]),
      start: Time,
      looks: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1500 })))
    },
    ({ cron, jitterMillis, looks, start, timeZone }) => {
      const schedule = { name: "s", cron, timeZone, jitterMillis }
      let now = at("2026-01-01T00:00:00Z") + start * 1000
      let nextAt = Result.getOrThrow(nextTick(schedule, now))
      const found: Array<number> = []
      const expected: Array<number> = []
      let coming = tickAfter(schedule, now)
      for (const seconds of looks) {
        now += seconds * 1000
        const ticks = Result.getOrThrow(ticksOf({ ...schedule, missed: "all", nextAt }, now))
        found.push(...ticks.due)
        nextAt = ticks.nextAt
        for (; coming.startsAt <= now; coming = tickAfter(schedule, coming.at)) expected.push(coming.at)
        assert.strictEqual(nextAt, coming.at)
      }

      assert.deepStrictEqual(found, expected)
    },
    { arbitrary: { runs: runs(200), size: 20 } }
  )

  const missed = { ...punctual, cron: "0 * * * *", timeZone: "UTC", nextAt: at("2026-03-01T01:00:00Z") }
  const due = (policy: "skip" | "latest" | "all", now: string) =>
    Result.getOrThrow(ticksOf({ ...missed, missed: policy }, at(now))).due.map((tick) =>
      new Date(tick).toISOString().slice(5, 16)
    )

  it("that were missed are skipped, or run once, or all", () => {
    assert.deepStrictEqual(due("skip", "2026-03-01T03:01:00.001Z"), [])
    assert.deepStrictEqual(due("skip", "2026-03-01T03:01:00Z"), ["03-01T03:00"])
    assert.deepStrictEqual(due("latest", "2026-03-01T03:30:00Z"), ["03-01T03:00"])
    assert.deepStrictEqual(due("all", "2026-03-01T03:30:00Z"), ["03-01T01:00", "03-01T02:00", "03-01T03:00"])
    for (const policy of ["skip", "latest", "all"] as const) {
      assert.deepStrictEqual(due(policy, "2026-03-01T00:59:59Z"), [])
      assert.deepStrictEqual(due(policy, "2026-03-01T01:00:00Z"), ["03-01T01:00"])
    }
  })

  it("of the last minute are each run, whatever becomes of missed ones", () => {
    const often = { ...punctual, cron: "*/10 * * * * *", timeZone: "UTC", nextAt: at("2026-03-01T01:00:00Z") }
    const count = (policy: "skip" | "latest" | "all", now: string) =>
      Result.getOrThrow(ticksOf({ ...often, missed: policy }, at(now))).due.length

    for (const policy of ["skip", "latest", "all"] as const) {
      assert.strictEqual(count(policy, "2026-03-01T01:00:35Z"), 4)
    }
    assert.strictEqual(count("latest", "2026-03-01T01:05:35Z"), 1)
  })

  it("are never those to come, also where the clocks are set forward", () => {
    const nextAt = at("2026-03-29T01:00:00Z")
    const spring = { ...punctual, cron: "*/20 2 * * *", timeZone: "Europe/Berlin", nextAt }

    for (const missed of ["skip", "latest", "all"] as const) {
      assert.deepStrictEqual(Result.getOrThrow(ticksOf({ ...spring, missed }, spring.nextAt)).due, [spring.nextAt])
    }
  })

  it("that were missed are bounded: the newest 100", () => {
    const all = due("all", "2026-04-01T00:30:00Z")

    assert.strictEqual(all.length, 100)
    assert.strictEqual(all.at(-1), "04-01T00:00")
  })

  it("are told from those that can't be", () => {
    const why = (cron: string, timeZone = "UTC") => Result.merge(nextTick({ cron, timeZone }, 0))

    assert.strictEqual(why("61 * * * *"), "the minute is \"61\": Expected a value between 0 and 59")
    assert.match(String(why("0 * * * x *")), /^the month is "x": /)
    assert.match(String(why("0 0 * * MON-FOO")), /^the weekday is "MON-FOO": /)
    assert.match(String(why("* * *")), /^it needs five fields, .* or six/)
    assert.strictEqual(why("0 0 30 2 *"), "there is no such time")
    for (const cron of ["0 0 * * *", "@daily"]) {
      assert.strictEqual(why(cron, "Nowhere/Land"), "there is no time zone \"Nowhere/Land\"")
    }
    assert.match(String(why("@fortnightly")), /^"@fortnightly" is none of @hourly, @daily, /)
  })

  it("have nicknames", () => {
    const next = (cron: string) => {
      const tick = Result.getOrThrow(nextTick({ cron, timeZone: "UTC" }, at("2026-03-03T01:30:00Z")))
      return new Date(tick).toISOString().slice(0, 16)
    }
    assert.deepStrictEqual(["@hourly", "@daily", "@weekly", "@monthly", "@yearly"].map(next), [
      "2026-03-03T02:00",
      "2026-03-04T00:00",
      "2026-03-08T00:00",
      "2026-04-01T00:00",
      "2027-01-01T00:00"
    ])
  })

  it("start their jobs at other times for each name and tick, up to the jitter, and before the next tick", () => {
    const late = (name: string, jitterMillis: number) =>
      Result.getOrThrow(ticksAfter({ name, cron: "@hourly", timeZone: "UTC", jitterMillis }, 0, 200))
        .map(({ at, startsAt }) => startsAt - at)

    assert.deepStrictEqual(late("a", 600_000), late("a", 600_000))
    const all = [...late("a", 600_000), ...late("b", 600_000)]
    assert.isAtLeast(new Set(all).size, 390)
    for (const part of [0, 1, 2, 3]) {
      const isIn = (millis: number) => millis >= part * 150_000 && millis <= (part + 1) * 150_000
      assert.isAtLeast(all.filter(isIn).length, 60)
    }
    assert.isTrue(late("a", 10_000_000).every((millis) => millis >= 0 && millis < 3_600_000))
    assert.isTrue(late("a", 10_000_000).some((millis) => millis > 3_000_000))
  })
})

/** A store whose answers take their time, so that all may have looked before the first has written. */
const slow = Effect.map(
  JobStore.JobStore,
  (store): JobStore.JobStore["Service"] => ({
    ...store,
    dueSchedules: (filter) => Effect.tap(store.dueSchedules(filter), () => Effect.sleep(20))
  })
)

const suite = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`JobSchedule (${backend})`, () => {
    const test = <A, E2>(
      name: string,
      body: () => Effect.Effect<A, E2, JobStore.JobStore | Scope.Scope>
    ) =>
      it.effect(
        name,
        () =>
          Effect.andThen(TestClock.setTime(at("2026-03-01T00:00:00Z")), body).pipe(Effect.provide(Layer.fresh(store)))
      )

    test("starts its job once for each tick, however many processes there are", () =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        const store = yield* slow
        const open = (options?: { readonly claim: JobManager.Claim }) =>
          Effect.provideService(process([Report], reports(ran), options), JobStore.JobStore, store)
        const one = yield* open()
        yield* open()
        yield* open({ claim: { names: ["test/Report"] } })
        yield* one.jobs.schedule(Report, "r", { name: "s", cron: "* * * * *", priority: 2 })
        for (let i = 0; i < 7; i++) yield* pass(minute / 2)

        assert.deepStrictEqual(ran, ["r 03-01T00:01", "r 03-01T00:02", "r 03-01T00:03"])
        const [job] = yield* one.jobs.list()
        assert.deepInclude(job, { name: "test/Report", priority: 2 })
      }))

    test("tells its job which tick has started it, also when another process goes on with the job", () =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        const tells = Report.toLayer((payload) =>
          Effect.gen(function*() {
            const { scheduled } = yield* JobContext.JobContext
            seen.push(Option.match(scheduled, {
              onNone: () => payload,
              onSome: ({ at, schedule }) => `${schedule} ${new Date(at).toISOString().slice(11, 16)}`
            }))
            yield* Effect.sleep(5000)
          })
        )
        const one = yield* process([Report], tells)
        yield* one.jobs.schedule(Report, "r", { name: "s", cron: "* * * * *", tags: ["often"] })
        yield* one.jobs.start(Report, "by hand")
        yield* pass(minute + 1000)
        yield* one.kill
        const two = yield* process([Report], tells)
        yield* pass(minute / 2)

        assert.deepStrictEqual(seen, ["by hand", "s 00:01", "s 00:01"])
        assert.lengthOf(yield* two.jobs.list({ tag: "often" }), 1)
      }))

    it.effect.prop(
      "starts its job once for each tick, whatever becomes of the processes",
      {
        script: Schema.Array(Schema.Struct({
          /** In steps of 100 ms. */
          after: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })),
          what: Schema.Literals(["open", "open", "kill", "close"])
        }))
      },
      ({ script }) =>
        Effect.gen(function*() {
          const start = at("2026-03-01T00:00:00Z")
          yield* TestClock.setTime(start)
          const store = yield* slow
          const opening = Effect.provideService(process([Report], reports([])), JobStore.JobStore, store)
          const opened = [yield* opening]
          yield* opened[0]?.jobs.schedule(Report, "r", { name: "s", cron: "*/2 * * * * *", missed: "all" }) ??
            Effect.void
          for (const { after, what } of script) {
            yield* pass(after * 100)
            if (what === "open") opened.push(yield* opening)
            else yield* Effect.forkDetach(opened.shift()?.[what] ?? Effect.void)
          }
          const last = yield* opening
          // To half the way between two ticks.
          yield* pass(3000 - (yield* Clock.currentTimeMillis) % 2000)

          const seconds = ((yield* Clock.currentTimeMillis) - start) / 1000
          assert.strictEqual((yield* last.jobs.list({ limit: 1000 })).length, Math.floor(seconds / 2))
        }).pipe(
          Effect.scoped,
          Effect.provide(Layer.fresh(store)),
          Effect.provide(Layer.fresh(TestClock.layer({ warningDelay: "1 minute" })))
        ),
      { arbitrary: { runs: runs(20), size: 10 } }
    )

    test("is started by who claims its job, and by nobody else", () =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        const programs = Layer.merge(reports(ran), Other.toLayer(() => Effect.void))
        const one = yield* process([Report, Other], programs, { claim: { names: ["test/Other"] } })
        yield* process([Report, Other], programs, { claim: "none" })
        yield* one.jobs.schedule(Report, "r", { name: "s", cron: "* * * * *" })
        yield* pass(2.5 * minute)
        assert.deepStrictEqual(yield* one.jobs.list(), [])

        yield* process([], Layer.empty)
        yield* pass(1000)
        assert.strictEqual((yield* one.jobs.list()).length, 1)
      }))

    test("goes by its time zone, also where the clocks change", () =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        for (const morning of ["2026-03-28T07:29:30Z", "2026-03-29T06:29:30Z"]) {
          yield* TestClock.setTime(at(morning))
          const one = yield* process([Report], reports(ran))
          yield* one.jobs.schedule(Report, "r", { name: "s", cron: "30 8 * * *", timeZone: "Europe/Berlin" })
          yield* pass(minute)
          yield* one.close
        }

        assert.deepStrictEqual(ran, ["r 03-28T07:30", "r 03-29T06:30"])
      }))

    for (const [missed, expected] of [["skip", 0], ["latest", 1], ["all", 5]] as const) {
      test(`runs ${expected} of five ticks that nobody was there for, where it is to ${missed}`, () =>
        Effect.gen(function*() {
          const ran: Array<string> = []
          const options = { name: "s", cron: "*/5 * * * *", missed }
          const one = yield* process([Report], reports(ran))
          yield* one.jobs.schedule(Report, "r", options)
          yield* one.close
          yield* pass(27.5 * minute)
          const two = yield* process([Report], reports(ran))
          // As a program does that begins anew.
          yield* two.jobs.schedule(Report, "r", options)
          yield* pass(1000)

          assert.strictEqual(ran.length, expected)
          yield* pass(2.5 * minute)
          assert.strictEqual(ran.length, expected + 1)
        }))
    }

    test("that is another one now runs as that says, and begins anew where its times are others", () =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        const one = yield* process([Report], reports(ran), { claim: "none" })
        yield* one.jobs.schedule(Report, "a", { name: "s", cron: "* * * * *" })
        yield* pass(1.5 * minute)
        yield* one.jobs.schedule(Report, "b", { name: "s", cron: "* * * * *", missed: "all" })
        assert.deepInclude((yield* one.jobs.schedules)[0], { payload: "b", nextAt: at("2026-03-01T00:01:00Z") })

        yield* one.jobs.schedule(Report, "b", { name: "s", cron: "0 5 * * *", missed: "all" })
        assert.deepInclude((yield* one.jobs.schedules)[0], { nextAt: at("2026-03-01T05:00:00Z") })
      }))

    test("that is the same stays as it is, whatever its payload is made of", () =>
      Effect.gen(function*() {
        const Deep = Job.make("test/Deep", {
          payload: Schema.Struct({
            paths: Schema.Array(Schema.String),
            at: Schema.Date,
            to: Schema.Option(Schema.Int)
          }),
          idempotencyKey: () => "k"
        })
        const one = yield* process([Deep], Deep.toLayer(() => Effect.void), { claim: "none" })
        for (let i = 0; i < 2; i++) {
          const payload = { paths: ["a", "b"], at: new Date(0), to: Option.some(1) }
          yield* one.jobs.schedule(Deep, payload, { name: "s", cron: "* * * * *", limits: { concurrency: 2 } })
          yield* pass(minute)
        }

        assert.deepInclude((yield* one.jobs.schedules)[0], { revision: 1, nextAt: at("2026-03-01T00:01:00Z") })
      }))

    test("that was removed and made anew while somebody ran a tick of it is the new one", () =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        const two = yield* process([Report], reports(ran), { claim: "none" })
        const anew = Effect.andThen(
          two.jobs.unschedule("s"),
          Effect.orDie(two.jobs.schedule(Report, "new", { name: "s", cron: "0 5 * * *" }))
        )
        const store = yield* JobStore.JobStore
        const late: JobStore.JobStore["Service"] = {
          ...store,
          putSchedule: (schedule, jobs, dueAt) => Effect.andThen(anew, store.putSchedule(schedule, jobs, dueAt))
        }
        yield* Effect.provideService(process([Report], reports(ran)), JobStore.JobStore, late)
        yield* two.jobs.schedule(Report, "old", { name: "s", cron: "* * * * *" })
        yield* pass(2 * minute)

        assert.deepStrictEqual(ran, [])
        assert.deepInclude((yield* two.jobs.schedules)[0], { payload: "new", nextAt: at("2026-03-01T05:00:00Z") })
      }))

    test("starts nothing any more once it is removed", () =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        const one = yield* process([Report], reports(ran))
        yield* one.jobs.schedule(Report, "r", { name: "s", cron: "* * * * *" })
        yield* pass(minute)
        assert.isTrue(yield* one.jobs.unschedule("s"))
        assert.isFalse(yield* one.jobs.unschedule("s"))
        yield* pass(5 * minute)

        assert.strictEqual(ran.length, 1)
        assert.deepStrictEqual(yield* one.jobs.schedules, [])
      }))

    test("starts no second job where its key is that of an active one", () =>
      Effect.gen(function*() {
        let begun = 0
        const Slow = Job.make("test/Slow", { idempotencyKey: () => "slow" })
        const one = yield* process(
          [Slow],
          Slow.toLayer(() => Effect.andThen(Effect.sync(() => begun++), Effect.sleep(90_000)))
        )
        yield* one.jobs.schedule(Slow, undefined, { name: "s", cron: "* * * * *" })
        for (let i = 0; i < 18; i++) yield* pass(10_000)

        assert.strictEqual(begun, 2)
      }))

    /** Notes when each run of a job, which takes so long, begins and is stopped. */
    const notes = (ran: Array<string>, millis: number) =>
      Report.toLayer((payload) =>
        Effect.gen(function*() {
          const note = (what: string) =>
            Effect.map(
              Clock.currentTimeMillis,
              (now) => void ran.push(`${what}${payload} ${new Date(now).toISOString().slice(14, 19)}`)
            )
          yield* note("")
          yield* Effect.onInterrupt(Effect.sleep(millis), () => note("stopped "))
        })
      )

    const atTicks = Effect.fnUntraced(function*(
      options: Partial<JobSchedule.Options>,
      { millis, seconds }: { readonly millis: number; readonly seconds: number }
    ) {
      const ran: Array<string> = []
      const one = yield* process([Report], notes(ran, millis), { grace: 100 })
      yield* process([Report], notes(ran, millis), { grace: 100 })
      yield* one.jobs.schedule(Report, "", { name: "s", cron: "*/10 * * * * *", ...options })
      for (let i = 0; i < seconds; i++) yield* pass(second)
      return ran.map((line) => line.trim())
    })

    test("overlaps as it is to", () =>
      Effect.gen(function*() {
        const long = { seconds: 45, millis: 25 * second }
        assert.deepStrictEqual(yield* atTicks({}, long), ["00:10", "00:20", "00:30", "00:40"])
      }))

    test("skips ticks while a job of an earlier tick is active", () =>
      Effect.gen(function*() {
        const ran = yield* atTicks({ overlap: "skip" }, { seconds: 75, millis: 25 * second })
        assert.deepStrictEqual(ran, ["00:10", "00:40", "01:10"])
      }))

    test("makes up in turn for ticks that were missed, where all are to be run and others are skipped", () =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        const options = { name: "s", cron: "* * * * *", overlap: "skip", missed: "all" } as const
        const one = yield* process([Report], reports(ran, 50 * second))
        yield* one.jobs.schedule(Report, "r", options)
        yield* pass(70 * second)
        yield* one.kill
        yield* pass(220 * second)
        const two = yield* process([Report], reports(ran, 50 * second))
        for (let i = 0; i < 54; i++) yield* pass(5 * second)

        const scheduled = (yield* two.jobs.list({ limit: 20 })).map((job) => Option.getOrThrow(job.scheduled).at)
        // Those from the fifth to the eighth minute have come while others waited.
        assert.deepStrictEqual(scheduled.toReversed().map((tick) => (tick - start) / minute), [1, 2, 3, 4, 9])
      }))

    test("has the latest tick wait for the job of an earlier one", () =>
      Effect.gen(function*() {
        const ran = yield* atTicks({ overlap: "queue" }, { seconds: 75, millis: 25 * second })
        assert.deepStrictEqual(ran, ["00:10", "00:35", "01:00"])
        const store = yield* JobStore.JobStore
        const scheduled = (yield* store.list({ limit: 9 })).map((job) => Option.getOrThrow(job.scheduled).at)
        assert.deepStrictEqual(scheduled.toReversed().map((tick) => new Date(tick).toISOString().slice(14, 19)), [
          "00:10",
          "00:30",
          "01:00"
        ])
      }))

    test("has each tick wait where all are to be run", () =>
      Effect.gen(function*() {
        const queue = { overlap: "queue", missed: "all" } as const
        assert.deepStrictEqual(yield* atTicks(queue, { seconds: 75, millis: 15 * second }), [
          "00:10",
          "00:25",
          "00:40",
          "00:55",
          "01:10"
        ])
        const store = yield* JobStore.JobStore
        const scheduled = (yield* store.list({ limit: 9 })).map((job) => Option.getOrThrow(job.scheduled).at)
        assert.deepStrictEqual(scheduled.toReversed().map((tick) => (tick / second) % 60), [10, 20, 30, 40, 50])
      }))

    test("cancels the job of an earlier tick, and starts its own once that one is over", () =>
      Effect.gen(function*() {
        const ran = yield* atTicks({ overlap: "cancel" }, { seconds: 29, millis: 25 * second })
        assert.deepStrictEqual(ran, ["00:10", "stopped  00:21", "00:21"])
        const store = yield* JobStore.JobStore
        const states = (yield* store.list({ limit: 9 })).map(({ state }) => state._tag)
        assert.deepStrictEqual(states, ["Running", "Cancelled"])
      }))

    it.effect.prop(
      "has no two jobs active at once, whatever becomes of the processes, where its jobs are not to overlap",
      {
        overlap: Schema.Literals(["skip", "queue", "cancel"]),
        script: Schema.Array(Schema.Struct({
          /** In steps of 100 ms. */
          after: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 })),
          what: Schema.Literals(["open", "open", "kill", "close", "run", "pause", "resume"])
        }))
      },
      ({ overlap, script }) =>
        Effect.gen(function*() {
          yield* TestClock.setTime(start)
          const store = yield* slow
          const opening = Effect.provideService(
            process([Report], notes([], 1300), { grace: 100, leaseTtl: "1 second" }),
            JobStore.JobStore,
            store
          )
          const one = yield* Effect.provideService(
            process([Report], notes([], 0), { claim: "none" }),
            JobStore.JobStore,
            store
          )
          yield* one.jobs.schedule(Report, "r", { name: "s", cron: "* * * * * *", overlap, missed: "all" })
          const opened = [yield* opening, yield* opening]
          for (const { after, what } of script) {
            if (what === "open") opened.push(yield* opening)
            else if (what === "run") yield* Effect.forkDetach(one.jobs.runSchedule("s"))
            else if (what === "pause") yield* one.jobs.pauseSchedule("s")
            else if (what === "resume") yield* one.jobs.resumeSchedule("s")
            else yield* Effect.forkDetach(opened.shift()?.[what] ?? Effect.void)
            for (let i = 0; i < after; i++) {
              yield* pass(100)
              const active = yield* one.jobs.list({ schedule: "s", states: ["Queued", "Running", "Paused"] })
              assert.isAtMost(active.length, 1)
            }
          }
        }).pipe(
          Effect.scoped,
          Effect.provide(Layer.fresh(store)),
          Effect.provide(Layer.fresh(TestClock.layer({ warningDelay: "1 minute" })))
        ),
      { arbitrary: { runs: runs(20), size: 10 } }
    )

    test("starts no job before the children of a cancelled one are over", () =>
      Effect.gen(function*() {
        const Child = Job.make("test/Child", { exclusiveKey: () => "one" })
        const Parent = Job.make("test/Parent", { error: Schema.String })
        const cleans = Child.toLayer(() => Effect.sleep(25 * second), { onCancel: () => Effect.sleep(3 * second) })
        const waits = Parent.toLayer(() =>
          ChildJobs.run("child", Child, undefined).pipe(
            Effect.catchTags({
              JobManagerError: ({ message }) => Effect.fail(message),
              JobNotCompleted: ({ message }) => Effect.fail(message)
            })
          )
        )
        const one = yield* process([Child, Parent], Layer.merge(cleans, waits), { grace: 100 })
        yield* one.jobs.schedule(Parent, undefined, { name: "s", cron: "*/10 * * * * *", overlap: "cancel" })
        for (let i = 0; i < 22; i++) yield* pass(second)
        const { id, started } = yield* one.jobs.runSchedule("s")
        assert.isFalse(started)
        assert.strictEqual((yield* one.jobs.get(id)).state._tag, "Cancelled")
        for (let i = 0; i < 6; i++) yield* pass(second)

        const states = Effect.fnUntraced(function*(name: string) {
          return (yield* one.jobs.list({ names: [name] })).map(({ state }) => state._tag)
        })
        assert.deepStrictEqual(yield* states("test/Parent"), ["Running", "Cancelled"])
        assert.deepStrictEqual(yield* states("test/Child"), ["Running", "Cancelled"])
      }))

    test("cancels no job of another schedule, nor one that was started by hand", () =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        const one = yield* process([Report], notes(ran, 25 * second), { grace: 100 })
        yield* one.jobs.schedule(Report, "a", { name: "a", cron: "*/10 * * * * *", overlap: "cancel" })
        yield* one.jobs.schedule(Report, "b", { name: "b", cron: "5 * * * * *", overlap: "cancel" })
        yield* one.jobs.start(Report, "hand")
        for (let i = 0; i < 22; i++) yield* pass(second)

        assert.deepStrictEqual(ran.slice(0, 5), ["hand 00:00", "b 00:05", "a 00:10", "stopped a 00:21", "a 00:21"])
        assert.strictEqual((yield* one.jobs.list({ states: ["Running"] })).length, 3)
      }))

    test("is paused by one process for all, and goes on from now with another", () =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        const one = yield* process([Report], notes(ran, 0))
        const two = yield* process([Report], notes(ran, 0))
        yield* one.jobs.schedule(Report, "r", { name: "s", cron: "*/10 * * * * *", missed: "all" })
        yield* pass(11 * second)
        yield* two.jobs.pauseSchedule("s")
        yield* two.jobs.pauseSchedule("s")
        yield* one.jobs.schedule(Report, "r", { name: "s", cron: "*/10 * * * * *", missed: "all", priority: 1 })
        yield* pass(30 * second)
        const [paused] = yield* one.jobs.schedules
        assert.deepInclude(paused, {
          pausedAt: Option.some(at("2026-03-01T00:00:11Z")),
          pausedBy: Option.some("person" as const),
          priority: 1
        })
        const [next] = yield* one.jobs.nextTicks("s", 1)
        assert.strictEqual(next?.at, at("2026-03-01T00:00:50Z"))
        yield* one.close
        yield* two.jobs.resumeSchedule("s")
        yield* pass(10 * second)

        assert.deepStrictEqual(ran, ["r 00:10", "r 00:50"])
        assert.deepInclude((yield* two.jobs.schedules)[0], {
          pausedAt: Option.none(),
          lastAt: Option.some(at("2026-03-01T00:00:50Z")),
          lastJob: Option.fromUndefinedOr((yield* two.jobs.list())[0]?.id)
        })
        const { nextTicks, pauseSchedule, resumeSchedule, runSchedule } = two.jobs
        for (const ask of [pauseSchedule("x"), resumeSchedule("x"), runSchedule("x"), nextTicks("x", 1)]) {
          assert.strictEqual((yield* Effect.flip(Effect.asVoid(ask))).message, "There is no schedule \"x\"")
        }
      }))

    test("runs now without moving its next tick, also while it is paused", () =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        const one = yield* process([Report], notes(ran, second))
        yield* one.jobs.schedule(Report, "r", { name: "s", cron: "0 * * * * *", overlap: "skip" })
        yield* pass(10 * second)
        const first = yield* one.jobs.runSchedule("s")
        const again = yield* one.jobs.runSchedule("s")
        assert.deepStrictEqual([first.started, again], [true, { id: first.id, started: false }])
        yield* pass(10 * second)
        yield* one.jobs.pauseSchedule("s")
        assert.isTrue((yield* one.jobs.runSchedule("s")).started)
        yield* pass(50 * second)

        assert.deepStrictEqual(ran, ["r 00:10", "r 00:20"])
        assert.deepInclude((yield* one.jobs.schedules)[0], {
          nextAt: at("2026-03-01T00:01:00Z"),
          lastAt: Option.some(at("2026-03-01T00:00:20Z"))
        })
        const jobs = yield* (yield* JobStore.JobStore).list({ limit: 9, schedule: "s" })
        assert.strictEqual(jobs.length, 2)
      }))

    test("tells the active job that has the key of the job that was to be started", () =>
      Effect.gen(function*() {
        const Slow = Job.make("test/Slow", { idempotencyKey: () => "slow" })
        const one = yield* process([Slow], Slow.toLayer(() => Effect.sleep(90 * second)))
        yield* one.jobs.schedule(Slow, undefined, { name: "s", cron: "*/10 * * * * *" })
        const { id } = yield* one.jobs.start(Slow, undefined)
        assert.deepStrictEqual(yield* one.jobs.runSchedule("s"), { id, started: false })
        yield* pass(10 * second)

        assert.deepInclude((yield* one.jobs.schedules)[0], { lastJob: Option.some(id) })
      }))

    test("is paused after so many failures in a row, and counts anew after it is resumed", () =>
      Effect.gen(function*() {
        let isGood = false
        const Fails = Job.make("test/Fails", { error: Schema.String })
        const one = yield* process([Fails], Fails.toLayer(() => isGood ? Effect.void : Effect.fail("no")))
        yield* one.jobs.schedule(Fails, undefined, { name: "s", cron: "*/2 * * * * *", failures: 3 })
        const count = Effect.map(one.jobs.list(), ({ length }) => length)
        const passTicks = Effect.fnUntraced(function*(ticks: number) {
          for (let i = 0; i < ticks; i++) yield* pass(2 * second)
        })
        yield* passTicks(2)
        isGood = true
        yield* passTicks(1)
        isGood = false
        yield* passTicks(2)
        assert.deepInclude((yield* one.jobs.schedules)[0], { pausedAt: Option.none() })
        yield* passTicks(1)
        assert.deepInclude((yield* one.jobs.schedules)[0], {
          pausedAt: Option.some(yield* Clock.currentTimeMillis),
          pausedBy: Option.some("failures" as const)
        })
        yield* passTicks(3)
        assert.strictEqual(yield* count, 6)
        yield* one.jobs.resumeSchedule("s")
        yield* passTicks(5)
        assert.strictEqual(yield* count, 9)
      }))

    test("does not count what failed before it was removed and added again, or got other work", () =>
      Effect.gen(function*() {
        const Fails = Job.make("test/Fails", { payload: Schema.String, error: Schema.String })
        const one = yield* process([Fails], Fails.toLayer(() => Effect.fail("no")))
        const options = { name: "s", cron: "*/2 * * * * *", failures: 1 }
        const isPaused = Effect.map(
          one.jobs.schedules,
          ([schedule]) => Option.isSome(schedule?.pausedAt ?? Option.none())
        )
        yield* one.jobs.schedule(Fails, "a", options)
        yield* pass(2 * second)
        assert.isTrue(yield* isPaused)

        yield* pass(second)
        yield* one.jobs.unschedule("s")
        yield* one.jobs.schedule(Fails, "a", options)
        yield* pass(second)
        assert.strictEqual((yield* one.jobs.list()).length, 2)
        assert.isTrue(yield* isPaused)
      }))

    test("is paused at its next tick by failures that nobody has counted", () =>
      Effect.gen(function*() {
        const one = yield* process([Report], reports([]), { claim: "none" })
        yield* one.jobs.schedule(Report, "r", { name: "s", cron: "*/2 * * * * *", failures: 1 })
        const { id } = yield* one.jobs.runSchedule("s")
        const store = yield* JobStore.JobStore
        const record = yield* store.get(id)
        const state = { ...record.state, _tag: "Failed" } as const
        yield* store.put(record.with({ state, finishedAt: Option.some(record.createdAt) }), "failed")
        yield* process([Report], reports([]))
        yield* pass(4 * second)

        assert.deepInclude((yield* one.jobs.schedules)[0], { pausedBy: Option.some("failures" as const) })
        assert.strictEqual((yield* one.jobs.list()).length, 1)
      }))

    test("starts its jobs by its jitter, once for each tick", () =>
      Effect.gen(function*() {
        const began: Array<number> = []
        const notesTime = Report.toLayer(() => Effect.map(Clock.currentTimeMillis, (now) => void began.push(now)))
        const one = yield* process([Report], notesTime)
        yield* process([Report], notesTime)
        yield* one.jobs.schedule(Report, "r", { name: "s", cron: "*/20 * * * * *", jitter: "15 seconds" })
        const ticks = yield* one.jobs.nextTicks("s", 3)
        assert.deepStrictEqual(ticks.map((tick) => tick.at), [1, 2, 3].map((n) => start + n * 20 * second))
        for (let i = 0; i < 79; i++) yield* pass(second)

        assert.strictEqual(began.length, 3)
        for (const [n, { startsAt }] of ticks.entries()) {
          // A manager looks five times a second.
          assert.isAtLeast(began[n] ?? 0, startsAt)
          assert.isAtMost(began[n] ?? 0, startsAt + 250)
        }
        const last = { lastAt: Option.some(start + 60 * second), nextAt: start + 80 * second }
        assert.deepInclude((yield* one.jobs.schedules)[0], last)
      }))

    /** A process whose clock can be set back while its timers go on: those of `TestClock` would stand still. */
    const ofClock = Effect.fnUntraced(function*(program: ReturnType<typeof notes>) {
      const clock = yield* Clock.Clock
      let behind = 0
      const now = () => clock.currentTimeMillisUnsafe() - behind
      const own = { ...clock, currentTimeMillisUnsafe: now, currentTimeMillis: Effect.sync(now) }
      const { jobs } = yield* Effect.provideService(process([Report], program), Clock.Clock, own)
      return { jobs, setBack: (millis: number) => void (behind += millis) }
    })

    test("runs no tick twice where the clock is set back, and goes on from now where it is resumed", () =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        const { jobs, setBack } = yield* ofClock(notes(ran, 0))
        yield* jobs.schedule(Report, "r", { name: "s", cron: "*/10 * * * * *" })
        yield* pass(31 * second)
        setBack(26 * second)
        yield* pass(20 * second)
        assert.strictEqual(ran.length, 3)
        assert.strictEqual((yield* jobs.nextTicks("s", 1))[0]?.at, at("2026-03-01T00:00:40Z"))
        yield* jobs.resumeSchedule("s")
        yield* pass(6 * second)

        assert.strictEqual(ran.length, 4)
      }))

    test("has no tick wait twice where the clock of a process is set back", () =>
      Effect.gen(function*() {
        const { jobs, setBack } = yield* ofClock(notes([], 3 * second))
        yield* jobs.schedule(Report, "r", { ...punctual, cron: "* * * * * *", overlap: "queue", missed: "all" })
        yield* pass(3500)
        setBack(1400)
        yield* pass(9 * second)

        const scheduled = (yield* jobs.list()).map((job) => (Option.getOrThrow(job.scheduled).at - start) / second)
        assert.deepStrictEqual(scheduled.toReversed(), [1, 2, 3, 4])
      }))

    test("that can't be is refused, with the reason", () =>
      Effect.gen(function*() {
        const one = yield* process([Report], reports([]))
        const refused = yield* Effect.flip(one.jobs.schedule(Report, "r", { name: "s", cron: "0 0 30 2 *" }))

        assert.instanceOf(refused, JobManager.JobManagerError)
        assert.strictEqual(
          refused.message,
          `Schedule "s" can't run at "0 0 30 2 *" (UTC): there is no such time`
        )
        assert.deepStrictEqual(yield* one.jobs.schedules, [])
      }))

    test("whose times can't be read any more is left, and holds up no other", () =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        const store = yield* JobStore.JobStore
        const one = yield* process([Report], reports(ran))
        yield* one.jobs.schedule(Report, "r", { name: "s", cron: "* * * * *" })
        const [good] = yield* one.jobs.schedules
        assert.instanceOf(good, JobSchedule.JobSchedule)
        yield* store.putSchedule(good.with({ name: "bad", timeZone: "Nowhere/Land", nextAt: 0, revision: 0 }), [])
        yield* pass(minute)

        assert.strictEqual(ran.length, 1)
      }))
  })

onStores(suite)
