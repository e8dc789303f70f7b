import { assert, describe, it } from "@effect/vitest"
import * as JobStore from "@fanout/core/JobStore"
import * as Pools from "@fanout/core/Pools"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as ThreadPool from "@fanout/core/ThreadPool"
import { ThreadsUnavailable } from "@fanout/core/ThreadSpawner"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { asRun, pools, runningJob } from "./fanOutHarness.ts"
import { Threads, turns } from "./threadHarness.ts"
import { Act, handlers, Tasks, told } from "./threadTasks.ts"

const pool = (threads: Threads<typeof Act>, options: ThreadPool.Options = {}) =>
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
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(naps)
        yield* TestClock.adjust("5 seconds")
        yield* turns
        assert.strictEqual(threads.ended.length, 2)
        assert.strictEqual((yield* run("", 3)).n, 3)
        assert.strictEqual(threads.started.length, 3)
      }).pipe(Effect.provide(pool(threads, { size: 2, idle: "5 seconds" })))
      assert.strictEqual(threads.ended.length, 3)
    }))

  it.effect("counts a timeout from when the task begins", () =>
    Effect.gen(function*() {
      const threads = new Threads(Tasks, handlers(true))
      yield* Effect.gen(function*() {
        // On the one thread each sleeps until its own timeout of 500 ms, and is then interrupted.
        const sleepers = yield* Effect.forkChild(
          Effect.all([Effect.flip(run("waits for the stop", 1)), Effect.flip(run("waits for the stop", 2))], {
            concurrency: "unbounded"
          })
        )
        yield* turns
        yield* TestClock.adjust("499 millis")
        yield* turns
        assert.isUndefined(sleepers.pollUnsafe())
        for (let i = 0; i < 60; i++) yield* Effect.andThen(TestClock.adjust("50 millis"), turns)
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

  it.effect("leaves what is not settled to a later run, when all threads are lost for good", () =>
    Effect.gen(function*() {
      yield* runningJob("lost")
      const threads = new Threads(Tasks, handlers(true))
      const layer = yield* Layer.build(ThreadPool.layer(Tasks, { size: 1 }).pipe(Layer.provide(threads.layer)))
      const all = asRun(
        "lost",
        () =>
          TaskDispatcher.TaskDispatcher.use((_) =>
            _.fanOut("acts", Act, (after) =>
              Stream.fromIterable([0, 1, 2, 3]).pipe(
                Stream.drop(Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 })),
                Stream.map((n) => ({
                  _tag: "Item" as const,
                  cursor: String(n),
                  payload: { n, act: n < 2 ? "" : "sleeps unless told" }
                }))
              ), { concurrency: 1 })
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
    }).pipe(Effect.provide([pools, JobStore.layerMemory]), Effect.scoped))
})
