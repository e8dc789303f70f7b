import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import type { FanOutStopped } from "@fanout/core/FanOut"
import * as Interrupter from "@fanout/core/Interrupter"
import type { JobContext } from "@fanout/core/JobContext"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Pools from "@fanout/core/Pools"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

const layer = TaskDispatcher.layer.pipe(Layer.provideMerge(Pools.layer({ one: 1, many: 64 })))
const dispatcher = TaskDispatcher.TaskDispatcher

/** The dispatcher that a handler sees. */
const nested = Effect.flatMap(TaskDispatcher.Current, Effect.fromOption).pipe(Effect.orDie)

class Odd extends Schema.TaggedError<Odd>("Odd")("Odd", { n: Schema.Number }) {}
const Half = Task.make("test/Half", {
  payload: { n: Schema.Number },
  success: Schema.Number,
  error: Odd,
  pool: "one"
})
class Halves extends RpcGroup.make(Half) {}
const halves = Halves.toLayer({
  "test/Half": ({ n }) => n % 2 === 0 ? Effect.succeed(n / 2) : Effect.fail(new Odd({ n }))
})

const Sleep = Task.make("test/Sleep", { payload: { millis: Schema.Number }, pool: "many" })
class Sleepers extends RpcGroup.make(Sleep) {}

