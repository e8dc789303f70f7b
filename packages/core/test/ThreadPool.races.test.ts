import { assert, describe, it } from "@effect/vitest"
import { Interrupted, Interrupter, makeUnsafe } from "@fanout/core/Interrupter"
import * as Pools from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { ThreadsUnavailable } from "@fanout/core/ThreadsUnavailable"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import { RequestId } from "effect/rpc/RpcMessage"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { ThreadLost } from "../src/internal/task/threadLost.ts"
import { Capacity } from "../src/internal/threads/capacity.ts"
import type { FromThread, ToThread } from "../src/internal/threads/crossing.ts"
import * as ThreadPool from "../src/internal/threads/poolLayer.ts"
import { Control } from "../src/internal/threads/sharedMemory.ts"
import { serveGroup } from "../src/internal/threads/worker.ts"
import { type ScriptedThread, ScriptedThreads, Threads, turns } from "./threadHarness.ts"
import { Act, handlers, Tasks } from "./threadTasks.ts"

const Step = Task.make("test/Step", {
  payload: { n: Schema.Number, cost: Schema.optionalKey(Schema.Number) },
  success: Schema.Number,
  key: ({ n }) => `${n}`,
  cost: ({ cost = 1 }) => cost,
  timeout: "10 seconds",
  pool: "cpu"
})
class Steps extends RpcGroup.make(Step) {}

/** A pool of threads that do what a test says, and a way to run steps without permits. */
const scripted = Effect.fnUntraced(function*(options: ThreadPool.Options) {
  const threads = new ScriptedThreads()
  const scope = yield* Scope.make()
  const building = yield* Effect.forkChild(
    Layer.buildWithScope(ThreadPool.layer(Steps, options).pipe(Layer.provide(threads.layer)), scope)
  )
  yield* turns
  threads.at(0).ready("test/Step")
  const context = yield* Fiber.join(building)
  const handle = yield* Effect.provideContext(Steps.accessHandler("test/Step"), context)
  const dispatcher = yield* TaskDispatcher.TaskDispatcher
  const step = (n: number, cost = 1) => handle({ n, cost }, call)
  const steps = (...numbers: ReadonlyArray<number>) =>
    Effect.forEach(numbers, (n) => Effect.forkDetach(step(n), { startImmediately: true })).pipe(Effect.tap(turns))
  const dispatch = (n: number, cost?: number) =>
    Effect.provideContext(dispatcher.run(Step, cost === undefined ? { n } : { n, cost }), context).pipe(
      Effect.forkDetach({ startImmediately: true })
    )
  /** Lets a thread have so many at once. */
  const enlarge = Effect.fnUntraced(function*(batch: number, thread = threads.at(0)) {
    for (let size = 1; size < batch; size *= 2) {
      const fibers = yield* steps(...Array.from({ length: size }, (_, n) => n))
      thread.end(fibers.map((_, n) => [n, { done: n }]))
      yield* turns
    }
  })
  return { threads, step, steps, dispatch, enlarge, close: Scope.close(scope, Exit.void) }
})

const call = { client: new Rpc.ServerClient(0), requestId: RequestId(0), headers: Headers.empty }

const defectOf = (exit: Exit.Exit<unknown, unknown> | undefined): unknown =>
  exit !== undefined && Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isDieReason)?.defect : exit

const withDispatcher = Effect.provide(TaskDispatcher.layer.pipe(Layer.provideMerge(Pools.layer())))

