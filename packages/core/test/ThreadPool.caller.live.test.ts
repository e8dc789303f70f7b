import { assert, describe, it } from "@effect/vitest"
import { Interrupted } from "@fanout/core/Interrupter"
import * as Pools from "@fanout/core/Pools"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as ThreadPool from "../src/internal/threads/poolLayer.ts"
import { Threads } from "./threadHarness.ts"
import { Act, handlers, Tasks, told } from "./threadTasks.ts"

const run = (act: string, n = 1) => TaskDispatcher.TaskDispatcher.use((_) => _.run(Act, { n, act }))

/** A pool with one thread beside that of the caller. */
const pool = (options: ThreadPool.Options = {}) => {
  const threads = new Threads(Tasks, handlers(true))
  const layer = Layer.merge(
    ThreadPool.layer(Tasks, { size: 1, caller: handlers(false), ...options }).pipe(Layer.provide(threads.layer)),
    TaskDispatcher.layer.pipe(Layer.provide(Pools.layer()))
  )
  return { threads, layer }
}

/** Waits until it is so. */
const until = (isSo: () => boolean) => Effect.sleep(1).pipe(Effect.repeat({ until: isSo }))

/** A task that has begun. */
const begun = Effect.fnUntraced(function*(act: string) {
  const before = told.begun
  const fiber = yield* Effect.forkChild(run(act))
  yield* until(() => told.begun > before)
  return fiber
})

/** Has the thread wait for what never comes, until the task's timeout. */
const occupied = begun("waits for the stop")

