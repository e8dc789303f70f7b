import { assert, describe, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import * as JobContext from "@fanout/core/JobContext"
import * as JobManager from "@fanout/core/JobManager"
import * as JobSchedule from "@fanout/core/JobSchedule"
import * as JobStore from "@fanout/core/JobStore"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import { layerSqlite } from "@fanout/core/node"
import { settle } from "@fanout/core/testing"
import * as Clock from "effect/Clock"
import * as Cron from "effect/Cron"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { nextTick, ticksOf } from "../src/internal/job/ticks.ts"
import { process } from "./managers.ts"

const at = (text: string) => new Date(text).getTime()
const minute = 60_000

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

const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

describe("ticks", () => {
  const Time = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 * 24 * 3600 }))
  const crons = ["0 3 * * *", "*/7 * * * *", "*/20 * * * * *", "30 2 * * 0", "0 0 31 * *", "15 */5 1 1 *"]

  it.prop(
    "are those of the cron, each once, however often and whenever anybody looks",
    {
      cron: Schema.Literals(crons),
      timeZone: Schema.Literals(["UTC", "Europe/Berlin", "America/New_York", "+05:45"]),
      start: Time,
      looks: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1500 })))
    },
    ({ cron, looks, start, timeZone }) => {
      const parsed = Cron.parseUnsafe(cron, timeZone)
      let now = at("2026-01-01T00:00:00Z") + start * 1000
      let nextAt = Result.getOrThrow(nextTick({ cron, timeZone }, now))
      const found: Array<number> = []
      const expected: Array<number> = []
      let tick = now
      for (const seconds of looks) {
        now += seconds * 1000
        const ticks = Result.getOrThrow(ticksOf({ cron, timeZone, missed: "all", nextAt }, now))
        found.push(...ticks.due)
        nextAt = ticks.nextAt
        while ((tick = Cron.next(parsed, tick).getTime()) <= now) expected.push(tick)
        tick = now
      }

      assert.deepStrictEqual(found, expected)
      assert.isAbove(nextAt, now)
    },
    { arbitrary: { runs: runs(200), size: 20 } }
  )

  const missed = { cron: "0 * * * *", timeZone: "UTC", nextAt: at("2026-03-01T01:00:00Z") }
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
    const often = { cron: "*/10 * * * * *", timeZone: "UTC", nextAt: at("2026-03-01T01:00:00Z") }
    const count = (policy: "skip" | "latest" | "all", now: string) =>
      Result.getOrThrow(ticksOf({ ...often, missed: policy }, at(now))).due.length

    for (const policy of ["skip", "latest", "all"] as const) {
      assert.strictEqual(count(policy, "2026-03-01T01:00:35Z"), 4)
    }
    assert.strictEqual(count("latest", "2026-03-01T01:05:35Z"), 1)
  })

  it("are never those to come, also where the clocks are set forward", () => {
    const spring = { cron: "*/20 2 * * *", timeZone: "Europe/Berlin", nextAt: at("2026-03-29T01:00:00Z") }

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

    assert.match(String(why("61 * * * *")), /between 0 and 59/)
    assert.match(String(why("0 0 30 2 *")), /no such time/)
    assert.isString(why("0 0 * * *", "Nowhere/Land"))
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

suite("memory", MemoryJobStore.layer)
suite("SQLite", layerSqlite({ filename: ":memory:" }))