describe("ThreadPool, one step at a time", () => {
  it.effect("leaves nobody waiting who is in it when it is closed, or comes later", () =>
    Effect.gen(function*() {
      const { close, step, steps, threads } = yield* scripted({ size: 1 })
      const [running, waiting] = yield* steps(1, 2)
      threads.at(0).begin(0)
      const closing = yield* Effect.forkChild(close)
      yield* turns
      assert.instanceOf(defectOf(waiting?.pollUnsafe()), ThreadsUnavailable)
      yield* TestClock.adjust(100)
      yield* turns
      assert.instanceOf(defectOf(running?.pollUnsafe()), ThreadLost)
      yield* Fiber.join(closing)
      const late = yield* Effect.forkChild(step(3), { startImmediately: true })
      yield* turns
      assert.instanceOf(defectOf(late.pollUnsafe()), ThreadsUnavailable)
    }).pipe(withDispatcher))

  it.effect.each(Array.from({ length: 12 }, (_, n) => n + 2))(
    "gives a thread nothing of a task whose fiber gives way while it is interrupted (after %i operations)",
    (operations) =>
      Effect.gen(function*() {
        const { step, threads } = yield* scripted({ size: 1 })
        const fiber = yield* step(1).pipe(
          Effect.provideService(Scheduler.MaxOpsBeforeYield, operations),
          Effect.forkDetach({ startImmediately: true })
        )
        fiber.interruptUnsafe()
        yield* turns
        yield* turns

        assert.isDefined(fiber.pollUnsafe())
        assert.deepStrictEqual(threads.at(0).batches, [])
      }).pipe(withDispatcher)
  )

  it.effect("settles nothing of what it ends itself when it is closed", () =>
    Effect.gen(function*() {
      const threads = new Threads(Tasks, handlers(true))
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(
        ThreadPool.layer(Tasks, { size: 1 }).pipe(Layer.provide(threads.layer)),
        scope
      )
      const run = yield* TaskDispatcher.TaskDispatcher.use((_) => _.run(Act, { n: 1, act: "sleeps" })).pipe(
        Effect.provideContext(context),
        Effect.forkDetach({ startImmediately: true })
      )
      yield* turns
      yield* Scope.close(scope, Exit.void)
      yield* turns
      assert.instanceOf(defectOf(run.pollUnsafe()), ThreadsUnavailable)
    }).pipe(withDispatcher))

  it.effect("leaves what a thread is about to begin to that thread", () =>
    Effect.gen(function*() {
      const { steps, threads } = yield* scripted({ size: 2 })
      yield* Effect.tap(steps(1), () => Effect.sync(() => threads.at(0).end([[0, { done: 1 }]], { millis: 150 })))
      yield* turns
      yield* steps(2, 3)
      // The second thread was started for the second of these.
      threads.at(1).ready("test/Step")
      yield* turns
      assert.deepStrictEqual(threads.at(1).batches, [1])
      threads.at(1).end([[0, { done: 3 }]])
      yield* turns
      yield* Effect.andThen(TestClock.adjust(40), turns)
      assert.deepStrictEqual([threads.at(0).batches, threads.at(1).batches], [[1, 1], [1]])
      threads.at(0).begin(0)
      threads.at(0).end([[0, { done: 2 }]])
    }).pipe(withDispatcher))

  it.effect("spares a thread whose interrupted task has ended, although it can't tell yet", () =>
    Effect.gen(function*() {
      const { enlarge, steps, threads } = yield* scripted({ size: 1 })
      yield* enlarge(2)
      const thread = threads.at(0)
      const [first, second] = yield* steps(1, 2)
      assert.strictEqual(thread.batch.items.length, 2)
      thread.begin(0)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(first ?? assert.fail()))
      yield* turns
      assert.strictEqual(thread.told("Interrupt"), 1)
      thread.control.finish(0)
      thread.begin(1)
      yield* TestClock.adjust(100)
      yield* turns
      assert.isDefined(interrupting.pollUnsafe())
      assert.strictEqual(thread.told("Close"), 0)
      thread.end([[0, { done: 1 }], [1, { done: 2 }]])
      assert.strictEqual(yield* Fiber.join(second ?? assert.fail()), 2)
    }).pipe(withDispatcher))

  it.effect("ends a thread 100 ms after it was told to interrupt a task, and goes on with another", () =>
    Effect.gen(function*() {
      const { enlarge, steps, threads } = yield* scripted({ size: 1 })
      yield* enlarge(4)
      const [first, second, third] = yield* steps(1, 2, 3)
      const thread = threads.at(0)
      thread.end([[0, { done: 1 }]], { isLast: false })
      assert.strictEqual(yield* Fiber.join(first ?? assert.fail()), 1)
      thread.begin(1)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(second ?? assert.fail()))
      yield* turns
      yield* TestClock.adjust(99)
      yield* turns
      assert.isFalse(thread.isTerminated)
      yield* TestClock.adjust(1)
      yield* turns
      assert.isTrue(thread.isTerminated)
      assert.isFalse(thread.isHeld)
      assert.isDefined(interrupting.pollUnsafe())
      const next = threads.at(1)
      next.ready("test/Step")
      yield* turns
      next.end([[0, { done: 3 }]])
      assert.strictEqual(yield* Fiber.join(third ?? assert.fail()), 3)
    }).pipe(withDispatcher))

  it.effect("interrupts at once what has not begun, or has ended", () =>
    Effect.gen(function*() {
      const { enlarge, steps, threads } = yield* scripted({ size: 1 })
      yield* enlarge(2)
      const [first, second, third] = yield* steps(1, 2, 3)
      const thread = threads.at(0)
      assert.strictEqual(thread.batch.items.length, 2)
      thread.begin(0)
      thread.control.finish(0)
      for (const fiber of [first, second, third]) {
        yield* Fiber.interrupt(fiber ?? assert.fail())
      }
      assert.isFalse(thread.control.claim(1))
      thread.end([[0, { done: 1 }]])
      yield* turns
      assert.deepStrictEqual(thread.batches, [1, 2])
    }).pipe(withDispatcher))

  it.effect("stops at once what has not begun, and tells what has, and again for a harder reason", () =>
    Effect.gen(function*() {
      const { enlarge, steps, threads } = yield* scripted({ size: 1 })
      yield* enlarge(2)
      const signal = makeUnsafe()
      const fibers = yield* Effect.provideService(steps(1, 2, 3), Interrupter, signal)
      const thread = threads.at(0)
      assert.strictEqual(thread.batch.items.length, 2)
      thread.begin(0)
      signal.requestUnsafe("Pause")
      yield* turns
      const reasonOf = (fiber: Fiber.Fiber<unknown, unknown> | undefined) => {
        const exit = fiber?.pollUnsafe()
        const error = exit === undefined ? undefined : Option.getOrUndefined(Exit.findErrorOption(exit))
        return error instanceof Interrupted ? error.reason : undefined
      }
      assert.deepStrictEqual(fibers.map(reasonOf), [undefined, "Pause", "Pause"])
      assert.strictEqual(thread.control.reasonOf(0), "Pause")
      signal.requestUnsafe("Cancel")
      assert.strictEqual(thread.control.reasonOf(0), "Cancel")
      assert.strictEqual(thread.told("Stop"), 2)
      assert.isFalse(thread.control.claim(1))
      const late = yield* Effect.provideService(steps(4), Interrupter, signal)
      assert.deepStrictEqual(late.map(reasonOf), ["Cancel"])
    }).pipe(withDispatcher))

  it.effect("replaces what a system call holds, so many times as it has threads", () =>
    Effect.gen(function*() {
      const { steps, threads } = yield* scripted({ size: 1 })
      const abandoned = Effect.map(Metric.value(Metric.gauge("fanout_threads_abandoned")), ({ value }) => value)
      const stick = Effect.fnUntraced(function*(n: number) {
        const thread = threads.at(n)
        thread.obeys = false
        const [fiber] = yield* steps(n)
        thread.begin(0)
        const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber ?? assert.fail()))
        yield* turns
        yield* TestClock.adjust(100)
        yield* turns
        yield* TestClock.adjust(249)
        yield* turns
        assert.isUndefined(interrupting.pollUnsafe())
        assert.isTrue(thread.isHeld)
        yield* TestClock.adjust(1)
        yield* turns
        assert.isDefined(interrupting.pollUnsafe())
        assert.isFalse(thread.isHeld)
      })
      yield* stick(0)
      const [second] = yield* steps(1)
      threads.at(1).ready("test/Step")
      threads.at(1).end([[0, { done: 1 }]])
      assert.strictEqual(yield* Fiber.join(second ?? assert.fail()), 1)
      yield* TestClock.adjust(20)
      assert.strictEqual(yield* abandoned, 1)
      yield* stick(1)
      const [third] = yield* steps(3)
      assert.match(String(defectOf(third?.pollUnsafe())), /2 threads are held by system calls/)
      yield* TestClock.adjust(20)
      assert.strictEqual(yield* abandoned, 2)

      // The call returns.
      threads.at(0).die("terminated")
      const [fourth] = yield* steps(4)
      assert.isUndefined(fourth?.pollUnsafe())
      assert.strictEqual(threads.started.length, 3)
      assert.strictEqual(yield* abandoned, 1)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()), withDispatcher))

  it.effect("has others pass a task that waits for a thread of its own", () =>
    Effect.gen(function*() {
      const { dispatch, steps, threads } = yield* scripted({ size: 2 })
      const payloadsOf = (n: number) => threads.at(n).batch.items.map(([, payload]) => payload)
      const blocker = yield* steps(9)
      const suspect = yield* dispatch(1)
      yield* turns
      threads.at(1).ready("test/Step")
      yield* turns
      threads.at(1).begin(0)
      threads.at(0).end([[0, { done: 9 }]])
      assert.deepStrictEqual(yield* Fiber.joinAll(blocker), [9])
      threads.at(1).die("of the first")
      yield* turns
      assert.strictEqual(threads.started.length, 3)
      // Its thread is not there yet, and one that was used has nothing to do.
      const [second] = yield* steps(2)
      assert.deepStrictEqual(payloadsOf(0), [{ n: 2, cost: 1 }])
      threads.at(0).end([[0, { done: 2 }]])
      assert.strictEqual(yield* Fiber.join(second ?? assert.fail()), 2)
      threads.at(2).ready("test/Step")
      yield* turns
      assert.deepStrictEqual(payloadsOf(2), [{ n: 1 }])
      threads.at(2).begin(0)
      threads.at(2).die("of the first, again")
      yield* turns
      const quarantined = defectOf(suspect.pollUnsafe())
      assert.match(String(quarantined instanceof Object && "message" in quarantined && quarantined.message), /again/)
    }).pipe(withDispatcher))

  it.effect("ends one thread that has nothing to do for a task that needs one of its own", () =>
    Effect.gen(function*() {
      const { dispatch, enlarge, steps, threads } = yield* scripted({ size: 3 })
      const payloadsOf = (n: number) => threads.at(n).batch.items.map(([, payload]) => payload)
      yield* enlarge(4)
      yield* steps(7)
      yield* steps(8)
      threads.at(1).ready("test/Step")
      yield* turns
      const [first, second] = [yield* dispatch(1), yield* dispatch(2)]
      yield* turns
      threads.at(2).ready("test/Step")
      yield* turns
      assert.deepStrictEqual(payloadsOf(2), [{ n: 1 }, { n: 2 }])
      threads.at(0).end([[0, { done: 7 }]])
      threads.at(1).end([[0, { done: 8 }]])
      // Two are suspected. One has the thread that is started, for the other one there is no room.
      threads.at(2).begin(0)
      threads.at(2).control.finish(0)
      threads.at(2).begin(1)
      threads.at(2).die("of one of them")
      yield* turns
      threads.at(3).ready("test/Step")
      yield* turns
      assert.strictEqual(payloadsOf(3).length, 1)
      assert.deepStrictEqual(threads.started.map((thread) => thread.told("Close")), [1, 0, 0, 0])
      threads.at(0).die("it was told to")
      yield* turns
      threads.at(4).ready("test/Step")
      yield* turns
      for (const n of [3, 4]) threads.at(n).end([[0, { done: n }]])
      const values = [yield* Fiber.join(first), yield* Fiber.join(second)]
      assert.sameMembers(values, [3, 4])
      assert.strictEqual(threads.started.length, 5)
    }).pipe(withDispatcher))

  it.effect("takes nothing against what its thread was ended beside", () =>
    Effect.gen(function*() {
      const { dispatch, enlarge, steps, threads } = yield* scripted({ size: 1 })
      yield* enlarge(2)
      // Two have permits. The first has ended and nobody knows; the second hangs.
      yield* steps(0)
      const first = yield* dispatch(1)
      const second = yield* dispatch(2)
      yield* turns
      const thread = threads.at(0)
      thread.end([[0, { done: 0 }]])
      yield* turns
      const [third] = yield* steps(3)
      assert.strictEqual(thread.batch.items.length, 2)
      thread.begin(0)
      thread.control.finish(0)
      thread.begin(1)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(second))
      yield* turns
      yield* TestClock.adjust(100)
      yield* turns
      yield* Fiber.join(interrupting)
      threads.at(1).ready("test/Step")
      yield* turns
      // It goes with others.
      const going = threads.at(1).batch.items.map(([, payload]) => payload)
      assert.sameDeepMembers(going, [{ n: 1 }, { n: 3, cost: 1 }])
      threads.at(1).end(
        going.map((payload, n) => [n, { done: payload instanceof Object && "cost" in payload ? 3 : 1 }])
      )
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(third ?? assert.fail())], [1, 3])
    }).pipe(withDispatcher))

  it.effect("has only what was running answer for a thread, and what had not begun go on without it", () =>
    Effect.gen(function*() {
      const { enlarge, steps, threads } = yield* scripted({ size: 1 })
      yield* enlarge(4)
      const [ended, running, ...pending] = yield* steps(1, 2, 3, 4)
      const thread = threads.at(0)
      thread.begin(0)
      thread.control.finish(0)
      thread.begin(1)
      thread.die("of the second")
      yield* turns
      assert.deepInclude(defectOf(ended?.pollUnsafe()), { isCulprit: false, isSuspect: true })
      assert.deepInclude(defectOf(running?.pollUnsafe()), { isCulprit: true, isSuspect: true })
      threads.at(1).ready("test/Step")
      yield* turns
      threads.at(1).end([[0, { done: 3 }], [1, { done: 4 }]])
      assert.deepStrictEqual(yield* Fiber.joinAll(pending), [3, 4])
    }).pipe(withDispatcher))

  it.effect("has all go alone that were on a thread which died before any of them began", () =>
    Effect.gen(function*() {
      const { enlarge, steps, threads } = yield* scripted({ size: 1 })
      yield* enlarge(4)
      const fibers = yield* steps(1, 2, 3)
      assert.strictEqual(threads.at(0).batch.items.length, 3)
      threads.at(0).die("of what they look like")
      yield* turns
      const next = threads.at(1)
      next.ready("test/Step")
      for (const n of [1, 2, 3]) {
        yield* turns
        assert.deepStrictEqual(next.batch.items.map(([, payload]) => payload), [{ n, cost: 1 }])
        next.end([[0, { done: n }]])
      }
      assert.deepStrictEqual(yield* Fiber.joinAll(fibers), [1, 2, 3])
    }).pipe(withDispatcher))

  it.effect("takes nothing from a batch that is over, or from a thread that is lost", () =>
    Effect.gen(function*() {
      const { steps, threads } = yield* scripted({ size: 1 })
      const units: Array<number> = []
      const reporter = { addUnsafe: (_: string, amount: number) => void units.push(amount), totalUnsafe: () => {} }
      const report = (id: number) => ({
        ...{ _tag: "Report", id, index: 0 } as const,
        added: [["steps", id]] as const
      })
      const thread = threads.at(0)
      const [first] = yield* Effect.provideService(steps(1), Progress.Reporter, reporter)
      const old = thread.batch.id
      thread.tell(report(old))
      thread.end([[0, { done: 1 }]])
      assert.strictEqual(yield* Fiber.join(first ?? assert.fail()), 1)
      const [second] = yield* Effect.provideService(steps(2), Progress.Reporter, reporter)
      thread.tell(report(old))
      thread.tell({
        ...{ _tag: "Ended", id: old, indexes: [0], times: [0, 1], reports: [], millis: 1, isLast: true } as const,
        endings: [{ done: 1 }]
      })
      yield* turns
      assert.isUndefined(second?.pollUnsafe())
      thread.begin(0)
      thread.tell(report(thread.batch.id))
      thread.die("of the second")
      thread.tell(report(thread.batch.id))
      assert.deepStrictEqual(units, [old, thread.batch.id])
      assert.instanceOf(defectOf(second?.pollUnsafe()), ThreadLost)
    }).pipe(withDispatcher))

  it.effect("gives a busy thread as much as takes 20 ms, whatever the unit of its cost", () =>
    Effect.gen(function*() {
      const { step, threads } = yield* scripted({ size: 1, batch: 16 })
      const thread = threads.at(0)
      yield* Effect.forEach(Array.from({ length: 100 }), (_, n) => Effect.forkDetach(step(n, 1000)), { discard: true })
      yield* turns
      while (thread.batches.reduce((sum, size) => sum + size) < 100) {
        thread.end(thread.batch.items.map((_, n) => [n, { done: n }]), { millis: thread.batch.items.length * 2 })
        yield* turns
      }
      assert.deepStrictEqual(thread.batches.slice(0, 7), [1, 1, 2, 4, 8, 10, 10])
      thread.end(thread.batch.items.map((_, n) => [n, { done: n }]), { millis: 0.001 })

      // Slow ones go alone, and what is quick after them goes together again.
      const slow = thread.batches.length
      yield* Effect.forEach(Array.from({ length: 200 }), (_, n) => Effect.forkDetach(step(n, 1000)), { discard: true })
      yield* turns
      while (thread.batches.slice(slow).reduce((sum, size) => sum + size, 0) < 100) {
        thread.end(thread.batch.items.map((_, n) => [n, { done: n }]), { millis: thread.batch.items.length * 100 })
        yield* turns
      }
      assert.strictEqual(thread.batches.at(-1), 1)
      while (thread.batches.slice(slow).reduce((sum, size) => sum + size, 0) < 200) {
        thread.end(thread.batch.items.map((_, n) => [n, { done: n }]), { millis: thread.batch.items.length * 0.001 })
        yield* turns
      }
      assert.isAbove(Math.max(...thread.batches.slice(-3)), 8)
    }).pipe(withDispatcher))

  it.effect("hands out as many permits as its threads may hold", () =>
    Effect.gen(function*() {
      const { dispatch, enlarge, steps, threads } = yield* scripted({ size: 1, batch: 4 })
      yield* enlarge(4)
      yield* steps(0)
      for (let n = 0; n < 10; n++) yield* dispatch(n)
      yield* turns
      threads.at(0).end([[0, { done: 0 }]])
      yield* turns
      assert.strictEqual(threads.at(0).batch.items.length, 4)
      // And as many again, for what each has next.
      threads.at(0).end([0, 1, 2, 3].map((n) => [n, { done: n }]), { isLast: false })
      yield* turns
      assert.deepStrictEqual(threads.at(0).batches.slice(-2), [4, 4])
    }).pipe(withDispatcher))

  it.effect("counts a timeout from when a task is posted to a free thread, or begins behind another", () =>
    Effect.gen(function*() {
      const { dispatch, enlarge, steps, threads } = yield* scripted({ size: 1 })
      yield* enlarge(2)
      yield* steps(0)
      const [first, second] = [yield* dispatch(1), yield* dispatch(2)]
      yield* turns
      const thread = threads.at(0)
      thread.end([[0, { done: 0 }]])
      yield* turns
      assert.strictEqual(thread.batch.items.length, 2)
      thread.begin(0)
      yield* TestClock.adjust("5 seconds")
      thread.end([[0, { done: 1 }]], { isLast: false })
      assert.strictEqual(yield* Fiber.join(first), 1)
      thread.begin(1)
      yield* TestClock.adjust(9990)
      assert.isUndefined(thread.control.reasonOf(1))
      yield* TestClock.adjust(30)
      yield* turns
      assert.strictEqual(thread.control.reasonOf(1), "Timeout")
      thread.end([[1, { done: 2 }]])
      assert.strictEqual(yield* Fiber.join(second), 2)

      // A thread that never comes to the first of its batch has it all the same.
      const third = yield* dispatch(3)
      yield* turns
      yield* TestClock.adjust("10 seconds")
      yield* turns
      assert.match(String(third.pollUnsafe()), /Timeout/)
    }).pipe(withDispatcher))

  it.effect("hands out permits for tasks, not for their cost", () =>
    Effect.gen(function*() {
      const { dispatch, step, threads } = yield* scripted({ size: 1, batch: 16 })
      const thread = threads.at(0)
      yield* Effect.forEach(Array.from({ length: 40 }), (_, n) => Effect.forkDetach(step(n, 1000)), { discard: true })
      yield* turns
      while (thread.batches.reduce((sum, size) => sum + size) < 40) {
        thread.end(thread.batch.items.map((_, n) => [n, { done: n }]), { millis: thread.batch.items.length * 10 })
        yield* turns
      }
      assert.strictEqual(thread.batches.at(-2), 2)
      for (let n = 0; n < 10; n++) yield* dispatch(n, 1000)
      yield* turns
      yield* TestClock.adjust(20)
      assert.strictEqual((yield* Metric.value(Metric.gauge("fanout_threads_queued"))).value, 3)
      assert.strictEqual((yield* Metric.value(Metric.gauge("fanout_threads_busy"))).value, 1)
      // It is at two, and has two next.
      assert.strictEqual((yield* Metric.value(Metric.counter("fanout_thread_tasks"))).count, 36)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()), withDispatcher))

  it.effect("starts a thread for what waits behind a slow one", () =>
    Effect.gen(function*() {
      const { enlarge, steps, threads } = yield* scripted({ size: 2 })
      yield* enlarge(4)
      assert.strictEqual(threads.started.length, 1)
      const fibers = yield* steps(0, 1, 2, 3)
      // Not for what is only on its way.
      yield* TestClock.adjust(20)
      yield* turns
      assert.strictEqual(threads.started.length, 1)
      threads.at(0).begin(0)
      yield* TestClock.adjust(20)
      yield* turns
      threads.at(1).ready("test/Step")
      yield* TestClock.adjust(20)
      yield* turns
      const taken = threads.at(1).batch.items.map(([, payload]) => payload)
      assert.deepStrictEqual(taken, [1, 2, 3].map((n) => ({ n, cost: 1 })))
      assert.isFalse(threads.at(0).control.claim(1))
      threads.at(1).end([1, 2, 3].map((n, index) => [index, { done: n }]))
      threads.at(0).end([[0, { done: 0 }]])
      assert.deepStrictEqual(yield* Fiber.joinAll(fibers), [0, 1, 2, 3])
    }).pipe(withDispatcher))

  it.effect("keeps all but the one that can't be copied", () =>
    Effect.gen(function*() {
      const Odd = Task.make("test/Odd", { payload: { x: Schema.Number }, success: Schema.Struct({ x: Schema.Number }) })
      class Odds extends RpcGroup.make(Odd) {}
      const threads = new Threads(
        Odds,
        Odds.toLayer({ "test/Odd": ({ x }) => Effect.succeed(x === 40 ? { x, f: () => x } : { x }) })
      )
      const context = yield* Layer.build(ThreadPool.layer(Odds, { size: 1 }).pipe(Layer.provide(threads.layer)))
      const odd = yield* Effect.provideContext(Odds.accessHandler("test/Odd"), context)
      const payloads = Array.from({ length: 64 }, (_, x) => x === 30 ? { x, f: () => x } : { x })
      for (let round = 0; round < 4; round++) {
        const exits = yield* Effect.forEach(payloads, (payload) => Effect.exit(odd(payload, call)), {
          concurrency: "unbounded"
        })
        const failed = exits.flatMap((exit, x) => Exit.isSuccess(exit) ? [] : [[x, String(defectOf(exit))]])
        assert.deepStrictEqual(failed.map(([x]) => x), [30, 40])
        for (const [, why] of failed) assert.match(String(why), /could not be cloned/)
      }
    }).pipe(Effect.scoped))
})

