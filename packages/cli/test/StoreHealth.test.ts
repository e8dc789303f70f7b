import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import { JobStore } from "@fanout/core/JobStore"
import { Fenced, JobStoreError, StorageFailure } from "@fanout/core/JobStoreError"
import * as Progress from "@fanout/core/Progress"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as StoreHealth from "../src/StoreHealth.ts"

const id = JobId.make("k1")
const full = new JobStoreError({
  reason: new StorageFailure({ operation: "renew a lease", problem: "Full", cause: new Error("full") })
})
const fenced = new JobStoreError({ reason: new Fenced({ id, token: 1 }) })

/** Renews a lease each half second, with these results, and tells whether the store is called broken by then. */
const isBrokenAfter = (...results: ReadonlyArray<JobStoreError | "ok">) =>
  Effect.gen(function*() {
    const left = Array.from(results)
    const beat = () => {
      const result = left.shift() ?? "ok"
      return result === "ok"
        ? Effect.succeedNone
        : Effect.fail(result)
    }
    return yield* Effect.gen(function*() {
      const { untilBroken } = yield* StoreHealth.StoreHealth
      const store = yield* JobStore
      const fiber = yield* Effect.forkChild(Effect.flip(untilBroken))
      while (left.length > 0) {
        yield* Effect.ignore(store.beat(id, 1))
        yield* TestClock.adjust("500 millis")
      }
      const error = fiber.pollUnsafe()
      yield* Fiber.interrupt(fiber)
      return error
    }).pipe(Effect.provide(Layer.provide(StoreHealth.layer, Layer.mock(JobStore, { beat }))))
  })

/** Uses a store that takes heartbeats and fails otherwise, and tells whether it is called broken two seconds later. */
const isBrokenBy = (use: (store: JobStore["Service"]) => Effect.Effect<unknown, JobStoreError>) =>
  Effect.gen(function*() {
    const { untilBroken } = yield* StoreHealth.StoreHealth
    const store = yield* JobStore
    const fiber = yield* Effect.forkChild(Effect.flip(untilBroken))
    yield* Effect.ignore(use(store))
    for (let i = 0; i < 5; i++) {
      yield* store.beat(id, 1)
      yield* TestClock.adjust("500 millis")
    }
    const error = fiber.pollUnsafe()
    yield* Fiber.interrupt(fiber)
    return error?._tag === "Success" && error.value === full
  }).pipe(
    Effect.provide(Layer.provide(
      StoreHealth.layer,
      Layer.mock(JobStore, {
        beat: () => Effect.succeedNone,
        put: () => Effect.fail(full),
        flush: () => Effect.fail(full),
        saveOwnCheckpoint: () => Effect.fail(full),
        look: () => Effect.fail(full)
      })
    ))
  )

describe("StoreHealth", () => {
  it.effect("calls a store broken whose writes fail for two seconds", () =>
    Effect.gen(function*() {
      assert.isUndefined(yield* isBrokenAfter(full, full, full))
      const exit = yield* isBrokenAfter(full, full, full, full)
      assert.strictEqual(exit?._tag === "Success" && exit.value, full)
    }))

  it.effect("takes one write that went well, or was refused, for health", () =>
    Effect.gen(function*() {
      for (const answer of ["ok", fenced] as const) {
        assert.isUndefined(yield* isBrokenAfter(full, full, full, answer, full, full, full))
      }
    }))

  it.effect("calls a store broken that has not taken a record of a run, whatever it takes then", () =>
    Effect.gen(function*() {
      const checkpoint = { token: 1, name: "a", checkpoint: "" }
      assert.isTrue(yield* isBrokenBy((store) => store.saveOwnCheckpoint(id, checkpoint)))
      const flush = { token: 1, fanOut: "a", rows: [], cleared: [], checkpoint: "", progress: Progress.empty }
      assert.isTrue(yield* isBrokenBy((store) => store.flush(id, flush)))
    }))

  it.effect("calls a store broken in which it can't be seen which jobs there are to claim", () =>
    Effect.gen(function*() {
      assert.isTrue(yield* isBrokenBy((store) => store.look(0)))
    }))

  it.effect("passes the progress on that is stored with a heartbeat", () =>
    Effect.gen(function*() {
      const stored: Array<Progress.Progress | undefined> = []
      const beat: JobStore["Service"]["beat"] = (_id, _token, progress) => {
        stored.push(progress)
        return Effect.succeedNone
      }
      yield* JobStore.use((store) => store.beat(id, 1, Progress.empty)).pipe(
        Effect.provide(Layer.provide(StoreHealth.layer, Layer.mock(JobStore, { beat })))
      )
      assert.deepStrictEqual(stored, [Progress.empty])
    }))
})
