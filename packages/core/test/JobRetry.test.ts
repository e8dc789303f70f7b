import { assert, describe, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import * as JobState from "@fanout/core/JobState"
import * as JobStore from "@fanout/core/JobStore"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { process } from "./managers.ts"
import { onStores } from "./stores.ts"

class Busy extends Schema.TaggedError<Busy>("test/Busy")("Busy", {}) {}

/** Schedules that ask how long it has been, by what a program of half a minute should come to under them. */
const schedules: Record<string, Schedule.Schedule<unknown>> = {
  "a limit on the time": Schedule.spaced("1 second").pipe(Schedule.upTo({ duration: "60 seconds" })),
  "a limit on both": Schedule.spaced("1 second").pipe(Schedule.upTo({ duration: "5 minutes", times: 4 })),
  "delays that grow, and a limit": Schedule.exponential("10 seconds").pipe(Schedule.upTo({ duration: "3 minutes" })),
  "a fixed interval": Schedule.fixed("45 seconds").pipe(Schedule.upTo({ times: 3 })),
  "nothing but a number of times": Schedule.spaced("7 seconds").pipe(Schedule.upTo({ times: 3 }))
}

/** Fails after some time, and notes when it began. */
const failing = (begins: Array<number>, millis: number) =>
  Effect.clockWith((clock) => Effect.sync(() => begins.push(clock.currentTimeMillisUnsafe()))).pipe(
    Effect.andThen(Effect.sleep(millis)),
    Effect.andThen(Effect.fail(new Busy()))
  )

describe("a job's retry", () => {
  for (const [what, retry] of Object.entries(schedules)) {
    it.effect(`with ${what} runs a program as often as Effect.retry does, and at the same times`, () =>
      Effect.gen(function*() {
        const [plain, ofJob]: [Array<number>, Array<number>] = [[], []]
        const Slow = Job.make("test/Slow", { error: Busy, retry })
        const one = yield* process([Slow], Slow.toLayer(() => failing(ofJob, 30_000)), { leaseTtl: 60_000 })
        const retrying = yield* Effect.forkChild(Effect.ignore(Effect.retry(failing(plain, 30_000), retry)))
        const { id } = yield* one.jobs.start(Slow, undefined)
        yield* TestClock.adjust("8 minutes")

        assert.isDefined(retrying.pollUnsafe())
        yield* Fiber.interrupt(retrying)
        assert.strictEqual((yield* one.jobs.get(id)).state._tag, "Failed")
        assert.strictEqual(ofJob.length, plain.length)
        // A job is found to be due at the next poll.
        ofJob.forEach((at, n) => assert.closeTo(at, (plain[n] ?? 0) + 250 * n, 250 * (n + 1)))
      }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))
  }
})

const suite = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`a job's retry (${backend})`, () => {
    const test = <A, E2>(name: string, body: () => Effect.Effect<A, E2, JobStore.JobStore | Scope.Scope>) =>
      it.effect(name, () => body().pipe(Effect.provide(Layer.fresh(store))))

    test("goes on counting the time in the next process, and begins anew with a person's retry", () =>
      Effect.gen(function*() {
        const begins: Array<number> = []
        const retry = Schedule.spaced(200).pipe(Schedule.upTo({ duration: "12 seconds" }))
        const Slow = Job.make("test/Slow", { error: Busy, retry })
        const open = process([Slow], Slow.toLayer(() => failing(begins, 6000)), { leaseTtl: 1000 })
        const one = yield* open
        const { id } = yield* one.jobs.start(Slow, undefined)
        yield* TestClock.adjust("8 seconds")
        yield* one.close
        const two = yield* open
        yield* TestClock.adjust("20 seconds")
        // The run that was stopped is begun again.
        assert.strictEqual(begins.length, 4)
        const { state } = yield* two.jobs.get(id)
        assert.deepStrictEqual(state, JobState.JobState.cases.Failed.make({ attempt: 1, tries: 2 }))

        yield* two.jobs.retry(id)
        yield* TestClock.adjust("25 seconds")
        assert.strictEqual(begins.length, 7)
      }))

    test("of a job that an older version has stored goes by its delays", () =>
      Effect.gen(function*() {
        const begins: Array<number> = []
        const retry = Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 3 }))
        const Slow = Job.make("test/Slow", { error: Busy, retry })
        const stranger = yield* process([], Layer.empty)
        const { id } = yield* stranger.jobs.start(Slow, undefined)
        const store = yield* JobStore.JobStore
        const { Queued } = JobState.JobState.cases
        yield* store.put((yield* store.get(id)).with({ state: Queued.make({ attempt: 1, tries: 2 }) }), "backoff")
        yield* process([Slow], Slow.toLayer(() => failing(begins, 6000)))
        yield* TestClock.adjust("20 seconds")

        assert.strictEqual(begins.length, 2)
        assert.deepInclude((yield* store.get(id)).state, { _tag: "Failed", tries: 3 })
      }))

    const odd: Record<string, readonly [schedule: Schedule.Schedule<unknown>, why: string]> = {
      throws: [
        Schedule.spaced("1 second").pipe(Schedule.map(() => {
          throw new Error("odd")
        })),
        "odd"
      ],
      dies: [Schedule.spaced("1 second").pipe(Schedule.tap(() => Effect.die(new Error("odd")))), "odd"],
      "never answers": [
        Schedule.spaced("1 second").pipe(Schedule.tap(() => Effect.never)),
        "it takes longer than a minute"
      ],
      "waits for ever": [Schedule.spaced("Infinity"), "its delay has to be a duration that ends; it was given Infinity"]
    }
    for (const [what, [retry, why]] of Object.entries(odd)) {
      test(`that ${what} ends its job with a defect that says so`, () =>
        Effect.gen(function*() {
          const Odd = Job.make("test/Odd", { error: Busy, retry })
          const one = yield* process([Odd], Odd.toLayer(() => Effect.fail(new Busy())))
          const { id } = yield* one.jobs.start(Odd, undefined)
          yield* TestClock.adjust("70 seconds")

          const { exit, state } = yield* one.jobs.get(id)
          assert.strictEqual(state._tag, "Failed")
          assert.deepInclude(Option.getOrThrow(exit), {
            _tag: "Defect",
            message: `Busy, and its retry died: ${why}`
          })
        }))
    }
  })

onStores(suite)
