import { assert, describe, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import { JobManager } from "@fanout/core/JobManager"
import { Pools } from "@fanout/core/Pools"
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
})
