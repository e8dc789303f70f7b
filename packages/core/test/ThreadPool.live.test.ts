import { assert, describe, it } from "@effect/vitest"
import type { FanOutOptions } from "@fanout/core/FanOut"
import * as JobStore from "@fanout/core/JobStore"
import { layerThreads } from "@fanout/core/node"
import * as Outcome from "@fanout/core/Outcome"
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
import { asRun, pools, runningJob } from "./fanOutHarness.ts"
import { outcomesOf } from "./FanOutLaws.ts"
import { Act, handlers, Tasks } from "./threadTasks.ts"

const spawner = (module = "./threadChild.ts") =>
  layerThreads({
    module: new URL(module, import.meta.url),
    execArgv: ["--conditions=@fanout/source"],
    resourceLimits: { maxOldGenerationSizeMb: 32 }
  })

const threads = (options: ThreadPool.Options = { size: 2 }) =>
  ThreadPool.layer(Tasks, options).pipe(Layer.provide(spawner()))

const app = <E>(tasks: Layer.Layer<Layer.Success<ReturnType<typeof handlers>>, E>) =>
  Layer.merge(tasks, TaskDispatcher.layer.pipe(Layer.provide(Pools.layer())))

const run = (act: string, n = 1) => TaskDispatcher.TaskDispatcher.use((_) => _.run(Act, { n, act, when: new Date(n) }))

/** A fan-out over payloads whose acts are given by their number. */
const fanOut = (id: string, count: number, act: (n: number) => string, options: FanOutOptions = {}) =>
  Effect.gen(function*() {
    yield* runningJob(id)
    return yield* asRun(
      id,
      () =>
        TaskDispatcher.TaskDispatcher.use((_) =>
          _.fanOut("acts", Act, (after) =>
            Stream.fromIterable(Array.from({ length: count }, (_, n) => n)).pipe(
              Stream.drop(Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 })),
              Stream.map((n) => ({ _tag: "Item" as const, cursor: String(n), payload: { n, act: act(n) } }))
            ), options)
        )
    )
  })

const failuresOf = (id: string) =>
  Effect.map(
    outcomesOf(id),
    (rows) =>
      rows.flatMap(([, { key, outcome }]) =>
        outcome._tag === "Failed" ? [[Number(key), outcome.failure._tag, Outcome.message(outcome.failure)]] : []
      )
  )

