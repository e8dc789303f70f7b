import { assert, describe, it } from "@effect/vitest"
import * as Pools from "@fanout/core/Pools"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"

class Refused extends Schema.TaggedError<Refused>("test/Refused")("Refused", {
  retryAfter: Schema.Number,
  inSeconds: Schema.optionalKey(Schema.Boolean)
}) {}
class Broken extends Schema.TaggedError<Broken>("test/Broken")("Broken", {}) {}

const Put = Task.make("test/Put", {
  payload: { n: Schema.Int },
  error: Schema.Union([Refused, Broken]),
  pool: "s3",
  retry: { times: 1 },
  busy: (error) => {
    if (error._tag !== "Refused") return undefined
    return error.inSeconds === true ? `${error.retryAfter} seconds` : error.retryAfter
  }
})

type Answer = Effect.Effect<void, Refused | Broken>

const dispatching = (answer: (n: number, attempt: number) => Answer, size: number | Pools.AdaptiveSize) =>
  RpcGroup.make(Put).toLayer({
    "test/Put": ({ n }) => Effect.flatMap(Task.CurrentAttempt, (attempt) => answer(n, attempt))
  }).pipe(Layer.merge(TaskDispatcher.layer.pipe(Layer.provideMerge(Pools.layer({ s3: size })))))

const put = (n: number) => TaskDispatcher.TaskDispatcher.use((_) => _.run(Put, { n }))

const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