describe("ThreadPool, with a batch in hand", () => {
  const payloadsOf = (thread: ScriptedThread) =>
    thread.posted.flatMap((message) => message._tag === "Batch" ? [message.items.map(([, payload]) => payload)] : [])
      .map((batch) => batch.map((payload) => payload instanceof Object && "n" in payload ? payload.n : undefined))

  it.effect("gives a thread what it has next while it is busy, which another one does if it dies", () =>
    Effect.gen(function*() {
      const { enlarge, steps, threads } = yield* scripted({ size: 1 })
      yield* enlarge(2)
      const thread = threads.at(0)
      const [first, ...others] = yield* steps(1, 2, 3, 4)
      assert.deepStrictEqual(payloadsOf(thread).slice(-2), [[1, 2], [3, 4]])
      thread.begin(0)
      thread.die("of the first")
      yield* turns
      assert.deepInclude(defectOf(first?.pollUnsafe()), { isCulprit: true, isSuspect: true })
      const next = threads.at(1)
      next.ready("test/Step")
      yield* turns
      while (others.some((fiber) => fiber.pollUnsafe() === undefined)) {
        next.end(next.batch.items.map((_, index) => [index, { done: 0 }]))
        yield* turns
      }
      assert.deepStrictEqual(payloadsOf(next).flat(), [2, 3, 4])
      assert.deepStrictEqual(yield* Fiber.joinAll(others), [0, 0, 0])
    }).pipe(withDispatcher))

  it.effect.each([[90, 2], [150, 1]] as const)(
    "gives it what it has next where a task takes %i ms: %i in hand",
    ([millis, count]) =>
      Effect.gen(function*() {
        const { steps, threads } = yield* scripted({ size: 1 })
        yield* steps(1)
        threads.at(0).end([[0, { done: 1 }]], { millis })
        yield* turns
        yield* steps(2, 3, 4)
        assert.deepStrictEqual(payloadsOf(threads.at(0)).slice(1), count === 1 ? [[2]] : [[2], [3]])
      }).pipe(withDispatcher)
  )

  it.effect("takes endings, stops and reports of both for what they are of", () =>
    Effect.gen(function*() {
      const { enlarge, steps, threads } = yield* scripted({ size: 1 })
      yield* enlarge(2)
      const thread = threads.at(0)
      const units: Array<number> = []
      const reporter = { addUnsafe: (_: string, amount: number) => void units.push(amount), totalUnsafe: () => {} }
      const signal = makeUnsafe()
      const fibers = yield* steps(1, 2, 3, 4).pipe(
        Effect.provideService(Progress.Reporter, reporter),
        Effect.provideService(Interrupter, signal)
      )
      const [first, second] = thread.posted.filter((message) => message._tag === "Batch").slice(-2)
      assert(first?._tag === "Batch" && second?._tag === "Batch")
      thread.begin(0)
      signal.requestUnsafe("Pause")
      yield* turns
      // Only what runs is still there; its number is that of one in the next batch.
      assert.deepStrictEqual(fibers.map((fiber) => fiber.pollUnsafe() === undefined), [true, false, false, false])
      assert.strictEqual(thread.control.reasonOf(0), "Pause")
      thread.tell({ _tag: "Report", id: second.id, index: 0, added: [["steps", 1]] })
      thread.tell({ _tag: "Report", id: first.id, index: 0, added: [["steps", 2]] })
      assert.deepStrictEqual(units, [2])
      const late = { id: second.id, indexes: [0], endings: [{ done: 3 }], times: [0, 1], millis: 1, isLast: false }
      thread.tell({ _tag: "Ended", ...late })
      yield* turns
      assert.isUndefined(fibers[0]?.pollUnsafe())
      thread.end([[0, { done: 1 }]])
      assert.strictEqual(yield* Fiber.join(fibers[0] ?? assert.fail()), 1)
      assert.isTrue(thread.isHeld)
      thread.end([])
      assert.isFalse(thread.isHeld)
    }).pipe(withDispatcher))

  it.effect("counts the time of what it has next from when the thread comes to it", () =>
    Effect.gen(function*() {
      const { dispatch, enlarge, threads } = yield* scripted({ size: 1 })
      yield* enlarge(2)
      yield* dispatch(1)
      yield* turns
      const [second] = [yield* dispatch(2), yield* dispatch(3)]
      yield* turns
      const thread = threads.at(0)
      assert.deepStrictEqual(payloadsOf(thread).slice(-2), [[1], [2, 3]])
      yield* TestClock.adjust("9 seconds")
      thread.end([[0, { done: 1 }]])
      yield* turns
      yield* TestClock.adjust(9990)
      yield* turns
      assert.isUndefined(second.pollUnsafe())
      yield* TestClock.adjust(10)
      yield* turns
      assert.match(String(second.pollUnsafe()), /Timeout/)
    }).pipe(withDispatcher))

  it.effect("gives what waits behind a slow one to others, and the slow one nothing more", () =>
    Effect.gen(function*() {
      const { enlarge, steps, threads } = yield* scripted({ size: 2, batch: 2 })
      yield* enlarge(2)
      const slow = threads.at(0)
      const fibers = yield* steps(1, 2, 3)
      assert.deepStrictEqual(payloadsOf(slow).at(-1), [1, 2])
      slow.begin(0)
      const other = threads.at(1)
      other.ready("test/Step")
      yield* turns
      yield* TestClock.adjust(40)
      yield* turns
      for (let round = 0; round < 4 && fibers.slice(1).some((fiber) => fiber.pollUnsafe() === undefined); round++) {
        other.end(other.batch.items.map((_, index) => [index, { done: 0 }]))
        yield* turns
      }
      assert.sameMembers(payloadsOf(other).flat(), [2, 3])
      const before = slow.batches.length
      yield* steps(5, 6, 7, 8, 9, 10)
      assert.strictEqual(slow.batches.length, before)
      slow.end([[0, { done: 1 }]])
      yield* steps(11)
      assert.strictEqual(slow.batches.length, before + 1)
    }).pipe(withDispatcher))

  it.effect("starts as many threads at once as there are batches for, and counts those that fail together once", () =>
    Effect.gen(function*() {
      const { steps, threads } = yield* scripted({ size: 5 })
      const fibers = yield* steps(0, 1, 2, 3)
      assert.strictEqual(threads.started.length, 4)
      for (const n of [1, 2, 3]) threads.at(n).die("at once")
      yield* turns
      // The first one is still there, or three that fail would be the end of it.
      threads.at(0).die("of what it does")
      yield* turns
      assert.deepStrictEqual(fibers.slice(1).map((fiber) => fiber.pollUnsafe()), [undefined, undefined, undefined])
      yield* TestClock.adjust(100)
      yield* turns
      assert.strictEqual(threads.started.length, 7)
      for (const n of [4, 5, 6]) threads.at(n).ready("test/Step")
      for (const n of [4, 5, 6]) threads.at(n).end([[0, { done: n }]])
      assert.sameMembers(yield* Fiber.joinAll(fibers.slice(1)), [4, 5, 6])
    }).pipe(withDispatcher))

  it.effect("shares at once what takes longer than to hand it over, and nothing less", () =>
    Effect.gen(function*() {
      for (const { millis, shares } of [{ millis: 0.5, shares: true }, { millis: 0.01, shares: false }]) {
        const { steps, threads } = yield* scripted({ size: 2, batch: 4 })
        for (let n = 0; n < 4; n++) {
          yield* steps(n)
          threads.at(0).end([[0, { done: n }]], { millis })
          yield* turns
        }
        yield* steps(8)
        yield* steps(9)
        threads.at(1).ready("test/Step")
        yield* turns
        threads.at(0).begin(0)
        yield* steps(1, 2, 3, 4)
        assert.deepStrictEqual(threads.started.map((thread) => payloadsOf(thread).at(-1)), [[1, 2, 3, 4], [9]])
        threads.at(1).end([[0, { done: 9 }]], { millis })
        yield* turns
        assert.deepStrictEqual(payloadsOf(threads.at(1)).at(-1), shares ? [3, 4] : [9])
      }
    }).pipe(withDispatcher))
})

