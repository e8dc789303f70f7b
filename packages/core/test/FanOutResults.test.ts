import { assert, describe, it } from "@effect/vitest"
import { Interrupted } from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import { JobId } from "@fanout/core/JobId"
import { JobStore } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import { type Dispatcher, type NothingDurable, TaskDispatcher } from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { expectTypeOf } from "vitest"
import { asRun, pools, runningJob } from "./fanOutHarness.ts"
import { process } from "./managers.ts"

class Odd extends Schema.TaggedError<Odd>("test/Odd")("Odd", { n: Schema.BigInt }) {}

const Half = Task.make("test/Half", {
  payload: { n: Schema.Int },
  success: Schema.BigInt,
  error: Odd,
  timeout: "5 seconds"
})

/** How a number ends: an odd one fails, unless it is forgiven. Some end otherwise. */
const half = (n: number, forgives: boolean): Effect.Effect<bigint, Odd | Interrupted> =>
  n === 1000
    ? Effect.die(new Error("too many"))
    : n === 3000
    ? Effect.never
    : n % 2 === 1 && !forgives
    ? Effect.fail(new Odd({ n: BigInt(n) }))
    : Effect.succeed(BigInt(n) / 2n)

const run = <A, E, R>(id: string, use: (dispatcher: Dispatcher) => Effect.Effect<A, E, R>, attempt = 1) =>
  Effect.map(asRun(id, () => TaskDispatcher.use(use), { attempt }), ({ exit }) => exit)

const fresh = Effect.provide([pools, Layer.fresh(MemoryJobStore.layer)])

const failureOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isSuccess(exit) ? assert.fail(`it succeeded with ${String(exit.value)}`) : Cause.squash(exit.cause)

/** Runs numbers by a function and by a task, and notes which have run. */
const ways = (ran: Array<number>, forgives = false) => {
  const act = (n: number) => Effect.suspend(() => (ran.push(n), half(n, forgives)))
  const handlers = RpcGroup.make(Half).toLayer({ "test/Half": ({ n }) => act(n) })
  return {
    forEach: (dispatcher: Dispatcher, ns: ReadonlyArray<number>) =>
      dispatcher.forEach("halves", ns, act, { success: Schema.BigInt, error: Odd, timeout: "5 seconds" }),
    runAll: (dispatcher: Dispatcher, ns: ReadonlyArray<number>) =>
      Effect.provide(dispatcher.runAll("halves", Half, ns.map((n) => ({ n }))), handlers)
  }
}

const names = ["forEach", "runAll"] as const

const Calls = Job.make("test/Calls", { payload: Schema.Int, success: Schema.Array(Schema.Int) })

