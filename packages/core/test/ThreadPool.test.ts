import { assert, describe, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import { JobManager } from "@fanout/core/JobManager"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Pools from "@fanout/core/Pools"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as FanoutTest from "@fanout/core/testing"
import { ThreadsUnavailable } from "@fanout/core/ThreadsUnavailable"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import * as ThreadPool from "../src/internal/threads/poolLayer.ts"
import { asRun, pools, runningJob } from "./fanOutHarness.ts"
import { GivingWay } from "./GivingWay.ts"
import { deterministic, outcomeOfActs, sourceOf } from "./threadActs.ts"
import { Threads, turns } from "./threadHarness.ts"
import { Act, type Bytes, handlers, Tasks, told } from "./threadTasks.ts"

const pool = (threads: Threads<typeof Act | typeof Bytes>, options: ThreadPool.Options = {}) =>
  Layer.merge(ThreadPool.layer(Tasks, options), TaskDispatcher.layer.pipe(Layer.provide(Pools.layer()))).pipe(
    Layer.provide(threads.layer)
  )

const run = (act: string, n = 1) => TaskDispatcher.TaskDispatcher.use((_) => _.run(Act, { n, act }))

describe("ThreadPool, under TestClock", () => {
  it.effect("starts one thread, others when there is work for them, and ends those that have none", () =>
    Effect.gen(function*() {
      const threads = new Threads(Tasks, handlers(true))
      yield* Effect.gen(function*() {
        assert.strictEqual(threads.started.length, 1)
        const naps = yield* Effect.forkChild(Effect.all([run("naps"), run("naps")], { concurrency: "unbounded" }))
        yield* turns
        assert.strictEqual(threads.started.length, 2)
        // The threads have a clock of their own: these end when they do.
        yield* Fiber.join(naps)
        yield* TestClock.adjust("6 seconds")
        yield* turns
        assert.strictEqual(threads.ended.length, 2)
        assert.strictEqual((yield* run("", 3)).n, 3)
        assert.strictEqual(threads.started.length, 3)
      }).pipe(Effect.provide(pool(threads, { size: 2, idle: "5 seconds" })))
      assert.strictEqual(threads.ended.length, 3)
    }))

  it.effect("does what comes while the thread's fiber gives way", () =>
    Effect.gen(function*() {
      for (let at = 0; at < 150; at++) {
        const threads = new Threads(Tasks, handlers(true))
        threads.scheduler = new GivingWay(at)
        const tasks = Effect.forEach([1, 2, 3], (n) => run("", n))
        const fiber = yield* Effect.forkChild(Effect.provide(tasks, pool(threads, { size: 1 })))
        for (let n = 0; n < 100 && fiber.pollUnsafe() === undefined; n++) yield* turns
        assert.isDefined(fiber.pollUnsafe(), `before operation ${at}`)
      }
    }))

  it.effect("tells each task of a batch which attempt of its own it is", () =>
    Effect.gen(function*() {
      const threads = new Threads(Tasks, handlers(true))
      const acts = [
        "tells its attempt",
        "fails, then tells its attempt",
        "pages, then tells its attempt",
        "tells its attempt"
      ]
      const numbers = yield* Effect.forEach(acts, (act) => Effect.map(run(act), ({ n }) => n), {
        concurrency: "unbounded"
      }).pipe(Effect.provide(pool(threads, { size: 1 })))
      assert.deepStrictEqual(numbers, [1, 2, 2, 1])
    }))

  it.effect("counts a timeout from when the task begins", () =>
    Effect.gen(function*() {
      const threads = new Threads(Tasks, handlers(true))
      yield* Effect.gen(function*() {
        // On the one thread each sleeps until its own timeout, and is then interrupted.
        const sleepers = yield* Effect.forkChild(
          Effect.all([Effect.flip(run("waits for the stop", 1)), Effect.flip(run("waits for the stop", 2))], {
            concurrency: "unbounded"
          })
        )
        yield* turns
        yield* TestClock.adjust("999 millis")
        yield* turns
        assert.isUndefined(sleepers.pollUnsafe())
        for (let i = 0; i < 80; i++) yield* Effect.andThen(TestClock.adjust("50 millis"), turns)
        const stopped = yield* Fiber.join(sleepers)
        assert.deepStrictEqual(stopped.map((_) => "reason" in _ && _.reason), ["Timeout", "Timeout"])
      }).pipe(Effect.provide(pool(threads, { size: 1 })))
    }))

  it.effect("fails when no thread can be had, after some tries", () =>
    Effect.gen(function*() {
      for (const how of ["die", "throw"] as const) {
        const threads = new Threads(Tasks, handlers(true))
        threads.how = how
        const building = yield* Effect.forkChild(Effect.flip(Layer.build(pool(threads))))
        yield* turns
        assert.isUndefined(building.pollUnsafe())
        yield* TestClock.adjust("100 millis")
        yield* turns
        yield* TestClock.adjust("200 millis")
        yield* turns
        const error = yield* Fiber.join(building)
        assert.instanceOf(error, ThreadsUnavailable)
        assert.match(error.message, how === "die" ? /died at once/ : /no room/)
      }
    }).pipe(Effect.scoped))

  it.effect("tries again also where a timer comes before the clock says so", () =>
    Effect.gen(function*() {
      const threads = new Threads(Tasks, handlers(true))
      threads.how = "die"
      const clock = yield* Clock.Clock
      const early: Clock.Clock = Object.create(clock, {
        sleep: {
          value: (duration: Duration.Duration) => clock.sleep(Duration.millis(Duration.toMillis(duration) - 1))
        }
      })
      const building = yield* Layer.build(pool(threads)).pipe(
        Effect.flip,
        Effect.provideService(Clock.Clock, early),
        Effect.forkChild
      )
      for (const millis of [99, 199]) {
        yield* turns
        yield* TestClock.adjust(millis)
      }
      yield* turns
      assert.isDefined(building.pollUnsafe())
      assert.instanceOf(yield* Fiber.join(building), ThreadsUnavailable)
    }).pipe(Effect.scoped))

  it.effect.each([{ size: 0 }, { size: 1.5 }, { batch: 0 }])("refuses %o", (options) =>
    Effect.gen(function*() {
      const threads = new Threads(Tasks, handlers(true))
      const built = yield* Effect.exit(Layer.build(pool(threads, options)))
      assert.match(
        String(built),
        /A thread pool's (size|batch) has to be a whole number, at least 1; it was given (0|1\.5)/
      )
      assert.strictEqual(threads.started.length, 0)
    }).pipe(Effect.scoped))

  it.effect("calls a thread lost that is not ready after 30 seconds", () =>
    Effect.gen(function*() {
      const threads = new Threads(Tasks, handlers(true))
      threads.how = "hang"
      const building = yield* Effect.forkChild(Effect.flip(Layer.build(pool(threads))))
      yield* TestClock.adjust("100 seconds")
      yield* turns
      const error = yield* Fiber.join(building)
      assert.match(error.message, /not ready after 30 seconds/)
      assert.strictEqual(threads.started.length, 3)
    }).pipe(Effect.scoped))

  it.effect("lets a thread load what it needs before it is ended, for 5 seconds", () =>
    Effect.gen(function*() {
      const threads = new Threads(Tasks, handlers(true))
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(pool(threads, { size: 2 }), scope)
      threads.how = "hang"
      const naps = Effect.all([run("naps"), run("naps")], { concurrency: "unbounded" })
      yield* Effect.forkChild(Effect.exit(Effect.provideContext(naps, context)))
      yield* turns
      assert.strictEqual(threads.started.length, 2)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* turns
      yield* TestClock.adjust("4999 millis")
      yield* turns
      assert.deepStrictEqual(threads.ended, ["it closed"])
      yield* TestClock.adjust("1 millis")
      yield* turns
      assert.deepStrictEqual(threads.ended, ["it closed", "it was ended"])
      yield* Fiber.join(closing)
    }))

  it.effect("leaves what is not settled to a later run, when all threads are lost for good", () =>
    Effect.gen(function*() {
      yield* runningJob("lost")
      const threads = new Threads(Tasks, handlers(true))
      const layer = yield* Layer.build(ThreadPool.layer(Tasks, { size: 1 }).pipe(Layer.provide(threads.layer)))
      const all = asRun(
        "lost",
        () =>
          TaskDispatcher.TaskDispatcher.use((_) =>
            _.fanOut("acts", Act, sourceOf(["", "", "sleeps unless told", "sleeps unless told"]), { concurrency: 1 })
          )
      ).pipe(Effect.provideContext(layer))
      const first = yield* Effect.forkChild(all)
      yield* turns
      threads.how = "die"
      threads.started[0]?.ended("pulled")
      for (let i = 0; i < 20; i++) yield* Effect.andThen(TestClock.adjust("100 millis"), turns)
      const { exit } = yield* Fiber.join(first)
      assert.match(String(exit), /ThreadsUnavailable/)

      threads.how = "ready"
      told.now = true
      const second = yield* Effect.forkChild(all)
      for (let i = 0; i < 20; i++) yield* Effect.andThen(TestClock.adjust("100 millis"), turns)
      const again = yield* Fiber.join(second)
      assert.deepStrictEqual(
        Exit.isSuccess(again.exit) ? [again.exit.value.done, again.exit.value.failed] : again.exit,
        [4, 0]
      )
    }).pipe(Effect.provide([pools, MemoryJobStore.layer]), Effect.scoped))

  it.effect("pauses a job whose task is on a thread, and goes on from its checkpoint", () =>
    Effect.gen(function*() {
      const Acts = Job.make("test/Acts", { success: Schema.Array(Schema.Number) })
      const program = Acts.toLayer(() =>
        TaskDispatcher.TaskDispatcher.use((_) =>
          _.fanOut("acts", Act, sourceOf(["waits after a page", "", "waits after a page"]))
        ).pipe(Effect.map(({ done, units }) => [done, units["pages"] ?? 0]), Effect.orDie)
      )
      const threads = new Threads(Tasks, handlers(true))
      const app = FanoutTest.layer({ jobs: [Acts] }).pipe(
        Layer.provide(program),
        Layer.provide(ThreadPool.layer(Tasks, { size: 1 })),
        Layer.provide(threads.layer)
      )
      yield* Effect.gen(function*() {
        const jobs = yield* JobManager
        const { id, await: result } = yield* jobs.start(Acts, undefined)
        const stateOf = Effect.map(jobs.get(id), ({ state }) => state._tag)
        // The first waits until it is told; the second one waits for the thread. So does the third, later.
        for (let round = 0; round < 2; round++) {
          for (let i = 0; i < 3; i++) yield* Effect.andThen(TestClock.adjust(100), turns)
          assert.strictEqual(yield* stateOf, "Running")
          yield* jobs.pause(id)
          for (let i = 0; i < 3; i++) yield* Effect.andThen(TestClock.adjust(100), turns)
          assert.strictEqual(yield* stateOf, "Paused")
          yield* jobs.resume(id)
        }
        for (let i = 0; i < 20; i++) yield* Effect.andThen(TestClock.adjust(100), turns)
        assert.deepStrictEqual(yield* result, [3, 4])
        assert.strictEqual(threads.started.length, 1)
      }).pipe(Effect.provide(app))
    }))

  it.effect.prop("runs what is urgent first", {
    waiting: Schema.Array(Schema.Literals(["critical", "high", "normal", "low"])).check(Schema.isMaxLength(12))
  }, ({ waiting }) =>
    Effect.gen(function*() {
      const order: Array<Task.Priority> = []
      const gate = Latch.makeUnsafe(false)
      const Urgent = Task.make("test/Urgent", { payload: { priority: Task.Priority }, pool: "cpu" })
      class Group extends RpcGroup.make(Urgent) {}
      const threads = new Threads(
        Group,
        Group.toLayer({
          "test/Urgent": ({ priority }) => {
            order.push(priority)
            return gate.await
          }
        })
      )
      yield* TaskDispatcher.TaskDispatcher.use((_) =>
        Effect.gen(function*() {
          const all = yield* Effect.forkChild(
            Effect.forEach(waiting, (priority) => _.run(Urgent, { priority }, { priority }), {
              concurrency: "unbounded"
            })
          )
          yield* turns
          // The first has its permit before the others come.
          yield* gate.open
          yield* Fiber.join(all)
        })
      ).pipe(Effect.provide(
        Layer.merge(
          ThreadPool.layer(Group, { size: 1, batch: 1 }).pipe(Layer.provide(threads.layer)),
          TaskDispatcher.layer.pipe(Layer.provide(Pools.layer()))
        )
      ))
      const ranks = order.slice(1).map((priority) => ["critical", "high", "normal", "low"].indexOf(priority))
      assert.strictEqual(order.length, waiting.length)
      assert.deepStrictEqual(ranks, ranks.toSorted((a, b) => a - b))
    }), { arbitrary: { runs: runs(30) } })

  it.effect.prop("comes to the same on threads as on fibers", {
    acts: Schema.Array(Schema.Literals(deterministic)).check(Schema.isMaxLength(40)),
    concurrency: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 })),
    size: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3 })),
    batch: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 8 })),
    withCaller: Schema.Boolean
  }, ({ acts, batch, concurrency, size, withCaller }) =>
    Effect.gen(function*() {
      const threads = new Threads(Tasks, handlers(false))
      const comesTo = <E>(tasks: Layer.Layer<Layer.Success<ReturnType<typeof handlers>>, E>) =>
        Effect.gen(function*() {
          const running = yield* Effect.forkChild(outcomeOfActs(acts, { concurrency }))
          while (running.pollUnsafe() === undefined) yield* Effect.andThen(TestClock.adjust(100), FanoutTest.settle)
          return yield* Fiber.join(running)
        }).pipe(Effect.provide([tasks, pools, MemoryJobStore.layer], { local: true }))
      const onThreads = yield* comesTo(
        ThreadPool.layer(Tasks, { size, batch, ...withCaller ? { caller: handlers(false) } : {} }).pipe(
          Layer.provide(threads.layer)
        )
      )
      assert.deepStrictEqual(onThreads, yield* comesTo(handlers(false)))
      assert.strictEqual(threads.ended.length, threads.started.length)
    }), { arbitrary: { runs: runs(40) } })
})
