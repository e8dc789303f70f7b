import { assert, describe, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import { JobManager } from "@fanout/core/JobManager"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import { Pools } from "@fanout/core/Pools"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as FanoutTest from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"

const Wait = Job.make("test/Wait", { payload: Schema.Struct({ minutes: Schema.Number }), success: Schema.String })

const wait = Wait.toLayer(({ minutes }) => Effect.as(Effect.sleep(`${minutes} minutes`), `waited ${minutes} min`))

describe("testing", () => {
  it.effect("runs a job under the test's clock", () =>
    Effect.gen(function*() {
      const jobs = yield* JobManager
      const { id, await: result } = yield* jobs.start(Wait, { minutes: 5 })
      yield* FanoutTest.settle
      yield* TestClock.adjust("4 minutes")
      assert.strictEqual((yield* jobs.get(id)).state._tag, "Running")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* result, "waited 5 min")
      assert.include((yield* Pools).names, "paint")
    }).pipe(
      Effect.provide(FanoutTest.layer({ jobs: [Wait], pools: { paint: 1 } }).pipe(Layer.provide(wait)))
    ))

  it.effect("ends although a job never does", () =>
    Effect.gen(function*() {
      const jobs = yield* JobManager
      yield* jobs.start(Wait, { minutes: 5 })
      yield* TestClock.adjust(1)
    }).pipe(
      Effect.provide(FanoutTest.layer({ jobs: [Wait] }).pipe(Layer.provide(wait)))
    ))

  it.effect("kills a process in the middle, and the next one goes on", () =>
    Effect.gen(function*() {
      const [ran, ended]: [Array<number>, Array<number>] = [[], []]
      const Walk = Job.make("test/Walk", { payload: Schema.Int, success: Schema.Array(Schema.Int) })
      const walk = Walk.toLayer((count) =>
        TaskDispatcher.use(({ forEach }) =>
          forEach("steps", Array.from({ length: count }, (_, n) => n), (n) =>
            Effect.sync(() => ran.push(n)).pipe(
              Effect.andThen(Effect.sleep("1 minute")),
              Effect.andThen(Effect.sync(() => ended.push(n))),
              Effect.as(n * n)
            ), { success: Schema.Int, concurrency: 2 })
        )
      )
      const first = yield* FanoutTest.process({ jobs: [Walk] }, walk)
      const { id } = yield* first.manager.start(Walk, 6)
      yield* FanoutTest.settle
      yield* TestClock.adjust("150 seconds")
      assert.deepStrictEqual([ran, ended], [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3]])

      yield* first.kill
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(ended, [0, 1, 2, 3])
      const second = yield* FanoutTest.process({ jobs: [Walk] }, walk)
      yield* FanoutTest.settle
      yield* TestClock.adjust("2 minutes")
      const handle = yield* second.manager.attach(Walk, id)
      assert.deepStrictEqual(yield* handle.await, [0, 1, 4, 9, 16, 25])
      assert.deepStrictEqual(ran, [0, 1, 2, 3, 4, 5, 4, 5])
      assert.lengthOf(yield* second.pools.status, 4)
    }).pipe(Effect.provide(MemoryJobStore.layer)))
})