describe("Capacity", () => {
  const measured = (samples: ReadonlyArray<readonly [count: number, millis: number]>): number => {
    const capacity = new Capacity(64)
    for (const [count, millis] of samples) capacity.measure(count, count, millis)
    return capacity.tasks
  }
  const many = Array.from({ length: 20 }, () => [8, 0.4] as const)

  it("is as much as takes 2 ms, which one that takes long does not change, and many do", () => {
    assert.strictEqual(measured(many), 40)
    assert.isAbove(measured([...many, [1, 300]]), 20)
    assert.strictEqual(measured([...many, ...many.map(() => [1, 300] as const)]), 1)
  })

  it("is ten times as much for what a thread has next, where a task does not take long", () => {
    const capacity = new Capacity(64)
    for (let n = 0; n < 20; n++) capacity.measure(1, 1, 5)
    assert.deepStrictEqual([capacity.tasks, capacity.nextTasks], [1, 4])
    for (let n = 0; n < 20; n++) capacity.measure(1, 1, 150)
    assert.deepStrictEqual([capacity.tasks, capacity.nextTasks], [1, 0])
  })

  it("at most doubles, also for what a thread has next", () => {
    const capacity = new Capacity(64)
    for (const most of [2, 4, 8]) {
      capacity.measure(1, 1, 0.001)
      assert.deepStrictEqual([capacity.tasks, capacity.nextTasks], [most, most])
    }
  })

  it("finds back to what is quick", () => {
    assert.isAbove(measured([...many.map(() => [1, 300] as const), ...many, ...many]), 30)
  })
})

