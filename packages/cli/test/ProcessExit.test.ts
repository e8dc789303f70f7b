import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as ProcessExit from "../src/exit/ProcessExit.ts"

/** Has the process be one that waits for its threads when it ends, or not. */
const noteCalls = async (waits: boolean) => {
  const before = process.env["FANOUT_DEBUG"]
  process.env["FANOUT_DEBUG"] = waits ? "1" : ""
  await Effect.runPromise(ProcessExit.noteCalls)
  if (before === undefined) delete process.env["FANOUT_DEBUG"]
  else process.env["FANOUT_DEBUG"] = before
}

/** What takes until it is let go to be closed. */
const slow = Effect.gen(function*() {
  const closing = yield* Deferred.make<void>()
  const letGo = yield* Deferred.make<void>()
  const close = Effect.andThen(Deferred.succeed(closing, undefined), Deferred.await(letGo))
  return { closing, letGo, layer: Layer.effectDiscard(Effect.addFinalizer(() => close)) }
})

const closed = <A, E>(layer: Layer.Layer<A, E>) => Effect.scoped(Layer.build(ProcessExit.unawaited(layer)))

// Whether a process waits is one thing for all of it.
describe("ProcessExit", () => {
  describe("where a process waits for nobody when it ends", () => {
    beforeAll(() => noteCalls(false))
    afterAll(() => noteCalls(true))

    it.effect("closes what nobody waits for while all else goes on", () =>
      Effect.gen(function*() {
        const { closing, layer } = yield* slow
        yield* closed(layer)
        yield* Deferred.await(closing)
      }))

    it.effect("does not wait either for what is stopped while it is still being built", () =>
      Effect.gen(function*() {
        const { closing, layer } = yield* slow
        const isBegun = yield* Deferred.make<void>()
        const never = Layer.effectDiscard(Effect.andThen(Deferred.succeed(isBegun, undefined), Effect.never))
        const building = yield* Effect.forkChild(closed(Layer.provide(never, layer)))
        yield* Deferred.await(isBegun)
        yield* Fiber.interrupt(building)
        yield* Deferred.await(closing)
      }))

    it.effect("passes on why something can't be built", () =>
      Effect.gen(function*() {
        const layer = Layer.effectDiscard(Effect.fail("no room"))
        assert.strictEqual(yield* Effect.flip(closed(layer)), "no room")
      }))
  })

  it.effect("waits where the end of the process would", () =>
    Effect.gen(function*() {
      yield* Effect.promise(() => noteCalls(true))
      const { closing, layer, letGo } = yield* slow
      const fiber = yield* Effect.forkChild(closed(layer))
      yield* Deferred.await(closing)
      yield* Effect.yieldNow
      assert.isUndefined(fiber.pollUnsafe())
      yield* Deferred.succeed(letGo, undefined)
      yield* Fiber.join(fiber)
    }))
})