describe("A durable forEach", () => {
  it.effect("repeats the calls of the last twentieth of a second after a kill, and those that were under way", () =>
    Effect.gen(function*() {
      const calls = (ran: Array<number>) =>
        Calls.toLayer((count) =>
          TaskDispatcher.use((_) =>
            _.forEach(
              "calls",
              Array.from({ length: count }, (_, n) => n),
              (n) => Effect.delay(Effect.sync(() => ran.push(n) && n), "20 millis"),
              { success: Schema.Int, concurrency: 8 }
            )
          )
        )
      const [before, after] = [new Array<number>(), new Array<number>()]
      const first = yield* process([Calls], calls(before))
      yield* first.jobs.start(Calls, 100)
      yield* Effect.repeat(TestClock.adjust("5 millis"), { times: 30 })
      yield* first.kill
      const ended = before.length
      assert.isAtLeast(ended, 40)
      const second = yield* process([Calls], calls(after))
      yield* Effect.repeat(TestClock.adjust("250 millis"), { times: 80 })

      const [job] = yield* second.jobs.list()
      assert.strictEqual(job?.state._tag, "Completed")
      assert.isAtLeast(after.length, 100 - ended)
      assert.isAtMost(after.length, 100 - ended + 4 * 8)
    }).pipe(fresh))

  it.effect.prop(
    "gives what Effect.forEach gives, and runs nothing twice that is done",
    { ns: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))), name: Schema.Literals(names) },
    ({ name, ns }) =>
      Effect.gen(function*() {
        yield* runningJob("law")
        const ran: Array<number> = []
        const first = yield* run("law", (dispatcher) => ways(ran)[name](dispatcher, ns))
        const expected = yield* Effect.exit(Effect.forEach(ns, (n) => half(n, false)))
        if (Exit.isSuccess(expected)) assert.deepStrictEqual(first, expected)
        else assert.instanceOf(failureOf(first), Odd)

        const again: Array<number> = []
        const second = yield* run("law", (dispatcher) => ways(again, true)[name](dispatcher, ns))
        assert.deepStrictEqual(second, yield* Effect.exit(Effect.forEach(ns, (n) => half(n, true))))
        assert.strictEqual(again.length, ns.length - ran.filter((n) => n % 2 === 0).length)

        const rest: Array<number> = []
        assert.deepStrictEqual(yield* run("law", (dispatcher) => ways(rest)[name](dispatcher, ns)), second)
        assert.deepStrictEqual(rest, [])
      }).pipe(fresh)
  )

  it.effect("tells each item which attempt of its own it is, anew in each run", () =>
    Effect.gen(function*() {
      yield* runningJob("attempts")
      const seen: Array<readonly [item: number, attempt: number]> = []
      const item = (n: number) =>
        Effect.gen(function*() {
          const attempt = yield* Task.CurrentAttempt
          seen.push([n, attempt])
          if (n >= attempt) return yield* new Odd({ n: BigInt(n) })
        })
      for (const _ of [1, 2]) {
        yield* run("attempts", (dispatcher) =>
          dispatcher.forEach("items", [0, 1, 2, 3], item, {
            success: Schema.Void,
            error: Odd,
            retry: { times: 2 },
            concurrency: 1
          }))
      }

      const three = [[3, 1], [3, 2], [3, 3]] as const
      assert.deepStrictEqual(seen, [[0, 1], [1, 1], [1, 2], [2, 1], [2, 2], [2, 3], ...three, ...three])
    }).pipe(fresh))

  for (const name of names) {
    it.effect(`goes on after a crash (${name})`, () =>
      Effect.gen(function*() {
        yield* runningJob("crash")
        const ns = [...Array.from({ length: 50 }, (_, index) => index * 2), 3000, 0, 2, 4]
        const ran: Array<number> = []
        const first = yield* Effect.forkChild(run("crash", (dispatcher) => ways(ran)[name](dispatcher, ns)))
        yield* settle
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(ran, ns)
        yield* Fiber.interrupt(first)

        const again: Array<number> = []
        const second = yield* Effect.forkChild(run("crash", (dispatcher) => ways(again)[name](dispatcher, ns)))
        yield* settle
        yield* TestClock.adjust("6 seconds")
        assert.deepStrictEqual(failureOf(yield* Fiber.join(second)), new Interrupted({ reason: "Timeout" }))
        assert.deepStrictEqual(again, [3000])
      }).pipe(fresh))

    it.effect(`is made again by Effect.retry, for what is not done (${name})`, () =>
      Effect.gen(function*() {
        yield* runningJob("retry")
        let tries = 0
        const ran: Array<number> = []
        const exit = yield* run("retry", (dispatcher) =>
          Effect.suspend(() =>
            ways(ran, ++tries === 3)[name](dispatcher, [2, 3, 4])
          ).pipe(Effect.retry({ times: 5 })))

        assert.deepStrictEqual(exit, Exit.succeed([1n, 1n, 2n]))
        assert.deepStrictEqual(ran.filter((n) => n === 3), [3, 3, 3])
        assert.lengthOf(ran, 5)
      }).pipe(fresh))

    it.effect(`dies as its items die (${name})`, () =>
      Effect.gen(function*() {
        yield* runningJob("dies")
        const exit = yield* run("dies", (dispatcher) => ways([])[name](dispatcher, [2, 1000]))

        assert.match(String(failureOf(exit)), /too many/)
      }).pipe(fresh))

    for (const [what, items] of Object.entries({ fewer: [2], other: [2, 6], more: [2, 4, 6], reordered: [4, 2] })) {
      it.effect(`is refused for ${what} items than before (${name})`, () =>
        Effect.gen(function*() {
          yield* runningJob("others")
          yield* run("others", (dispatcher) => ways([])[name](dispatcher, [2, 4]))
          const ran: Array<number> = []
          const exit = yield* run("others", (dispatcher) => ways(ran)[name](dispatcher, items))

          assert.match(String(failureOf(exit)), /has run for 2 items.*give the same items in each run/)
          assert.deepStrictEqual(ran, [])
        }).pipe(fresh))

      it.effect(`is refused for ${what} items than were under way (${name})`, () =>
        Effect.gen(function*() {
          yield* runningJob("changed")
          const first = yield* Effect.forkChild(
            run("changed", (dispatcher) => ways([])[name](dispatcher, [2, 4, 3000, 3000]))
          )
          yield* settle
          yield* TestClock.adjust("1 second")
          yield* Fiber.interrupt(first)
          const second = yield* Effect.forkChild(
            run("changed", (dispatcher) => ways([])[name](dispatcher, [...items, 8, 10, 12]))
          )
          yield* settle
          yield* TestClock.adjust("1 second")

          assert.match(String(failureOf(yield* Fiber.join(second))), /give the same items in each run/)
        }).pipe(fresh))
    }
  }

  it.effect("knows items again that JSON alone does not tell apart, and refuses those that have none", () =>
    Effect.gen(function*() {
      const Big = Task.make("test/Big", { payload: { n: Schema.BigInt }, success: Schema.String })
      const handlers = RpcGroup.make(Big).toLayer({ "test/Big": ({ n }) => Effect.succeed(String(n)) })
      yield* runningJob("texts")
      const numbers = (from: bigint) => (dispatcher: Dispatcher) =>
        Effect.provide(dispatcher.runAll("big", Big, [{ n: from }, { n: from + 1n }]), handlers)
      assert.deepStrictEqual(yield* run("texts", numbers(1n)), Exit.succeed(["1", "2"]))
      assert.match(String(failureOf(yield* run("texts", numbers(7n)))), /give the same items/)

      const items = (values: ReadonlyArray<unknown>) => ({ forEach }: Dispatcher) =>
        forEach("items", values, (_, index) => Effect.succeed(index), { success: Schema.Int })
      const pairs = { map: [new Map([[1, 0]]), new Map([[7, 0]])], set: [new Set([1]), new Set([2])], bigint: [1n, 2n] }
      for (const [id, [first, second]] of Object.entries(pairs)) {
        yield* runningJob(id)
        assert.deepStrictEqual(yield* run(id, items([first])), Exit.succeed([0]))
        assert.match(String(failureOf(yield* run(id, items([second])))), /give the same items/)
      }
      const cyclic: { self?: unknown } = {}
      cyclic.self = cyclic
      for (const item of [cyclic, () => 1, Symbol("x")]) {
        const refused = failureOf(yield* run("texts", items([0, item])))
        assert.match(String(refused), /Item 1 has no JSON by which it is known again: give `keyOf`/)
      }
    }).pipe(fresh))

  it.effect("dies where an item interrupts itself, and says which item it was", () =>
    Effect.gen(function*() {
      yield* runningJob("itself")
      const said: Array<string> = []
      const logger = Logger.make<unknown, void>(({ message }) => {
        said.push(String(message))
      })
      const exit = yield* run("itself", ({ forEach }) =>
        forEach("towns", ["Ulm", "Bonn"], (town) =>
          town === "Bonn" ? Effect.interrupt : Effect.void, {
          success: Schema.Void,
          keyOf: (town) => town
        }).pipe(Effect.provide(Logger.layer([logger]))))

      assert.match(String(failureOf(exit)), /interrupted itself/)
      assert.deepStrictEqual(said, ["\"Bonn\" in fan-out \"towns\" of job itself has failed, and stops it"])
    }).pipe(fresh))

  it.effect("whose task skips an element says that it has no value of it", () =>
    Effect.gen(function*() {
      yield* runningJob("skips")
      const handlers = RpcGroup.make(Half).toLayer({ "test/Half": () => Task.skip("not today") })
      const exit = yield* run("skips", ({ runAll }) => Effect.provide(runAll("halves", Half, [{ n: 1 }]), handlers))

      assert.match(String(failureOf(exit)), /gives all values has none of an element that was skipped: not today/)
    }).pipe(fresh))

  it.effect("pauses its job where pauseOn says so", () =>
    Effect.gen(function*() {
      yield* runningJob("pauses")
      const pauses: Array<string> = []
      const running = yield* Effect.forkChild(run("pauses", ({ runAll }) =>
        runAll("halves", Half, [{ n: 1 }], {
          pauseOn: ({ n }) => {
            pauses.push(String(n))
            return { by: "odds", message: "a number is odd" }
          }
        }).pipe(Effect.provide(RpcGroup.make(Half).toLayer({ "test/Half": ({ n }) => half(n, false) })))))
      yield* settle

      assert.deepStrictEqual(pauses, ["1"])
      assert.isUndefined(running.pollUnsafe())
    }).pipe(fresh))

  it.effect("whose value does not fit its schema leaves the item", () =>
    Effect.gen(function*() {
      yield* runningJob("misfit")
      const Even = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))
      const exit = yield* run("misfit", ({ forEach }) =>
        forEach("halves", [3, 7], (n) => Effect.succeed(n), { success: Even }))
      assert.match(String(failureOf(exit)), /its success does not match its schema/)

      const again: Array<number> = []
      const act = (n: number) =>
        Effect.sync(() => (again.push(n), n))
      const second = yield* run("misfit", ({ forEach }) => forEach("halves", [3, 7], act, { success: Schema.Int }))
      assert.deepStrictEqual(second, Exit.succeed([3, 7]))
      assert.deepStrictEqual(again, [7])
    }).pipe(fresh))

  it("has the types of its function and schemas", () => {
    const typed = TaskDispatcher.use(({ forEach }) =>
      forEach("texts", new Set([1, 2]), (n) => Effect.succeed(String(n)), { success: Schema.String })
    )
    expectTypeOf<Effect.Success<typeof typed>>().toEqualTypeOf<ReadonlyArray<string>>()
    expectTypeOf<Effect.Error<typeof typed>>().toEqualTypeOf<Interrupted | JobStoreError>()
    const refused = [
      // @ts-expect-error -- the value has no schema
      ({ forEach }: Dispatcher) => forEach("texts", [1, 2], (n) => Effect.succeed(n)),
      ({ forEach }: Dispatcher) =>
        // @ts-expect-error -- nor has the error
        forEach("texts", [1, 2], () => Effect.fail("no"), { success: Schema.Void }),
      ({ forEach }: Dispatcher) =>
        // @ts-expect-error -- the value is not of its schema
        forEach("texts", [1, 2], (n) => Effect.succeed(n), { success: Schema.String })
    ]
    assert.lengthOf(refused, 3)
    const nested = ({ forEach, runAll }: Dispatcher) =>
      forEach("outer", [1, 2], (n) => Effect.orDie(runAll("inner", Half, [{ n }])), {
        success: Schema.Array(Schema.BigInt)
      })
    expectTypeOf(nested).returns.toEqualTypeOf<NothingDurable>()
    const failing = ({ fanOut, forEach }: Dispatcher) =>
      forEach("outer", [1, 2], (n) => Effect.asVoid(fanOut("inner", Half, Source.fromIterable([{ n }]))), {
        success: Schema.Void
      })
    expectTypeOf(failing).returns.toEqualTypeOf<NothingDurable>()
    const storing = ({ forEach }: Dispatcher) =>
      // @ts-expect-error -- elsewhere an error of a store needs a schema as any other
      forEach("outer", [1, 2], () => Effect.asVoid(JobStore.use((store) => store.list({}))), { success: Schema.Void })
    assert.isFunction(storing)
  })
})