describe("a busy service", () => {
  it.effect("has a task tried again, which counts no failed attempt", () =>
    Effect.gen(function*() {
      const begins: Array<number> = []
      const answer = (_: number, attempt: number): Answer =>
        Effect.flatMap(Clock.currentTimeMillis, (now): Answer => {
          begins.push(now)
          if (attempt <= 3) return Effect.fail(new Refused({ retryAfter: attempt === 2 ? 1000 : 0 }))
          // The one failed attempt that its `retry` allows.
          return attempt === 4 ? Effect.fail(new Broken()) : Effect.void
        })
      yield* Effect.gen(function*() {
        const running = yield* Effect.forkChild(put(1))
        yield* settle
        yield* pass(5000)
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(running)))
      }).pipe(Effect.provide(dispatching(answer, 4)))
      assert.deepStrictEqual(begins, [0, 100, 1100, 1500, 1500])
    }))

  it.effect("closes the pool for all its tasks for as long as it asks for", () =>
    Effect.gen(function*() {
      const begins: Array<readonly [n: number, at: number]> = []
      const answer = (n: number, attempt: number): Answer =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          begins.push([n, now])
          return n === 1 && attempt === 1 ? Effect.fail(new Refused({ retryAfter: 3000 })) : Effect.sleep(10)
        })
      yield* Effect.gen(function*() {
        yield* Effect.forkChild(put(1))
        yield* settle
        for (const n of [2, 3, 4]) yield* Effect.forkChild(put(n))
        yield* pass(2990)
        assert.lengthOf(begins, 1)
        yield* pass(1000)
      }).pipe(Effect.provide(dispatching(answer, 2)))
      assert.isTrue(begins.slice(1).every(([, at]) => at >= 3000))
      assert.sameMembers(begins.map(([n]) => n), [1, 1, 2, 3, 4])
    }))

  it.effect("is asked by no task that waited, once it has refused one", () =>
    Effect.gen(function*() {
      const begins: Array<readonly [n: number, at: number]> = []
      const answer = (n: number, attempt: number): Answer =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          begins.push([n, now])
          return n === 1 && attempt === 1
            ? Effect.delay(Effect.fail(new Refused({ retryAfter: 3000 })), 10)
            : Effect.void
        })
      yield* Effect.gen(function*() {
        for (const n of [1, 2, 3]) yield* Effect.forkChild(put(n))
        yield* pass(2990)
        assert.deepStrictEqual(begins, [[1, 0]])
        yield* pass(1000)
        assert.sameMembers(begins.map(([n]) => n), [1, 1, 2, 3])
      }).pipe(Effect.provide(dispatching(answer, 1)))
    }))

  it.effect("has a task tried again after the least time, where it asks for no sensible time", () =>
    Effect.gen(function*() {
      const times = [-1, Number.NaN, -5000, Number.POSITIVE_INFINITY]
      const answer = (_: number, attempt: number): Answer => {
        const retryAfter = times[attempt - 1]
        return retryAfter === undefined ? Effect.void : Effect.fail(new Refused({ retryAfter }))
      }
      yield* Effect.gen(function*() {
        const running = yield* Effect.forkChild(put(1))
        yield* settle
        yield* pass(1500)
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(running)))
      }).pipe(Effect.provide(dispatching(answer, 4)))
    }))

  it.effect("fails a task whose `busy` gives no time at all", () =>
    Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const running = yield* Effect.forkChild(put(1))
        yield* settle
        assert.match(String(running.pollUnsafe()), /NaN seconds/)
      }).pipe(
        Effect.provide(dispatching(() => Effect.fail(new Refused({ retryAfter: Number.NaN, inSeconds: true })), 4))
      )
    }))

  it.effect("fails a task as its error says once it was busy for ten minutes", () =>
    Effect.gen(function*() {
      let attempts = 0
      const answer = (): Answer =>
        Effect.suspend(() => {
          attempts++
          return Effect.fail(new Refused({ retryAfter: 60_000 }))
        })
      yield* Effect.gen(function*() {
        const running = yield* Effect.forkChild(Effect.flip(put(1)))
        yield* pass(599_000)
        assert.isUndefined(running.pollUnsafe())
        yield* pass(1_000_000)
        assert.strictEqual((yield* Fiber.join(running))._tag, "Refused")
      }).pipe(Effect.provide(dispatching(answer, 2)))
      // Its `retry` allows one more attempt, which has as long.
      assert.strictEqual(attempts, 22)
    }))

  it.effect("is not waited for by a task that has to stop", () =>
    Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const running = yield* Effect.forkChild(put(1))
        yield* pass(1000)
        yield* Fiber.interrupt(running)
        assert.isDefined(running.pollUnsafe())
      }).pipe(Effect.provide(dispatching(() => Effect.fail(new Refused({ retryAfter: 60_000 })), 2)))
    }))

  it.effect("makes an adaptive pool smaller, and lets it grow again", () =>
    Effect.gen(function*() {
      // 500 requests a second are answered in 20 ms each, and all others are refused at once.
      const perSecond = { most: 500 }
      let [second, begun, done, refused] = [0, 0, 0, 0]
      const answer = (): Answer =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const at = Math.floor(now / 100)
          if (at !== second) [second, begun] = [at, 0]
          if (++begun > perSecond.most / 10) {
            refused++
            return Effect.fail(new Refused({ retryAfter: 0 }))
          }
          return Effect.andThen(Effect.sleep(20), Effect.sync(() => void done++))
        })
      yield* Effect.gen(function*() {
        const { status } = yield* Pools.Pools
        const sizeOf = Effect.map(status, (all) => all.find(({ name }) => name === "s3")?.size ?? 0)
        yield* Effect.forEach(Array.from({ length: 100 }), (_, n) => Effect.forkChild(Effect.forever(put(n))), {
          discard: true
        })
        for (let step = 0; step < 200; step++) yield* pass(50)
        const before = { done, refused }
        let small = 64
        for (let step = 0; step < 160; step++) {
          yield* pass(50)
          small = Math.min(small, yield* sizeOf)
        }
        const [answered, lost] = [(done - before.done) / 8, (refused - before.refused) / 8]
        assert.isAbove(answered, 400)
        // A pool of 64 has 470 refused.
        assert.isBelow(lost, 330)
        assert.isAtMost(small, 24)

        perSecond.most = 100_000
        for (let step = 0; step < 200; step++) yield* pass(50)
        assert.isAbove(yield* sizeOf, small)
      }).pipe(Effect.provide(dispatching(answer, { least: 1, first: 64, most: 64 })))
    }))
})