describe("ThreadPool, as it starts", () => {
  it.effect("waits longer after each start that fails, and wants all tasks of its group", () =>
    Effect.gen(function*() {
      const threads = new ScriptedThreads()
      const building = yield* Effect.forkChild(Effect.flip(Layer.build(
        ThreadPool.layer(Steps, { size: 1 }).pipe(Layer.provide(threads.layer))
      )))
      yield* turns
      threads.at(0).die("at once")
      yield* TestClock.adjust(100)
      yield* turns
      assert.strictEqual(threads.started.length, 2)
      threads.at(1).die("at once")
      yield* TestClock.adjust(199)
      yield* turns
      assert.strictEqual(threads.started.length, 2)
      yield* TestClock.adjust(1)
      yield* turns
      threads.at(2).ready("test/Other")
      assert.match((yield* Fiber.join(building)).message, /no handler for test\/Step/)
    }).pipe(Effect.scoped))

  it.effect("waits no longer than 5 seconds after any failure, and 100 ms once a thread has done something", () =>
    Effect.gen(function*() {
      const { steps, threads } = yield* scripted({ size: 2 })
      const failAndWait = Effect.fnUntraced(function*(millis: number) {
        const { length } = threads.started
        threads.at(length - 1).die("at once")
        yield* TestClock.adjust(millis - 1)
        yield* turns
        assert.strictEqual(threads.started.length, length)
        yield* TestClock.adjust(1)
        yield* turns
        assert.strictEqual(threads.started.length, length + 1)
      })
      yield* steps(0, 1)
      for (const millis of [100, 200, 400, 800, 1600, 3200, 5000, 5000]) yield* failAndWait(millis)
      threads.at(0).end([[0, { done: 0 }]], { millis: 100 })
      yield* steps(2)
      yield* failAndWait(100)
    }).pipe(withDispatcher))
})

