import { assert, describe, it } from "@effect/vitest"
import * as ChildJobs from "@fanout/core/ChildJobs"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import { JobManagerError, JobNotCompleted } from "@fanout/core/JobManager"
import type { JobStore } from "@fanout/core/JobStore"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { type Process, process } from "./managers.ts"
import { onStores } from "./stores.ts"

const Work = Job.make("test/Work", { payload: Schema.Number, success: Schema.Void })
const Family = Job.make("test/Family", {
  payload: Schema.Number,
  success: Schema.Void,
  error: Schema.Union([JobManagerError, JobNotCompleted])
})

const family = Family.toLayer((count) =>
  Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) => ChildJobs.run(`${n}`, Work, n), {
    concurrency: "unbounded",
    discard: true
  })
)

const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

/** Processes that work for a minute on each job, and how many jobs each of them works on. */
const world = Effect.gen(function*() {
  const working: Array<number> = []
  const join = (concurrency = 4) =>
    Effect.suspend(() => {
      const own = working.push(0) - 1
      const count = (n: number) => Effect.sync(() => (working[own] = (working[own] ?? 0) + n))
      const minute = Effect.forEach(
        Array.from({ length: 600 }),
        () => Effect.andThen(Effect.sleep(100), Interrupter.check),
        { discard: true }
      )
      const work = Work.toLayer(() => Effect.acquireUseRelease(count(1), () => minute, () => count(-1)))
      return process([Work, Family], Layer.merge(work, family), { concurrency, leaseTtl: 6_000 })
    })
  const client = yield* process([], Layer.empty, { claim: "none" })
  const start = (count: number, { jobs }: Process = client) =>
    Effect.forEach(Array.from({ length: count }), (_, n) => jobs.start(Work, n))
  return { working, join, start, client }
})

const suite = <E>(backend: string, store: Layer.Layer<JobStore, E>) =>
  describe(`jobs of several processes (${backend})`, () => {
    const test = <A, E2>(name: string, body: () => Effect.Effect<A, E2, JobStore | Scope.Scope>) =>
      it.effect(name, () => body().pipe(Effect.provide(Layer.fresh(store))))

    test("are shared evenly while there are free places, wherever they are started", () =>
      Effect.gen(function*() {
        const { join, start, working } = yield* world
        const one = yield* join()
        yield* join()
        yield* join()
        yield* pass(300)

        yield* start(6, one)
        yield* pass(1_000)
        assert.deepStrictEqual(working, [2, 2, 2])

        yield* start(20)
        yield* pass(2_000)
        assert.deepStrictEqual(working, [4, 4, 4], "nobody waits while somebody has a free place")
      }))

    test("go to the process that has the most free places for its size", () =>
      Effect.gen(function*() {
        const { join, start, working } = yield* world
        yield* join(2)
        yield* join(6)
        yield* pass(300)

        yield* start(4)
        yield* pass(1_000)

        assert.deepStrictEqual(working, [1, 3])
      }))

    test("go to a process that joins, and to none that has left", () =>
      Effect.gen(function*() {
        const { join, start, working } = yield* world
        yield* join()
        yield* start(3)
        yield* pass(500)
        assert.deepStrictEqual(working, [3])

        const second = yield* join()
        yield* pass(300)
        yield* start(3)
        yield* pass(500)
        assert.deepStrictEqual(working, [3, 3])

        yield* second.close
        yield* start(1)
        yield* pass(250)
        assert.deepStrictEqual(working, [4, 0], "nothing is left to a process that has left")
      }))

    test("of a dead process are taken over by all others", () =>
      Effect.gen(function*() {
        const { join, start, working } = yield* world
        const first = yield* join(6)
        yield* start(6)
        yield* pass(500)
        assert.deepStrictEqual(working, [6])
        yield* join(3)
        yield* join(3)
        yield* join(3)
        yield* pass(300)

        yield* first.kill
        yield* pass(8_000)

        assert.deepStrictEqual(working, [0, 2, 2, 2])
      }))

    test("do not wait for a process that announced itself, and claims nothing", () =>
      Effect.gen(function*() {
        const { join, start, working } = yield* world
        yield* join()
        const dead = yield* join()
        yield* pass(300)
        yield* dead.kill

        yield* start(4)
        yield* pass(1_000)

        assert.deepStrictEqual(working, [4, 0])
      }))

    test("are shared as children of one job, too", () =>
      Effect.gen(function*() {
        const { client, join, working } = yield* world
        yield* join()
        yield* join()
        yield* join()
        yield* pass(300)

        yield* client.jobs.start(Family, 6)
        yield* pass(1_500)

        assert.deepStrictEqual(working, [2, 2, 2])
      }))

    test("stay with the process that alone has their program, or was told their ids", () =>
      Effect.gen(function*() {
        const { join, start, working } = yield* world
        const Other = Job.make("test/Other", { success: Schema.Void })
        const idle = yield* process([Other], Other.toLayer(() => Effect.void))
        yield* join()
        yield* pass(300)
        assert.isDefined(idle)

        yield* start(3)
        yield* pass(250)

        assert.deepStrictEqual(working, [3])
      }))
  })

onStores(suite)