describe("ThreadPool, where the caller takes part", () => {
  it.live("gives the caller what no thread has time for", () =>
    Effect.gen(function*() {
      assert.isTrue((yield* run("")).thread)
      const waiting = yield* occupied
      assert.isFalse((yield* run("")).thread)
      const all = yield* Effect.forEach(Array.from({ length: 300 }, (_, n) => n), (n) => run("", n), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(all.map(({ n }) => n), Array.from({ length: 300 }, (_, n) => n))
      assert.isTrue(all.every(({ thread }) => !thread))
      yield* Fiber.interrupt(waiting)
    }).pipe(Effect.provide(pool().layer)))

  it.live("lets all else on the thread have its turn", () =>
    Effect.gen(function*() {
      const waiting = yield* occupied
      let ticks = 0
      const ticking = yield* Effect.forkChild(
        Effect.forever(Effect.andThen(Effect.sleep(1), Effect.sync(() => ticks++)))
      )
      const all = yield* Effect.forEach(Array.from({ length: 40 }, (_, n) => n), (n) => run("spins briefly", n), {
        concurrency: "unbounded"
      })
      assert.isFalse(all[0]?.thread)
      // Of 200 ms and more.
      assert.isAtLeast(ticks, 10)
      yield* Fiber.interrupt(ticking)
      yield* Fiber.interrupt(waiting)
    }).pipe(Effect.provide(pool().layer)))

  it.live("leaves the caller alone once a task has kept it for too long, and loses nothing", () =>
    Effect.gen(function*() {
      const waiting = yield* occupied
      const acts = ["", "", "", "spins a while longer", "", "", ""]
      const all = yield* Effect.forEach(acts, run, { concurrency: "unbounded" })
      assert.deepStrictEqual(all.map(({ n }) => n), acts.map((_, n) => n))
      assert.isFalse(all[3]?.thread)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(waiting)))
      const again = yield* occupied
      const late = yield* Effect.forkChild(run(""))
      yield* Effect.sleep("100 millis")
      assert.isUndefined(late.pollUnsafe())
      yield* Fiber.await(again)
      assert.isTrue((yield* Fiber.join(late)).thread)
    }).pipe(Effect.provide(pool().layer)))

  it.live("keeps from the caller what a thread may have died of", () => {
    const { layer, threads } = pool()
    return Effect.gen(function*() {
      told.now = false
      const suspect = yield* begun("sleeps unless told")
      told.now = true
      threads.started[0]?.ended("pulled")
      assert.isTrue((yield* Fiber.join(suspect)).thread)
      assert.strictEqual(threads.started.length, 2)
    }).pipe(Effect.provide(layer))
  })

  it.live("keeps from the caller what can't be copied together with others", () => {
    const { layer, threads } = pool()
    const alone = new Set<number>()
    threads.refuses = (message) => {
      const all = Array.from(JSON.stringify(message).matchAll(/"n":(\d+)/g), ([, n]) => Number(n))
      if (all.length < 2) return false
      for (const n of all) alone.add(n)
      return true
    }
    return Effect.gen(function*() {
      // On a host that is busy elsewhere tasks may have been measured to take too long for more than one at once.
      while (alone.size === 0) {
        yield* run("spins briefly")
        for (let n = 0; n < 60; n++) yield* run("")
        yield* occupied
        // The caller has its time out while the thread is at these.
        yield* occupied
        const all = yield* Effect.forEach(Array.from({ length: 12 }, (_, n) => n), (n) => run("naps", n), {
          concurrency: "unbounded"
        })
        assert.isTrue(all.every(({ n, thread }) => thread || !alone.has(n)))
      }
    }).pipe(Effect.provide(layer))
  })

  it.live("has the caller for as long as the pool, and threads while there is work", () => {
    const { layer, threads } = pool({ idle: "50 millis" })
    return Effect.gen(function*() {
      assert.isTrue((yield* run("")).thread)
      yield* Effect.sleep("300 millis")
      assert.lengthOf(threads.ended, 1)
      assert.isFalse((yield* run("")).thread)
    }).pipe(Effect.provide(layer))
  })

  it.live("is no pool where there are no threads", () =>
    Effect.gen(function*() {
      const { layer, threads } = pool()
      threads.how = "die"
      assert.match(String(yield* Effect.flip(Layer.build(layer))), /died at once/)
    }).pipe(Effect.scoped))

  it.live("stops what runs there by its reason, and ends it with the pool", () =>
    Effect.gen(function*() {
      const { layer, threads } = pool()
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(layer, scope)
      yield* Effect.gen(function*() {
        yield* occupied
        assert.deepStrictEqual(
          yield* Effect.exit(run("waits for the stop")),
          Exit.fail(new Interrupted({ reason: "Timeout" }))
        )
        yield* occupied
        const sleeping = yield* begun("sleeps")
        yield* Scope.close(scope, Exit.void)
        assert.match(String(yield* Fiber.await(sleeping)), /Stopped: Shutdown/)
      }).pipe(Effect.provideContext(context))
      assert.strictEqual(threads.ended.length, 1)
    }))

  it.live("waits for what can't be interrupted there before the handlers are gone", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const threads = new Threads(Tasks, handlers(true))
      const caller = Layer.effectContext(Effect.gen(function*() {
        yield* Effect.addFinalizer(() => Effect.sync(() => log.push("handlers closed")))
        return yield* Layer.build(Tasks.toLayer({
          "test/Bytes": () => Effect.die(new Error("not asked for")),
          "test/Act": ({ n }) =>
            Effect.uninterruptible(Effect.gen(function*() {
              log.push("begins")
              yield* Effect.sleep("600 millis")
              log.push("ends")
              return { n, thread: false, at: Option.none() }
            }))
        }))
      }))
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(
        Layer.merge(
          ThreadPool.layer(Tasks, { size: 1, caller }).pipe(Layer.provide(threads.layer)),
          TaskDispatcher.layer.pipe(Layer.provide(Pools.layer()))
        ),
        scope
      )
      yield* Effect.provideContext(occupied, context)
      yield* Effect.forkChild(Effect.provideContext(Effect.exit(run("")), context))
      yield* until(() => log.length > 0)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(log, ["begins", "ends", "handlers closed"])
    }))
})
