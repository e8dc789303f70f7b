import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import type * as JobStore from "@fanout/core/JobStore"
import * as Pools from "@fanout/core/Pools"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { makeDeadlines } from "../src/internal/task/deadlines.ts"
import * as ThreadPool from "../src/internal/threads/poolLayer.ts"
import { asRun, attachedTo, runningJob } from "./fanOutHarness.ts"
import { outcomesOf } from "./FanOutLaws.ts"
import { onStores } from "./stores.ts"
import { Threads } from "./threadHarness.ts"

const dispatcher = TaskDispatcher.TaskDispatcher
const layer = TaskDispatcher.layer.pipe(Layer.provideMerge(Pools.layer({ few: 2 })))

class Busy extends Schema.TaggedError<Busy>("Busy")("Busy", {}) {}

/** Logs to an array what is an error or a warning. */
const collecting = (logged: Array<string>) =>
  Logger.layer([
    Logger.make<unknown, void>(({ cause, logLevel, message }) => {
      if (logLevel === "Warn") logged.push(String(message))
      if (logLevel === "Error") logged.push(`${String(message)}: ${String(Cause.squash(cause))}`)
    })
  ])

const throws = (): never => {
  throw new Error("a mistake")
}

describe("a listener to a stop that throws", () => {
  const Waits = Task.make("test/Waits", { payload: { throws: Schema.Boolean }, pool: "few", timeout: "1 second" })
  const Group = RpcGroup.make(Waits)
  const handlers = Group.toLayer({
    "test/Waits": (payload) =>
      Effect.gen(function*() {
        if (payload.throws) (yield* Interrupter.Interrupter).onRequestUnsafe(throws)
        yield* Interrupter.stopped
      })
  })
  const threads = () =>
    ThreadPool.layer(Group, { size: 3 }).pipe(Layer.provide(new Threads(Group, handlers).layer), Layer.orDie)

  /** Runs one whose listener throws, and two beside it, until all have timed out. */
  const run = Effect.gen(function*() {
    const { dispatch } = yield* dispatcher
    const first = yield* dispatch(Waits, { throws: true })
    const second = yield* dispatch(Waits, { throws: false })
    const third = yield* dispatch(Waits, { throws: false })
    for (let i = 0; i < 10; i++) yield* TestClock.adjust("1 second")
    return [yield* first.await, yield* second.await, yield* third.await] as const
  })

  it.effect("fails its own task by that, and none of the others' timeouts and delays is missed", () =>
    Effect.gen(function*() {
      const [first, ...others] = yield* run
      assert.include(first._tag === "Failed" ? Cause.pretty(first.cause) : "", "a mistake")
      assert.deepStrictEqual(others, [{ _tag: "TimedOut" }, { _tag: "TimedOut" }])
    }).pipe(Effect.scoped, Effect.provide([layer, handlers])))

  it.effect("is logged by the thread that its task is on, which goes on", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* run, [{ _tag: "TimedOut" }, { _tag: "TimedOut" }, { _tag: "TimedOut" }])
    }).pipe(Effect.scoped, Effect.provide([layer, threads()])))

  it.effect("is logged where it is no task's, and all others are told", () =>
    Effect.gen(function*() {
      const logged: Array<string> = []
      const told: Array<string> = []
      const signal = Interrupter.makeUnsafe()
      signal.onRequestUnsafe(throws)
      signal.onRequestUnsafe((reason) => told.push(reason))
      yield* Effect.sync(() => signal.requestUnsafe("Pause")).pipe(Effect.provide(collecting(logged)))
      assert.deepStrictEqual(told, ["Pause"])
      assert.deepStrictEqual(logged, ["A listener to a stop has died: Error: a mistake"])
    }))

  it.effect("hears of a stop but once where it waits for that, also of a harder one", () =>
    Effect.gen(function*() {
      const signal = Interrupter.makeUnsafe()
      const wait = Effect.provideService(Effect.exit(Interrupter.stopped), Interrupter.Interrupter, signal)
      const fiber = yield* Effect.forkChild(wait)
      yield* settle
      assert.strictEqual(attachedTo(signal), 1)
      signal.requestUnsafe("Pause")
      yield* Fiber.join(fiber)
      yield* wait
      assert.strictEqual(attachedTo(signal), 0)
    }))
})