describe("TaskDispatcher", () => {
  it.effect("gives the result and the typed error of a task", () =>
    Effect.gen(function*() {
      const { run } = yield* dispatcher
      assert.strictEqual(yield* run(Half, { n: 4 }), 2)
      assert.deepStrictEqual(yield* Effect.flip(run(Half, { n: 3 })), new Odd({ n: 3 }))
    }).pipe(Effect.provide([layer, halves])))

  it("does not compile without the handler of a task", () => {
    const program = dispatcher.use((_) => _.run(Half, { n: 4 })).pipe(Effect.provide(layer))
    expectTypeOf<Effect.Services<typeof program>>().toEqualTypeOf<Task.Handler<typeof Half>>()
    // @ts-expect-error  the handler is missing
    const _: Effect.Effect<number, unknown> = program
  })

  it("does not compile without the handler of a task that fans out beside another", () => {
    const program = dispatcher.use(({ fanOut }) =>
      Effect.all([fanOut("one", Half, () => Stream.empty), fanOut("other", Half, () => Stream.empty)])
    )
    expectTypeOf<Effect.Services<typeof program>>().toEqualTypeOf<
      TaskDispatcher.TaskDispatcher | JobContext | Task.Handler<typeof Half>
    >()
    expectTypeOf<Effect.Error<typeof program>>().toEqualTypeOf<Interrupter.Interrupted | JobStoreError>()
    const stops = dispatcher.use(({ fanOut }) => fanOut("one", Half, () => Stream.empty, { failures: "failFast" }))
    expectTypeOf<Effect.Error<typeof stops>>().toEqualTypeOf<
      Interrupter.Interrupted | FanOutStopped | JobStoreError
    >()
  })

  it.effect("ends three levels of nested tasks in a pool of size 1", () =>
    Effect.gen(function*() {
      const { runEffect } = yield* dispatcher
      const level = (depth: number): Effect.Effect<number, Interrupter.Interrupted> =>
        depth === 0 ? Effect.succeed(1) : Effect.flatMap(nested, ({ runEffect }) =>
          Effect.map(
            Effect.all([runEffect(level(depth - 1), { pool: "one" }), runEffect(level(depth - 1), { pool: "one" })], {
              concurrency: 2
            }),
            ([a, b]) => a + b
          ))
      assert.strictEqual(yield* runEffect(level(3), { pool: "one" }), 8)
    }).pipe(Effect.provide(layer)))

  it.effect("lets a branch of a task wait for others while another branch waits to go on", () =>
    Effect.gen(function*() {
      const { runEffect } = yield* dispatcher
      const pool = { pool: "one" } as const
      const under = Effect.flatMap(nested, ({ runEffect }) => runEffect(Effect.sleep(10), pool))
      const task = yield* Effect.forkChild(
        runEffect(Effect.all([under, Effect.delay(under, 20)], { concurrency: 2 }), pool)
      )
      yield* settle
      // It gets what the first branch has given back, before that branch can have it again.
      const other = yield* Effect.forkChild(runEffect(Effect.sleep(100), pool))
      yield* settle

      yield* TestClock.adjust("10 seconds")

      assert.deepStrictEqual([task, other].map((fiber) => fiber.pollUnsafe() !== undefined), [true, true])
    }).pipe(Effect.provide(layer)))

  it.effect("lets each task dispatch its successor, 256 deep", () =>
    Effect.gen(function*() {
      const { runEffect } = yield* dispatcher
      const last = yield* Deferred.make<number>()
      const Next = Task.make("test/Next", { payload: { n: Schema.Number }, pool: "one" })
      class Nexts extends RpcGroup.make(Next) {}
      const nexts: Layer.Layer<Task.Handler<typeof Next>> = Nexts.toLayer({
        "test/Next": Effect.fnUntraced(function*({ n }) {
          if (n === 256) return yield* Effect.asVoid(Deferred.succeed(last, n))
          const { dispatch } = yield* nested
          yield* Effect.provide(dispatch(Next, { n: n + 1 }), nexts)
        })
      })
      yield* runEffect(Effect.flatMap(nested, ({ dispatch }) => dispatch(Next, { n: 1 })).pipe(Effect.provide(nexts)))
      assert.strictEqual(yield* Deferred.await(last), 256)
    }).pipe(Effect.provide(layer)))

  it.effect("moves no task between pause and resume, 50 tasks by 20 rounds", () =>
    Effect.gen(function*() {
      const { dispatchMany } = yield* dispatcher
      const counts = new Map<number, number>()
      const Count = Task.make("test/Count", { payload: { n: Schema.Number }, success: Schema.Number, pool: "many" })
      class Counts extends RpcGroup.make(Count) {}
      const done = TaskCheckpoint.make(Schema.Number)
      const live = Counts.toLayer({
        "test/Count": Effect.fnUntraced(function*({ n }) {
          for (let i = Option.getOrElse(yield* done.get, () => 0); i < 100; i++) {
            yield* Interrupter.check
            yield* Effect.sleep("10 millis")
            counts.set(n, (counts.get(n) ?? 0) + 1)
            yield* done.save(i + 1)
          }
          return n
        })
      })
      const handles = yield* dispatchMany(Count, Array.from({ length: 50 }, (_, n) => ({ n }))).pipe(
        Effect.provide(live)
      )
      for (let round = 0; round < 20; round++) {
        yield* TestClock.adjust("25 millis")
        yield* Effect.forEach(handles, (_) => _.pause)
        yield* TestClock.adjust("20 millis")
        const before = Array.from(counts.values())
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(Array.from(counts.values()), before)
        yield* Effect.forEach(handles, (_) => _.resume)
      }
      yield* TestClock.adjust("5 seconds")
      const ends = yield* Effect.forEach(handles, (_) => _.await)
      assert.deepStrictEqual(ends, Array.from({ length: 50 }, (_, n) => ({ _tag: "Done" as const, value: n })))
      assert.isTrue(Array.from(counts.values()).every((count) => count === 100))
    }).pipe(Effect.provide(layer)))

  it.effect("cancels a never-ending task when it checks, and aborts one that never does", () =>
    Effect.gen(function*() {
      const { dispatch } = yield* dispatcher
      const Forever = Task.make("test/Forever", { payload: { checks: Schema.Boolean }, pool: "many" })
      class Forevers extends RpcGroup.make(Forever) {}
      const reasons: Array<Option.Option<Interrupter.Reason>> = []
      const live = Forevers.toLayer({
        "test/Forever": ({ checks }) =>
          Effect.forever(Effect.andThen(Effect.sleep("10 millis"), checks ? Interrupter.check : Effect.void)).pipe(
            Effect.ensuring(Effect.map(Interrupter.reason, (reason) => reasons.push(reason)))
          )
      })
      const polite = yield* Effect.provide(dispatch(Forever, { checks: true }), live)
      const deaf = yield* Effect.provide(dispatch(Forever, { checks: false }), live)
      const deafToo = yield* Effect.provide(dispatch(Forever, { checks: false }), live)
      yield* TestClock.adjust("1 second")

      const cancelled = yield* Effect.forkChild(polite.cancel)
      yield* TestClock.adjust("10 millis")
      yield* Fiber.join(cancelled)
      yield* deaf.abort
      const afterGrace = yield* Effect.forkChild(deafToo.cancel)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(afterGrace)

      assert.deepStrictEqual((yield* polite.await)._tag, "Cancelled")
      assert.deepStrictEqual((yield* deaf.await)._tag, "Aborted")
      assert.deepStrictEqual((yield* deafToo.await)._tag, "Cancelled")
      assert.deepStrictEqual(reasons, [Option.some("Cancel"), Option.some("Cancel"), Option.some("Cancel")])
    }).pipe(Effect.provide(layer)))

  it.effect("calls a task failed that interrupts itself, and shut down one whose dispatcher is closed", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(layer, scope)
      const { dispatch } = Context.get(context, dispatcher)
      const sleeper = Sleepers.toLayer({
        "test/Sleep": ({ millis }) => millis === 0 ? Effect.interrupt : Effect.sleep(millis)
      })
      const [itself, closed] = yield* Effect.all([dispatch(Sleep, { millis: 0 }), dispatch(Sleep, { millis: 1e9 })])
        .pipe(
          Effect.provide(sleeper)
        )
      const failed = yield* itself.await
      assert.strictEqual(failed._tag, "Failed")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* closed.await, { _tag: "Shutdown" })
    }))

  it.effect("stops an attempt at its timeout, and makes as many as the schedule allows", () =>
    Effect.gen(function*() {
      const { run } = yield* dispatcher
      let attempts = 0
      const Slow = Task.make("test/Slow", {
        pool: "many",
        timeout: "1 second",
        retry: Schedule.spaced("5 seconds").pipe(Schedule.upTo({ times: 2 }))
      })
      class Slows extends RpcGroup.make(Slow) {}
      const live = Slows.toLayer({ "test/Slow": () => Effect.andThen(Effect.sync(() => attempts++), Effect.never) })
      const fiber = yield* Effect.forkChild(Effect.flip(Effect.provide(run(Slow, undefined), live)))
      // One second to the timeout, one of grace, five to the next attempt.
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(attempts, 1)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(attempts, 2)
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), new Interrupter.Interrupted({ reason: "Timeout" }))
      assert.strictEqual(attempts, 3)
    }).pipe(Effect.provide(layer)))

  it.effect.each([
    { times: 2 },
    { times: 0 },
    { schedule: Schedule.spaced("5 seconds"), times: 3 },
    { while: (error: Odd | Task.TimedOut) => error._tag === "Odd" && error.n < 4 },
    {
      schedule: Schedule.spaced("1 second"),
      times: 8,
      while: (error: Odd | Task.TimedOut) => error._tag === "Odd" && error.n < 6
    }
  ])("retries by options as Effect.retry does: %j", (retry) =>
    Effect.gen(function*() {
      const { run } = yield* dispatcher
      const failing = (counted: { attempts: number }) =>
        Effect.suspend(() => Effect.fail(new Odd({ n: ++counted.attempts })))
      const [ofTask, ofEffect] = [{ attempts: 0 }, { attempts: 0 }]
      const Fails = Task.make("test/FailsAgain", { error: Odd, pool: "many", retry })
      const handlers = RpcGroup.make(Fails).toLayer({ "test/FailsAgain": () => failing(ofTask) })
      const task = yield* Effect.forkChild(Effect.flip(Effect.provide(run(Fails, undefined), handlers)))
      const effect = yield* Effect.forkChild(Effect.flip(Effect.retry(failing(ofEffect), retry)))
      yield* TestClock.adjust("1 minute")

      assert.deepStrictEqual(yield* Fiber.join(task), yield* Fiber.join(effect))
      assert.strictEqual(ofTask.attempts, ofEffect.attempts)
    }).pipe(Effect.provide(layer)))

  it.effect("tells the schedule for retries of timeouts and of the task's own errors, as its type says", () =>
    Effect.gen(function*() {
      const { run } = yield* dispatcher
      const seen: Array<string> = []
      const retry = Schedule.spaced("1 second").pipe(
        Schedule.setInputType<Odd | Task.TimedOut>(),
        Schedule.while(({ input }) => {
          seen.push(input._tag === "TimedOut" ? input.message : `${input._tag} ${input.n}`)
          return input._tag === "TimedOut"
        })
      )
      const Hangs = Task.make("test/Hangs", { error: Odd, pool: "many", timeout: "1 second", retry })
      let attempts = 0
      const hangsOnce = RpcGroup.make(Hangs).toLayer({
        "test/Hangs": () =>
          Effect.suspend(() => ++attempts === 1 ? Effect.never : Effect.fail(new Odd({ n: attempts })))
      })
      const fiber = yield* Effect.forkChild(Effect.flip(Effect.provide(run(Hangs, undefined), hangsOnce)))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), new Odd({ n: 2 }))
      assert.deepStrictEqual(seen, ["Took longer than 1000 ms", "Odd 2"])
    }).pipe(Effect.provide(layer)))

  it.effect("tells a handler which attempt of its own task it is", () =>
    Effect.gen(function*() {
      const { run } = yield* dispatcher
      const seen: Array<readonly [task: string, attempt: number]> = []
      const see = (task: string) => Effect.map(Task.CurrentAttempt, (attempt) => void seen.push([task, attempt]))
      const Outer = Task.make("test/Outer", { error: Odd, pool: "many", timeout: "1 second", retry: { times: 2 } })
      const Inner = Task.make("test/Inner", { error: Odd, pool: "many", retry: { times: 1 } })
      const inner = RpcGroup.make(Inner).toLayer({
        "test/Inner": () => Effect.andThen(see("inner"), Effect.fail(new Odd({ n: 1 })))
      })
      const outer = RpcGroup.make(Outer).toLayer({
        "test/Outer": () =>
          Effect.gen(function*() {
            yield* see("outer")
            const attempt = yield* Task.CurrentAttempt
            if (attempt === 1) return yield* Effect.never
            if (attempt === 2) return yield* new Odd({ n: 2 })
            const { run, runEffect } = yield* nested
            yield* runEffect(see("effect"), { pool: "many" })
            // The layer of its handlers is built within the third attempt of another task.
            yield* Effect.ignore(run(Inner, undefined).pipe(Effect.provide(inner, { local: true })))
          })
      })
      yield* see("none")
      const fiber = yield* Effect.forkChild(Effect.provide(run(Outer, undefined), outer))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)

      assert.deepStrictEqual(seen, [
        ["none", 1],
        ["outer", 1],
        ["outer", 2],
        ["outer", 3],
        ["effect", 1],
        ["inner", 1],
        ["inner", 2]
      ])
    }).pipe(Effect.provide(layer)))

  it.effect("makes 1,000 attempts of a task at most", () =>
    Effect.gen(function*() {
      const { run } = yield* dispatcher
      let last = 0
      const Fails = Task.make("test/FailsForEver", { error: Odd, pool: "many", retry: Schedule.forever })
      const handlers = RpcGroup.make(Fails).toLayer({
        "test/FailsForEver": () =>
          Effect.flatMap(Task.CurrentAttempt, (attempt) => Effect.fail(new Odd({ n: last = attempt })))
      })
      const error = yield* Effect.flip(Effect.provide(run(Fails, undefined), handlers))
      assert.deepStrictEqual([error, last], [new Odd({ n: 1000 }), 1000])
    }).pipe(Effect.provide(layer)))

  it("does not compile with a schedule for retries that knows nothing of timeouts", () => {
    const retry = Schedule.spaced("1 second").pipe(
      Schedule.setInputType<Odd>(),
      Schedule.while(({ input }) => input.n === 1)
    )
    // @ts-expect-error  it is told of timeouts, too
    const _ = Task.make("test/Unaware", { error: Odd, retry })
  })

  it.effect("gives the next permit to the most urgent, and lets nobody starve", () =>
    Effect.gen(function*() {
      const { runEffect } = yield* dispatcher
      const order: Array<string> = []
      const task = (name: string, priority: Task.Priority) =>
        Effect.forkChild(
          runEffect(Effect.andThen(Effect.sync(() => order.push(name)), Effect.sleep("1 second")), {
            pool: "one",
            priority
          })
        )
      yield* task("first", "normal")
      yield* Effect.yieldNow
      yield* task("low", "low")
      yield* task("high", "high")
      yield* task("critical", "critical")
      yield* Effect.yieldNow
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(order, ["first", "critical"])
      // The one of low priority has waited for more than three classes when this urgent one comes.
      yield* TestClock.adjust("2500 millis")
      yield* task("urgent", "critical")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(order, ["first", "critical", "high", "low", "urgent"])
    }).pipe(Effect.provide(layer)))
})
