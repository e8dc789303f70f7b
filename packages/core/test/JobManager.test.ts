import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import * as JobManager from "@fanout/core/JobManager"
import * as JobStore from "@fanout/core/JobStore"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

class Broken extends Schema.TaggedError<Broken>("test/Broken")("Broken", { what: Schema.String }) {}

const Double = Job.make("test/Double", {
  payload: Schema.Struct({ n: Schema.Number }),
  success: Schema.Number,
  error: Broken,
  idempotencyKey: ({ n }) => `double ${n}`,
  exclusiveKey: ({ n }) => `${n % 10}`
})

/** Runs until it is stopped, and stops at its next safe point. */
const Patient = Job.make("test/Patient", { success: Schema.Literal("done") })

const patient = Patient.toLayer(() =>
  Effect.gen(function*() {
    while (true) {
      yield* Effect.sleep(10)
      yield* Interrupter.check
    }
  })
)

type Service = JobManager.JobManager["Service"]

/** Another process on the same store: a manager in a scope of its own. */
const manager = <const Jobs extends ReadonlyArray<Job.Any>>(
  jobs: Jobs,
  programs: Layer.Layer<Job.ToHandler<Jobs[number]>>,
  options: Omit<JobManager.Options<Jobs>, "jobs"> = {},
  liveness: Layer.Layer<OwnerLiveness.OwnerLiveness> = Layer.fresh(OwnerLiveness.layerBlind)
): Effect.Effect<
  { readonly jobs: Service; readonly close: Effect.Effect<void> },
  JobStoreErrorOf,
  JobStore.JobStore | Scope.Scope
> =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const context = yield* JobManager.layer({ ...options, jobs }).pipe(
      Layer.provide(programs),
      Layer.provide(Layer.fresh(Pools.layer())),
      Layer.provide(liveness),
      Layer.buildWithScope(scope)
    )
    return { jobs: Context.get(context, JobManager.JobManager), close: Scope.close(scope, Exit.void) }
  })

type JobStoreErrorOf = Effect.Error<ReturnType<JobStore.JobStore["Service"]["get"]>>

const fresh = Effect.provide(Layer.fresh(JobStore.layerMemory))

const stateOf = (jobs: Service, id: Parameters<Service["get"]>[0]) =>
  Effect.map(jobs.get(id), ({ state }) => state._tag)

describe("JobManager", () => {
  it.effect("runs a job and gives its success", () =>
    Effect.gen(function*() {
      const { jobs } = yield* manager(
        [Double],
        Double.toLayer(({ n }) =>
          Effect.gen(function*() {
            const context = yield* JobContext
            yield* context.log("Info", `attempt ${context.attempt}, token ${context.token}`)
            yield* Progress.total("items", 1)
            return n * 2
          })
        )
      )
      const handle = yield* jobs.start(Double, { n: 21 })
      const events = yield* Effect.forkChild(Stream.runCollect(handle.watch))
      assert.isTrue(handle.started)
      assert.strictEqual(yield* handle.await, 42)
      const record = yield* jobs.get(handle.id)
      assert.deepStrictEqual(record.state, { _tag: "Completed", attempt: 1, tries: 0 })
      assert.deepStrictEqual(record.lease, Option.none())
      assert.deepStrictEqual(record.finishedAt, Option.some(0))
      yield* TestClock.adjust("1 second")
      const last = (yield* Fiber.join(events)).at(-1)
      assert.strictEqual(last?._tag === "State" ? last.record.state._tag : "", "Completed")
      const lines = yield* Stream.runCollect(jobs.logs(handle.id))
      assert.deepStrictEqual(lines.map(({ message }) => message).filter((_) => _.startsWith("attempt")), [
        "attempt 1, token 1"
      ])
    }).pipe(fresh))

  it.effect("gives a typed error, and the job's own reason where it died", () =>
    Effect.gen(function*() {
      const { jobs } = yield* manager(
        [Double],
        Double.toLayer(({ n }) => n === 1 ? Effect.fail(new Broken({ what: "one" })) : Effect.die(new Error("boom")))
      )
      const one = yield* jobs.start(Double, { n: 1 })
      assert.deepStrictEqual(yield* Effect.flip(one.await), new Broken({ what: "one" }))
      const two = yield* jobs.start(Double, { n: 2 })
      const error = yield* Effect.flip(two.await)
      assert.instanceOf(error, JobManager.JobNotCompleted)
      assert.strictEqual((yield* jobs.get(two.id)).state._tag, "Failed")
      assert.include(error.message, "boom")
    }).pipe(fresh))
})