it.effect("a finalizer that never ends is told of, by the name of its task", () =>
  Effect.gen(function*() {
    const logged: Array<string> = []
    const mayEnd = Latch.makeUnsafe(false)
    const Lingers = Task.make("test/Lingers", { payload: { n: Schema.Number }, timeout: "1 second" })
    const handlers = RpcGroup.make(Lingers).toLayer({
      "test/Lingers": ({ n }) => Effect.ensuring(Effect.never, n === 1 ? mayEnd.await : Effect.sleep("5 seconds"))
    })
    const { dispatchMany } = yield* dispatcher
    const handles = yield* dispatchMany(Lingers, [{ n: 1 }, { n: 2 }]).pipe(
      Effect.provide([handlers, collecting(logged)])
    )
    for (let i = 0; i < 11; i++) yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(logged, [])
    for (let i = 0; i < 30; i++) yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(logged, ["Task \"test/Lingers\" of \"{\"n\":1}\" goes on for 10 s after it was interrupted"])
    mayEnd.openUnsafe()
    for (const handle of handles) assert.deepStrictEqual(yield* handle.await, { _tag: "TimedOut" })
  }).pipe(Effect.scoped, Effect.provide(layer)))

it.effect("what is due and dies is logged, and all else that is due is done", () =>
  Effect.gen(function*() {
    const logged: Array<string> = []
    const done: Array<number> = []
    const deadlines = makeDeadlines(yield* Clock.Clock)
    yield* Effect.forkChild(deadlines.watch).pipe(Effect.provide(collecting(logged)))
    for (const millis of [10, 20, 30]) {
      deadlines.addUnsafe(millis, () => void done.push(millis))
      deadlines.addUnsafe(millis, throws)
      deadlines.addUnsafe(millis, () => void done.push(millis))
    }
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(done, [10, 10, 20, 20, 30, 30])
    assert.strictEqual(logged.length, 3)
  }))

const schedule = Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 3 }))
const schedules = {
  throws: Schedule.while(schedule, throws),
  dies: Schedule.tap(schedule, () => Effect.die(new Error("a mistake"))),
  interrupts: Schedule.tap(schedule, () => Effect.interrupt)
}