describe("ThreadPool", () => {
  describe.each([["fibers", false], ["threads", true]] as const)("on %s", (_, onThreads) => {
    const layer = app(onThreads ? threads() : handlers(false))

    it.live("gives values, typed errors, skips and defects", () =>
      Effect.gen(function*() {
        const value = yield* run("", 7)
        assert.deepStrictEqual({ ...value, thread: undefined }, {
          n: 7,
          thread: undefined,
          at: Option.some(new Date(7))
        })
        assert.strictEqual(value.thread, onThreads)
        const failed = yield* Effect.flip(run("fails", 3))
        assert.deepStrictEqual([failed._tag, "n" in failed && failed.n], ["Bad", 3])
        const skipped = yield* Effect.flip(run("skips", 3))
        assert.deepStrictEqual([skipped._tag, "reason" in skipped && skipped.reason], ["Skipped", "skipped 3"])
        const died = yield* Effect.exit(run("dies", 3))
        assert.match(String(died), /RangeError: died 3/)
      }).pipe(Effect.provide(layer)))

    it.live("keeps what a task has saved and added for its next attempt", () =>
      Effect.gen(function*() {
        const { exit } = yield* fanOut(`pages on ${_}`, 3, () => "pages")
        assert.deepStrictEqual(
          Exit.isSuccess(exit) ? [exit.value.done, exit.value.units] : exit,
          [3, { pages: 15 }]
        )
      }).pipe(Effect.provide([layer, pools, JobStore.layerMemory])))

    it.live("stops a task that checks at its timeout", () =>
      Effect.gen(function*() {
        const stopped = yield* Effect.flip(run("checks"))
        assert.deepStrictEqual([stopped._tag, "reason" in stopped && stopped.reason], ["Interrupted", "Timeout"])
        const waited = yield* Effect.flip(run("waits for the stop"))
        assert.deepStrictEqual([waited._tag, "reason" in waited && waited.reason], ["Interrupted", "Timeout"])
      }).pipe(Effect.provide(layer)))
  })

  describe("a task that takes its thread down", () => {
    it.live.each([
      { act: "exits", tag: "Quarantined", message: /exited with code 7/ },
      { act: "throws", tag: "Quarantined", message: /thrown 700/ },
      { act: "fills", tag: "Quarantined", message: /memory/ },
      { act: "spins", tag: "Timeout", message: /longer than 500 ms/ }
    ])("fails alone among 1,000 when it $act", ({ act, message, tag }) =>
      Effect.gen(function*() {
        const id = `one ${act}`
        const { exit } = yield* fanOut(id, 1000, (n) => n === 700 ? act : "", { concurrency: 256 })
        assert.deepStrictEqual(Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed] : exit, [999, 1])
        const failures = yield* failuresOf(id)
        assert.deepStrictEqual(failures.map(([n, tag]) => [n, tag]), [[700, tag]])
        assert.match(String(failures[0]?.[2]), message)
      }).pipe(Effect.provide([threads(), pools, JobStore.layerMemory])))

    it.live("fails alone with another one of its batch, although they were in one batch", () =>
      Effect.gen(function*() {
        const { exit } = yield* fanOut("two", 1000, (n) => n === 700 || n === 720 ? "exits" : "", { concurrency: 256 })
        assert.deepStrictEqual(Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed] : exit, [998, 2])
        const failures = yield* failuresOf("two")
        assert.deepStrictEqual(failures.map(([n]) => n).toSorted((a, b) => Number(a) - Number(b)), [700, 720])
      }).pipe(Effect.provide([threads({ size: 2 }), pools, JobStore.layerMemory])))
  })

  it.live("runs again whatever was on a thread that something else has taken down", () =>
    Effect.gen(function*() {
      const { exit } = yield* fanOut("bomb", 200, (n) => n === 100 ? "leaves a bomb" : n > 100 ? "naps" : "")
      assert.deepStrictEqual(Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed] : exit, [200, 0])
    }).pipe(Effect.provide([threads(), pools, JobStore.layerMemory])))

  it.live("ends threads that spin when they are cancelled, and runs what comes next", () =>
    Effect.gen(function*() {
      yield* runningJob("spinning")
      const fiber = yield* Effect.forkChild(fanOut("spinners", 8, () => "spins", { concurrency: 4 }))
      yield* Effect.sleep(300)
      const start = performance.now()
      yield* Fiber.interrupt(fiber)
      assert.isBelow(performance.now() - start, 1000 + 400)
      assert.strictEqual((yield* run("", 5)).n, 5)
    }).pipe(Effect.provide([app(threads()), pools, JobStore.layerMemory])))

  it.live("says so when no thread can be had", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Layer.build(
        ThreadPool.layer(Tasks, { size: 1 }).pipe(Layer.provide(spawner("./nowhere.ts")))
      ))
      assert.instanceOf(error, ThreadsUnavailable)
      assert.match(error.message, /nowhere\.ts/)
    }).pipe(Effect.scoped))

  it.live("takes from a busy thread what an idle one can begin", () =>
    Effect.gen(function*() {
      const start = performance.now()
      // The first is slow, and those behind it were given to the same thread.
      const { exit } = yield* fanOut("shared", 200, (n) => n === 150 ? "spins a while" : "", { concurrency: 128 })
      assert.strictEqual(Exit.isSuccess(exit) ? exit.value.done : exit, 200)
      assert.isBelow(performance.now() - start, 3000)
    }).pipe(Effect.provide([threads(), pools, JobStore.layerMemory])))
})