describe("The progress of a job of many fan-outs", () => {
  it.effect("has few tallies, and counts each element once, after a failure and in the next attempt, too", () =>
    Effect.gen(function*() {
      yield* runningJob("many")
      const steps = (forgives: boolean) => (dispatcher: Dispatcher) =>
        Effect.forEach(
          Array.from({ length: 200 }, (_, n) => n),
          (n) =>
            Effect.ignore(
              dispatcher.forEach(`step ${n}`, [n % 70 === 69 ? 1 : 2, 4], (n) => half(n, forgives), {
                success: Schema.BigInt,
                error: Odd,
                concurrency: 1
              })
            ),
          { discard: true }
        )
      const progress = Effect.map(JobStore.use((store) => store.pulse(JobId.make("many"))), ({ progress }) => progress)

      yield* run("many", steps(false))
      const first = yield* progress
      assert.isAtMost(Object.keys(first.fanOuts).length, 65)
      assert.strictEqual(first.items, 2 * 198)

      yield* run("many", steps(true), 2)
      const second = yield* progress
      assert.isAtMost(Object.keys(second.fanOuts).length, 65)
      assert.strictEqual(second.items, 2 * 200)
      assert.strictEqual(second.tally.failed, 0)
    }).pipe(fresh))
})

describe("The results of a fan-out", () => {
  it.effect("are typed, one for each element, and in the next attempt what came of it then", () =>
    Effect.gen(function*() {
      yield* runningJob("results")
      const program = (forgives: boolean) => ({ fanOut, results }: Dispatcher) =>
        fanOut("halves", Half, Source.map(Source.range(1, 2000), (n) => ({ n })), { keep: "all" }).pipe(
          Effect.andThen(Stream.runCollect(results("halves", Half))),
          Effect.provide(
            RpcGroup.make(Half).toLayer({
              "test/Half": ({ n }) => n === 7 ? Task.skip("not today") : half(n, forgives)
            })
          )
        )
      const first = yield* run("results", program(false))
      const found = Exit.isSuccess(first) ? first.value : assert.fail(String(first))
      const ends = new Map(found.map(({ cursor, outcome }) => [cursor, outcome]))
      assert.lengthOf(found, 2000)
      assert.strictEqual(ends.size, 2000)
      assert.deepStrictEqual(ends.get("4"), { _tag: "Done", value: 2n })
      assert.deepStrictEqual(ends.get("7"), { _tag: "Skipped", reason: "not today", count: 1 })
      const five = ends.get("5")
      assert.deepStrictEqual(
        five?._tag === "Failed" && five.failure._tag === "Error" && five.failure.error,
        new Odd({ n: 5n })
      )

      const second = yield* run("results", program(true), 2)
      const now = Exit.isSuccess(second) ? second.value : assert.fail(String(second))
      assert.lengthOf(now, 2000)
      assert.lengthOf(now.filter(({ outcome }) => outcome._tag === "Done"), 1998)
    }).pipe(fresh))
})