describe("ThreadWorker", () => {
  /** A thread's side alone, with what it has posted. */
  const serving = Effect.fnUntraced(function*<R extends Task.Any>(
    group: RpcGroup.RpcGroup<R>,
    handlers: Layer.Layer<Task.Handler<R>>
  ) {
    const shared = Control.allocate(8)
    const posted: Array<FromThread> = []
    const mailbox: { receive: (message: ToThread) => void } = { receive: () => {} }
    const fiber = yield* serveGroup(group, shared, {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a thread posts
      postUnsafe: (message) => void posted.push(message as FromThread),
      listenUnsafe: (receive) => {
        mailbox.receive = receive
      }
    }).pipe(Effect.provide(handlers), Effect.forkChild)
    yield* turns
    return { posted, fiber, post: (message: ToThread) => mailbox.receive(message) }
  })

  it.effect("answers commits of one task each with its own", () =>
    Effect.gen(function*() {
      const cell = TaskCheckpoint.make(Schema.String)
      const done: Array<string> = []
      const commit = (name: string) => Effect.andThen(cell.commit(name), Effect.sync(() => done.push(name)))
      const { post, posted } = yield* serving(
        Steps,
        Steps.toLayer({
          "test/Step": ({ n }) => Effect.as(Effect.all([commit("a"), commit("b")], { concurrency: 2 }), n)
        })
      )
      post({ _tag: "Batch", id: 1, items: [["test/Step", { n: 1 }]], lease: [null, 0] })
      yield* turns
      post({ _tag: "Recorded", id: 1, index: 0 })
      yield* turns
      assert.deepStrictEqual(done, ["a"])
      post({ _tag: "Recorded", id: 1, index: 0 })
      yield* turns
      assert.deepStrictEqual(done, ["a", "b"])
      assert.strictEqual(posted.at(-1)?._tag, "Ended")
    }))

  it.effect("tells when each task of a batch began and ended", () =>
    Effect.gen(function*() {
      let millis = 100
      const clock = Object.create(yield* Clock.Clock, {
        monotonicTimeNanosUnsafe: { value: () => BigInt(millis) * 1_000_000n }
      })
      const spend = ({ n }: { readonly n: number }) =>
        Effect.sync(() => {
          millis += n
          return n
        })
      const { post, posted } = yield* Effect.provideService(
        serving(Steps, Steps.toLayer({ "test/Step": spend })),
        Clock.Clock,
        clock
      )
      const items = [5, 0, 20, 1].map((n) => ["test/Step", { n }] as const)
      post({ _tag: "Batch", id: 1, items, lease: [null, 0] })
      yield* turns
      assert.deepStrictEqual(
        posted.flatMap((message) => message._tag === "Ended" ? message.times : []),
        [100, 105, 105, 105, 105, 125, 125, 126]
      )
    }))

  it.effect("tells what has ended before it waits, and what a task adds before that waits", () =>
    Effect.gen(function*() {
      const { post, posted } = yield* serving(
        Steps,
        Steps.toLayer({
          "test/Step": ({ n }) => n === 0 ? Effect.succeed(0) : Effect.andThen(Progress.add("steps", n), Effect.never)
        })
      )
      post({ _tag: "Batch", id: 1, items: [["test/Step", { n: 0 }], ["test/Step", { n: 7 }]], lease: [null, 0] })
      yield* turns
      assert.deepInclude(posted.at(-1), { _tag: "Ended", indexes: [0], isLast: false })
      yield* TestClock.adjust(50)
      yield* turns
      assert.deepInclude(posted.at(-1), { _tag: "Report", index: 1, added: [["steps", 7]] })
    }))

  it.effect("says what a checkpoint stands for", () =>
    Effect.gen(function*() {
      const cell = TaskCheckpoint.make(Schema.Number)
      const { post, posted } = yield* serving(
        Steps,
        Steps.toLayer({
          "test/Step": ({ n }) =>
            Effect.gen(function*() {
              for (const add of [1, 2]) {
                yield* Progress.add("steps", add)
                yield* cell.save(add)
              }
              yield* Progress.add("steps", 4)
              return n
            })
        })
      )
      post({ _tag: "Batch", id: 1, items: [["test/Step", { n: 1 }]], lease: [null, 0] })
      yield* turns
      const ended = posted.at(-1)
      assert.deepStrictEqual(ended?._tag === "Ended" && ended.reports, [{
        index: 0,
        saved: { checkpoint: 2, added: [["steps", 3]] },
        added: [["steps", 4]]
      }])
    }))

  it.effect("says that a task has started over, and what it has added since then", () =>
    Effect.gen(function*() {
      const cell = TaskCheckpoint.make(Schema.Number)
      const { post, posted } = yield* serving(
        Steps,
        Steps.toLayer({
          "test/Step": ({ n }) =>
            Effect.gen(function*() {
              yield* Progress.add("steps", 1)
              yield* cell.save(1)
              yield* Progress.add("steps", 2)
              yield* Effect.forkChild(cell.startOver(2), { startImmediately: true })
              yield* Progress.add("steps", 4)
              yield* cell.save(3)
              yield* Progress.add("steps", 8)
              return n
            })
        })
      )
      post({ _tag: "Batch", id: 1, items: [["test/Step", { n: 1 }]], lease: [null, 0] })
      yield* turns
      const saved = posted.flatMap((message) =>
        message._tag === "Report"
          ? [message.saved]
          : message._tag === "Ended"
          ? (message.reports ?? []).map(({ saved }) => saved)
          : []
      )
      assert.deepStrictEqual(saved, [
        { checkpoint: 2, added: [], startsOver: true },
        { checkpoint: 3, added: [["steps", 4]] }
      ])
    }))
})