describe("a schedule for retries", () => {
  const Never = Task.make("test/Never", {
    error: Busy,
    pool: "few",
    retry: Schedule.tap(schedule, () => Effect.never)
  })
  const never = RpcGroup.make(Never).toLayer({ "test/Never": () => Effect.fail(new Busy()) })

  it.effect.each(["throws", "dies", "interrupts"] as const)(
    "that %s fails its task by that",
    (how) =>
      Effect.gen(function*() {
        const Fails = Task.make("test/Fails", { error: Busy, pool: "few", retry: schedules[how] })
        const handlers = RpcGroup.make(Fails).toLayer({ "test/Fails": () => Effect.fail(new Busy()) })
        const { run } = yield* dispatcher
        const exit = yield* Effect.exit(Effect.provide(run(Fails, undefined), handlers))
        assert.isFalse(Exit.isFailure(exit) && Cause.hasFails(exit.cause), "as if there was no schedule")
        if (how !== "interrupts") assert.include(String(exit), "a mistake")
      }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect("that never ends stops with its task", () =>
    Effect.gen(function*() {
      const { dispatch } = yield* dispatcher
      const handle = yield* dispatch(Never, undefined)
      yield* TestClock.adjust("1 minute")
      yield* handle.pause
      yield* handle.resume
      yield* settle
      const cancelled = yield* Effect.forkChild(handle.cancel)
      yield* TestClock.adjust("2 seconds")
      assert.isDefined(cancelled.pollUnsafe())
      assert.deepStrictEqual(yield* handle.await, { _tag: "Cancelled" })
    }).pipe(Effect.scoped, Effect.provide([layer, never])))
})

describe("a handle", () => {
  it.effect("of a task that is dispatched when all is over tells of that", () =>
    Effect.gen(function*() {
      const Rest = Task.make("test/Rest", {})
      const handlers = RpcGroup.make(Rest).toLayer({ "test/Rest": () => Effect.void })
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(layer, scope)
      yield* Scope.close(scope, Exit.void)
      const status = yield* dispatcher.use(({ dispatch }) => dispatch(Rest, undefined)).pipe(
        Effect.flatMap((handle) => handle.await),
        Effect.provide(context),
        Effect.provide(handlers),
        Effect.forkChild
      )
      yield* settle
      assert.deepStrictEqual(status.pollUnsafe(), Exit.succeed({ _tag: "Shutdown" as const }))
    }))
})

/** Where the program's own code makes a mistake, for one element of many; where it hangs, it does so for ever. */
const Mistake = Schema.Literals(["none", "handler", "listener", "schedule", "weight", "cost", "hanging schedule"])
type Mistake = typeof Mistake.Type

class Told extends Schema.TaggedError<Told>("Told")("Told", { mistake: Mistake }) {}

let jobs = 0
const faults = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  it.effect.prop(
    `a mistake in handler, listener, schedule, weight or cost costs its own element, and nothing hangs (${backend})`,
    { mistakes: Schema.Array(Mistake).check(Schema.isMinLength(1), Schema.isMaxLength(12)) },
    ({ mistakes }) =>
      Effect.gen(function*() {
        const mayThrow = (where: Mistake) => ({ mistake }: { readonly mistake: Mistake }) =>
          mistake === where ? throws() : 1
        const Act = Task.make("test/Act", {
          payload: { mistake: Mistake },
          error: Told,
          pool: "few",
          timeout: "1 second",
          weight: mayThrow("weight"),
          cost: mayThrow("cost"),
          retry: schedule.pipe(
            Schedule.setInputType<Told | Task.TimedOut>(),
            Schedule.tap(({ input }) =>
              input._tag === "Told" && input.mistake === "schedule" ? Effect.sync(throws) : Effect.never
            )
          )
        })
        const handlers = RpcGroup.make(Act).toLayer({
          "test/Act": ({ mistake }) =>
            Effect.gen(function*() {
              if (mistake === "handler") throws()
              if (mistake === "schedule" || mistake === "hanging schedule") return yield* new Told({ mistake })
              if (mistake !== "listener") return
              ;(yield* Interrupter.Interrupter).onRequestUnsafe(throws)
              yield* Interrupter.stopped
            })
        })
        const id = `job-${jobs++}`
        yield* runningJob(id)
        const items = mistakes.map((mistake, i) => ({ _tag: "Item" as const, cursor: `${i}`, payload: { mistake } }))
        let left = -1
        let signal = Interrupter.makeUnsafe()
        const fiber = yield* Effect.forkChild(asRun(id, (own) => {
          signal = own
          return dispatcher.use(({ fanOut }) => fanOut("all", Act, () => Stream.fromIterable(items))).pipe(
            Effect.provide(handlers),
            Effect.onExit(() =>
              Effect.sync(() => {
                // The dispatcher's own is there until its scope is closed.
                left = attachedTo(signal) - 1
              })
            )
          )
        }))
        yield* settle
        for (let i = 0; i < 20 && fiber.pollUnsafe() === undefined; i++) yield* TestClock.adjust("1 second")
        const hangs = mistakes.includes("hanging schedule")
        assert.strictEqual(fiber.pollUnsafe() === undefined, hangs)
        signal.requestUnsafe("Pause")
        yield* TestClock.adjust("1 second")
        assert.isDefined(fiber.pollUnsafe(), "it is not paused")
        const { exit } = yield* Fiber.join(fiber)
        assert.strictEqual(Exit.isSuccess(exit), !hangs)
        const died = (yield* outcomesOf(id)).flatMap(([, { cursor, outcome }]) =>
          outcome._tag === "Failed" && outcome.failure._tag === "Defect"
            ? [[Number(cursor), outcome.failure.message]]
            : []
        )
        const wrong = mistakes.flatMap((mistake, i) =>
          mistake === "none" || mistake === "hanging schedule" ? [] : [[i, "a mistake"]]
        )
        assert.deepStrictEqual(died.toSorted(([a], [b]) => Number(a) - Number(b)), wrong)
        assert.strictEqual(left, 0)
        assert.deepStrictEqual((yield* (yield* Pools.Pools).status).filter(({ held }) => held !== 0), [])
      }).pipe(Effect.provide([store, Pools.layer({ few: 2 })])),
    { arbitrary: { runs: runs(50) } }
  )

onStores(faults)
