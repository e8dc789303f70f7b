import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as Pools from "@fanout/core/Pools"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as ThreadPool from "../src/internal/threads/poolLayer.ts"
import { ScriptedThreads, turns } from "./threadHarness.ts"

const Step = Task.make("test/Step", {
  payload: { n: Schema.Number },
  success: Schema.Number,
  timeout: "10 seconds",
  pool: "cpu"
})
class Steps extends RpcGroup.make(Step) {}

/** A pool of threads that share no memory with it and do what a test says. */
const scripted = Effect.fnUntraced(function*(size: number) {
  const threads = new ScriptedThreads(true)
  // It is not closed: nobody would move the clock then.
  const scope = yield* Scope.make()
  const building = yield* Effect.forkChild(
    Layer.buildWithScope(ThreadPool.layer(Steps, { size }).pipe(Layer.provide(threads.layer)), scope)
  )
  yield* turns
  threads.at(0).ready("test/Step")
  const context = yield* Fiber.join(building)
  const dispatcher = yield* TaskDispatcher.TaskDispatcher
  const dispatch = (n: number, priority: Task.Priority = "normal") =>
    Effect.provideContext(dispatcher.run(Step, { n }, { priority }), context).pipe(
      Effect.exit,
      Effect.forkDetach({ startImmediately: true }),
      Effect.tap(turns)
    )
  return { threads, dispatch, close: Scope.close(scope, Exit.void) }
})

const withDispatcher = Effect.provide(TaskDispatcher.layer.pipe(Layer.provideMerge(Pools.layer())))

describe("ThreadPool, where threads are apart", () => {
  it.effect("ends one at once that is not ready yet", () =>
    Effect.gen(function*() {
      const { close, dispatch, threads } = yield* scripted(2)
      yield* dispatch(0)
      yield* dispatch(1)
      const closing = yield* Effect.forkChild(close)
      yield* turns
      assert.deepStrictEqual(threads.started.map(({ isTerminated }) => isTerminated), [false, true])
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(closing)
      assert.isTrue(threads.at(0).isTerminated)
    }).pipe(withDispatcher))

  it.effect("gives one task at a time, and none ahead, however quick they are", () =>
    Effect.gen(function*() {
      const { dispatch, threads } = yield* scripted(1)
      const fibers = yield* Effect.forEach([0, 1, 2, 3, 4, 5], (n) => dispatch(n))
      for (const n of [0, 1, 2, 3, 4, 5]) {
        assert.deepStrictEqual(threads.at(0).batches, Array.from({ length: n + 1 }, () => 1))
        threads.at(0).end([[0, { done: n }]])
        yield* turns
      }
      const exits = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(exits.map((exit) => exit._tag), Array.from(exits, () => "Success"))
    }).pipe(withDispatcher))

  it.effect("has what is urgent begin next, however quick tasks are", () =>
    Effect.gen(function*() {
      const { dispatch, threads } = yield* scripted(1)
      for (const n of [0, 1, 2]) yield* dispatch(n)
      threads.at(0).end([[0, { done: 0 }]])
      yield* turns
      yield* dispatch(3, "critical")
      threads.at(0).end([[0, { done: 1 }]])
      yield* turns
      assert.deepStrictEqual(threads.at(0).batch.items.map(([, payload]) => payload), [{ n: 3 }])
    }).pipe(withDispatcher))

  it.effect("takes nothing back that was sent, and has it end where it is", () =>
    Effect.gen(function*() {
      const { dispatch, threads } = yield* scripted(2)
      const fiber = yield* dispatch(0)
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* turns
      // It has not said that it has begun, nor does it ever: that it was asked to end is all that is known.
      assert.strictEqual(threads.at(0).told("Interrupt"), 1)
      assert.isUndefined(stopping.pollUnsafe())
      yield* TestClock.adjust(100)
      yield* turns
      assert.isTrue(threads.at(0).isTerminated)
      yield* Fiber.join(stopping)
    }).pipe(withDispatcher))

  it.effect("tells why to stop, and the task ends as it says", () =>
    Effect.gen(function*() {
      const { dispatch, threads } = yield* scripted(1)
      const interrupter = Interrupter.makeUnsafe()
      const fiber = yield* dispatch(0).pipe(Effect.provideService(Interrupter.Interrupter, interrupter))
      yield* TestClock.adjust("10 seconds")
      yield* turns
      const stop = threads.at(0).posted.find(({ _tag }) => _tag === "Stop")
      assert.deepStrictEqual(stop, { _tag: "Stop", id: 1, index: 0, reason: "Timeout" })
      // It was over already when it was told: it is done, once.
      threads.at(0).end([[0, { done: 7 }]])
      yield* turns
      const exit = yield* Fiber.join(fiber)
      assert.deepStrictEqual(exit._tag === "Success" && exit.value, 7)
    }).pipe(withDispatcher))

  it.effect("tells until when the job is owned, before the task and whenever that changes", () =>
    Effect.gen(function*() {
      const { dispatch, threads } = yield* scripted(1)
      let until: Lease.Instant = { monotonicNanos: 1000n, wallMillis: 1 }
      const lease: Lease.Lease = {
        job: Option.none(),
        token: 3,
        isHeldUnsafe: () => true,
        heldUntilUnsafe: () => Option.some({ ...until })
      }
      const fiber = yield* dispatch(0).pipe(Effect.provideService(Lease.Lease, lease))
      const tags = () => threads.at(0).posted.map(({ _tag }) => _tag)
      assert.deepStrictEqual(tags(), ["Held", "Batch"])
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(tags(), ["Held", "Batch"])
      until = { monotonicNanos: 2000n, wallMillis: 1 }
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(tags(), ["Held", "Batch", "Held"])
      assert.deepStrictEqual(threads.at(0).posted.at(-1), { _tag: "Held", id: 1, until })
      threads.at(0).end([[0, { done: 1 }]])
      yield* Fiber.join(fiber)
    }).pipe(withDispatcher))

  it.effect("tries again alone what was on a process that died before it could say anything", () =>
    Effect.gen(function*() {
      const { dispatch, threads } = yield* scripted(1)
      const fiber = yield* dispatch(0)
      threads.at(0).die("its process was killed by SIGSEGV")
      yield* turns
      threads.at(1).ready("test/Step")
      yield* turns
      assert.deepStrictEqual(threads.at(1).batches, [1])
      threads.at(1).end([[0, { done: 1 }]])
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Success")
    }).pipe(withDispatcher))
})
