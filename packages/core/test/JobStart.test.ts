import { assert, describe, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import { type JobHandle, JobManager } from "@fanout/core/JobManager"
import * as JobStore from "@fanout/core/JobStore"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { process } from "./managers.ts"
import { onStores } from "./stores.ts"

class Refused extends Schema.TaggedError<Refused>("test/Refused")("Refused", { n: Schema.Int }) {}

const Halves = Job.make("test/Halves", {
  payload: Schema.Array(Schema.Int),
  success: Schema.Array(Schema.Number),
  error: Refused
})

/** Halves numbers, notes each that it halves, and refuses odd ones as long as it is strict. */
const halving = (world: { strict: boolean; readonly halved: Array<number> }) =>
  Halves.toLayer((numbers) =>
    TaskDispatcher.use(({ forEach }) =>
      forEach("halves", numbers, (n) =>
        Effect.suspend(() => {
          world.halved.push(n)
          return world.strict && n % 2 === 1 ? Effect.fail(new Refused({ n })) : Effect.succeed(n / 2)
        }), { success: Schema.Number, error: Refused, concurrency: 1 })
    )
  )

const suite = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`a start (${backend})`, () => {
    const test = <A, E2>(name: string, body: () => Effect.Effect<A, E2, JobStore.JobStore | Scope.Scope>) =>
      it.effect(name, () => body().pipe(Effect.provide(Layer.fresh(store))))

    const open = Effect.gen(function*() {
      const world = { strict: true, halved: new Array<number>() }
      const { jobs } = yield* process([Halves], halving(world))
      const during = <A, E2>(effect: Effect.Effect<A, E2, JobManager>) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(Effect.provideService(effect, JobManager, jobs))
          yield* Effect.repeat(TestClock.adjust("250 millis"), { times: 20 })
          return yield* Fiber.await(fiber)
        })
      const handleOf = (exit: Exit.Exit<JobHandle<unknown, unknown>, unknown>) =>
        Exit.isSuccess(exit) ? exit.value : assert.fail(Cause.pretty(exit.cause))
      return { ...world, world, jobs, during, handleOf }
    })

    test("by execute is the same job for the same payload, until it has succeeded", () =>
      Effect.gen(function*() {
        const { during, jobs, world } = yield* open
        const first = yield* during(Halves.execute([2, 3, 4]))
        assert.deepStrictEqual(first, Exit.fail(new Refused({ n: 3 })))

        world.strict = false
        assert.deepStrictEqual(yield* during(Halves.execute([2, 3, 4])), Exit.succeed([1, 1.5, 2]))
        assert.deepStrictEqual(world.halved, [2, 3, 3, 4])
        assert.deepStrictEqual(yield* during(Halves.execute([2, 3, 4])), Exit.succeed([1, 1.5, 2]))
        assert.deepStrictEqual(world.halved, [2, 3, 3, 4])
        assert.lengthOf(yield* jobs.list(), 1)

        assert.deepStrictEqual(yield* during(Halves.execute([2])), Exit.succeed([1]))
        assert.lengthOf(yield* jobs.list(), 2)
      }))

    test("goes on as ifOver says with a job that has succeeded", () =>
      Effect.gen(function*() {
        const { during, handleOf } = yield* open
        const first = handleOf(yield* during(Halves.start([2], { ifOver: "retry" })))
        assert.isTrue(first.started)
        const existing = handleOf(yield* during(Halves.start([2], { ifOver: "existing" })))
        assert.deepInclude(existing, { id: first.id, started: false })
        const retried = handleOf(yield* during(Halves.start([2], { ifOver: "retry" })))
        assert.deepInclude(retried, { id: first.id, started: false })
        const refused = yield* during(Effect.flip(Halves.start([2], { ifOver: "refuse" })))
        assert.match(String(Exit.isSuccess(refused) && refused.value), /is Completed: nothing is started/)
        const fresh = handleOf(yield* during(Halves.start([2])))
        assert.isTrue(fresh.started)
        assert.notStrictEqual(fresh.id, first.id)
      }))

    test("starts a new job after a cancelled one, or gives that, as ifOver says", () =>
      Effect.gen(function*() {
        const { during, handleOf, jobs } = yield* open
        const first = handleOf(yield* during(Halves.start([2], { ifOver: "retry", runAt: 1e9 })))
        yield* jobs.cancel(first.id)
        assert.strictEqual((yield* jobs.get(first.id)).state._tag, "Cancelled")
        assert.strictEqual(handleOf(yield* during(Halves.start([2], { ifOver: "existing" }))).id, first.id)
        const second = handleOf(yield* during(Halves.start([2], { ifOver: "retry" })))
        assert.isTrue(second.started)
      }))

    test("gives a job that is not over, whatever ifOver says", () =>
      Effect.gen(function*() {
        const { during, handleOf } = yield* open
        const first = handleOf(yield* during(Halves.start([2], { ifOver: "refuse", runAt: 1e9 })))
        for (const ifOver of ["existing", "retry", "refuse"] as const) {
          assert.deepInclude(handleOf(yield* during(Halves.start([2], { ifOver }))), { id: first.id, started: false })
        }
      }))

    test("resumes a job that was paused, by execute or where ifPaused says so", () =>
      Effect.gen(function*() {
        const { during, handleOf, jobs, world } = yield* open
        world.strict = false
        const { id } = handleOf(yield* during(Halves.start([2], { ifOver: "retry", runAt: 6_000 })))
        yield* jobs.pause(id)
        yield* during(Halves.start([2], { ifOver: "retry" }))
        assert.strictEqual((yield* jobs.get(id)).state._tag, "Paused")
        yield* during(Halves.start([2], { ifOver: "retry", ifPaused: "resume" }))
        assert.strictEqual((yield* jobs.get(id)).state._tag, "Completed")

        const other = handleOf(yield* during(Halves.start([4], { ifOver: "retry", runAt: 21_000 })))
        yield* jobs.pause(other.id)
        assert.deepStrictEqual(yield* during(Halves.execute([4])), Exit.succeed([2]))
        assert.strictEqual((yield* jobs.get(other.id)).state._tag, "Completed")
      }))

    test("by execute withdraws a pause that the owner has not carried out", () =>
      Effect.gen(function*() {
        const Slow = Job.make("test/Slow", { payload: Schema.Int, success: Schema.Int })
        const { jobs } = yield* process([Slow], Slow.toLayer((n) => Effect.as(Effect.sleep("20 seconds"), n)))
        const handle = yield* jobs.start(Slow, 7, { ifOver: "retry" })
        yield* TestClock.adjust("1 second")
        yield* handle.pause
        assert.deepStrictEqual((yield* jobs.get(handle.id)).request, Option.some("Pause"))
        const executed = yield* Effect.forkChild(Effect.provideService(Slow.execute(7), JobManager, jobs))
        yield* Effect.repeat(TestClock.adjust("250 millis"), { times: 100 })
        assert.strictEqual(yield* Fiber.join(executed), 7)
        assert.lengthOf(yield* jobs.list(), 1)
      }))

    test("by execute is the same job, whatever the order of the payload's keys", () =>
      Effect.gen(function*() {
        const Sum = Job.make("test/Sum", {
          payload: Schema.Record(Schema.String, Schema.Int),
          success: Schema.Int
        })
        const { jobs } = yield* process([Sum], Sum.toLayer((of) => Effect.succeed((of["a"] ?? 0) + (of["b"] ?? 0))))
        for (const payload of [{ a: 1, b: 2 }, { b: 2, a: 1 }]) {
          const sum = yield* Effect.forkChild(Effect.provideService(Sum.execute(payload), JobManager, jobs))
          yield* Effect.repeat(TestClock.adjust("250 millis"), { times: 8 })
          assert.strictEqual(yield* Fiber.join(sum), 3)
        }
        assert.lengthOf(yield* jobs.list(), 1)
      }))

    test("of all is of all or none, in order, and gives the active jobs of the same keys", () =>
      Effect.gen(function*() {
        const Fetch = Job.make("test/Fetch", {
          payload: Schema.Struct({ url: Schema.String, account: Schema.String }),
          idempotencyKey: ({ url }) => url,
          exclusiveKey: ({ account }) => account
        })
        const { jobs } = yield* process([Fetch], Fetch.toLayer(() => Effect.never))
        const startAll = (...urls: ReadonlyArray<string>) =>
          jobs.startAll(Fetch, urls.map((url) => ({ url, account: url.slice(0, 1) })), { tags: ["nightly", "nightly"] })

        const first = yield* startAll("a1", "b1", "a1")
        assert.deepStrictEqual(first.map(({ started }) => started), [true, true, false])
        assert.strictEqual(first[2]?.id, first[0]?.id)
        const second = yield* startAll("b1", "c1")
        assert.deepStrictEqual(second.map(({ started }) => started), [false, true])
        assert.strictEqual(second[0]?.id, first[1]?.id)
        assert.match(String(yield* Effect.flip(startAll("d1", "a2", "e1"))), new RegExp(`${first[0]?.id}`))
        assert.match(String(yield* Effect.flip(startAll("d1", "d2"))), /works on the same things/)

        const listed = yield* jobs.list({ tag: "nightly" })
        assert.deepStrictEqual(listed.map(({ tags }) => tags), [["nightly"], ["nightly"], ["nightly"]])
        assert.deepStrictEqual(yield* startAll(), [])
      }))

    test("of all goes by ifOver for each of them", () =>
      Effect.gen(function*() {
        const { during, jobs, world } = yield* open
        world.strict = false
        yield* during(Halves.execute([2]))
        const started = yield* during(Halves.startAll([[2], [4]], { ifOver: "existing" }))
        assert.deepStrictEqual(
          Exit.isSuccess(started) && started.value.map(({ started }) => started),
          [false, true]
        )
        assert.deepStrictEqual(world.halved, [2, 4])
        assert.lengthOf(yield* jobs.list(), 2)
      }))

    test("later waits for its time, also where it is paused meanwhile", () =>
      Effect.gen(function*() {
        const { during, handleOf, jobs, world } = yield* open
        const { id } = handleOf(yield* during(Halves.start([2], { runAt: new Date(60_000) })))
        yield* jobs.pause(id)
        yield* jobs.resume(id)
        yield* TestClock.setTime(50_000)
        yield* during(Effect.void)
        assert.deepStrictEqual(world.halved, [])
        assert.strictEqual((yield* jobs.get(id)).availableAt, 60_000)
        yield* TestClock.adjust("30 seconds")
        yield* during(Effect.void)
        assert.deepStrictEqual(world.halved, [2])
      }))

    test("gives a job that ends while it is looked for, and starts no second one", () =>
      Effect.gen(function*() {
        const Slow = Job.make("test/Slow", { payload: Schema.Int, success: Schema.Int })
        const { jobs } = yield* process([Slow], Slow.toLayer((n) => Effect.as(Effect.sleep("2 seconds"), n))).pipe(
          Effect.updateService(JobStore.JobStore, (store) => ({
            ...store,
            list: (filter) => Effect.tap(store.list(filter), () => Effect.sleep("5 seconds"))
          }))
        )
        const first = yield* Effect.forkChild(jobs.start(Slow, 7, { ifOver: "existing" }))
        yield* Effect.repeat(TestClock.adjust("250 millis"), { times: 24 })
        const second = yield* Effect.forkChild(Effect.provideService(Slow.execute(7), JobManager, jobs))
        yield* Effect.repeat(TestClock.adjust("250 millis"), { times: 40 })

        assert.strictEqual(yield* Fiber.join(second), 7)
        const found = yield* (yield* JobStore.JobStore).list({ limit: 10 })
        assert.deepStrictEqual(found.map(({ id }) => id), [(yield* Fiber.join(first)).id])
      }))

    test("by execute that nobody runs says so, once for each name", () =>
      Effect.gen(function*() {
        const logged: Array<unknown> = []
        const logger = Logger.make<unknown, void>(({ message }) => void logged.push(message))
        const { jobs } = yield* process([], Layer.empty, { claim: "none" })
        const executed = Effect.forEach([[2], [4]], (payload) => Halves.execute(payload), { concurrency: 2 }).pipe(
          Effect.provideService(JobManager, jobs),
          Effect.provide(Logger.layer([logger]))
        )
        const waiting = yield* Effect.forkChild(executed)
        yield* Effect.repeat(TestClock.adjust("250 millis"), { times: 36 })
        assert.deepStrictEqual(logged, [])
        yield* Effect.repeat(TestClock.adjust("250 millis"), { times: 80 })
        assert.lengthOf(logged, 1)
        assert.match(String(logged), /Jobs of "test\/Halves" wait, and no process runs one/)

        const world = { strict: false, halved: [] }
        yield* process([Halves], halving(world))
        yield* Effect.repeat(TestClock.adjust("250 millis"), { times: 20 })
        assert.deepStrictEqual(yield* Fiber.join(waiting), [[1], [2]])
      }))

    test("by execute inside of a job names the way out", () =>
      Effect.gen(function*() {
        const Outer = Job.make("test/Outer", {})
        const world = { strict: true, halved: [] }
        const one: { jobs?: JobManager["Service"] } = {}
        const outer = Outer.toLayer(() =>
          Effect.suspend(() =>
            one.jobs === undefined
              ? Effect.die("too early")
              : Effect.orDie(Halves.execute([2]).pipe(Effect.provideService(JobManager, one.jobs), Effect.asVoid))
          )
        )
        const { jobs } = yield* process([Outer, Halves], Layer.merge(outer, halving(world)))
        one.jobs = jobs
        const handle = yield* jobs.start(Outer, undefined)
        yield* Effect.repeat(TestClock.adjust("250 millis"), { times: 20 })

        assert.match(String(yield* Effect.flip(handle.await)), /can't be executed inside of a job: use ChildJobs.run/)
      }))
  })

onStores(suite)
