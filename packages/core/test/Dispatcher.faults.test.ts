import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Pools from "@fanout/core/Pools"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { makeDeadlines } from "../src/internal/dispatcher/deadlines.ts"
import { attachedTo } from "./fanOutHarness.ts"

const dispatcher = TaskDispatcher.TaskDispatcher
const layer = TaskDispatcher.layer.pipe(Layer.provideMerge(Pools.layer({ few: 2 })))

/** Logs to an array what is an error. */
const collecting = (logged: Array<string>) =>
  Logger.layer([
    Logger.make<unknown, void>(({ cause, logLevel, message }) => {
      if (logLevel === "Error") logged.push(`${String(message)}: ${String(Cause.squash(cause))}`)
    })
  ])

const throws = (): never => {
  throw new Error("a mistake")
}

describe("a listener to a stop that throws", () => {
  const Waits = Task.make("test/Waits", { payload: { throws: Schema.Boolean }, pool: "few", timeout: "1 second" })
  const handlers = RpcGroup.make(Waits).toLayer({
    "test/Waits": (payload) =>
      Effect.gen(function*() {
        if (payload.throws) (yield* Interrupter.Interrupter).onRequestUnsafe(throws)
        yield* Interrupter.stopped
      })
  })

  it.effect("fails its own task by that, and none of the others' timeouts and delays is missed", () =>
    Effect.gen(function*() {
      const { dispatch } = yield* dispatcher
      const first = yield* dispatch(Waits, { throws: true })
      const second = yield* dispatch(Waits, { throws: false })
      const third = yield* dispatch(Waits, { throws: false })
      yield* TestClock.adjust("10 seconds")
      const failed = yield* first.await
      assert.strictEqual(failed._tag, "Failed")
      assert.include(failed._tag === "Failed" ? Cause.pretty(failed.cause) : "", "a mistake")
      assert.deepStrictEqual([yield* second.await, yield* third.await], [{ _tag: "TimedOut" }, { _tag: "TimedOut" }])
    }).pipe(Effect.scoped, Effect.provide([layer, handlers])))

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
