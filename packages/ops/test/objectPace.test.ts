import { assert, describe, it } from "@effect/vitest"
import { type ObjectStore, ObjectStores } from "@fanout/ops/ObjectStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import { patiently } from "../src/internal/objects/objectAccess.ts"
import { paced } from "../src/internal/objects/objectPace.ts"
import * as MemoryStore from "./memoryStore.ts"
import * as World from "./objectHarness.ts"

const throttled = (afterMillis = 0) => World.failure({ _tag: "Throttled", code: "SlowDown", afterMillis }, "head")

/** A store whose answers to HEAD are this. */
const answering = (head: ObjectStore["head"]) =>
  Effect.gen(function*() {
    const { at } = yield* ObjectStores
    return { ...yield* at({ scheme: "s3", bucket: "bucket" }), head }
  }).pipe(Effect.provide(MemoryStore.layer({ buckets: ["bucket"] })))

const many = (store: ObjectStore, count: number) =>
  Effect.forEach(Array.from({ length: count }), () => patiently(store.head("key")), {
    concurrency: "unbounded",
    discard: true
  })

/** Runs an effect while time passes. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("5 millis")
    return yield* Fiber.join(fiber)
  })

describe("Pace of requests", () => {
  it.effect("is bounded by the connections that there are", () =>
    Effect.gen(function*() {
      let [now, most] = [0, 0]
      const store = yield* answering(() =>
        Effect.sync(() => void (most = Math.max(most, ++now))).pipe(
          Effect.andThen(Effect.sleep("20 millis")),
          Effect.andThen(Effect.sync(() => void now--)),
          Effect.as(Option.none())
        )
      )

      yield* inTime(many(paced(store), 500))

      assert.strictEqual(most, 64)
    }))

  it.effect("is near to what a store allows, and each request is answered in the end", () =>
    Effect.gen(function*() {
      // 500 requests a second, of which some may come together.
      const allowed = { perMilli: 0.5, atOnce: 50 }
      let [tokens, at, answered, refused] = [allowed.atOnce, 0, 0, 0]
      const store = yield* answering(() =>
        Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          tokens = Math.min(allowed.atOnce, tokens + (now - at) * allowed.perMilli)
          at = now
          yield* Effect.sleep("20 millis")
          if (tokens < 1) {
            refused++
            return yield* throttled()
          }
          tokens--
          answered++
          return Option.none()
        })
      )

      const started = yield* Clock.currentTimeMillis
      yield* inTime(many(paced(store), 2_000))
      const seconds = ((yield* Clock.currentTimeMillis) - started) / 1000

      assert.strictEqual(answered, 2_000)
      assert.isAbove(answered / seconds, 400)
      // At a fixed bound of 64 there would be more than are answered.
      assert.isBelow(refused, 0.8 * answered)
    }), 20_000)

  it.effect("leaves the store alone for as long as it asks", () =>
    Effect.gen(function*() {
      const times: Array<number> = []
      const store = yield* answering(() =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          times.push(now) === 1 ? Effect.fail(throttled(10_000)) : Effect.succeedNone)
      )
      const own = paced(store)

      yield* inTime(Effect.andThen(Effect.ignore(own.head("a")), many(own, 5)))

      const [first = 0, ...others] = times
      assert.isAtLeast(Math.min(...others) - first, 10_000)
    }))
})
