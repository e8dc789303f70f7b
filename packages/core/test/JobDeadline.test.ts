import { assert, describe, it } from "@effect/vitest"
import * as ChildJobs from "@fanout/core/ChildJobs"
import * as Job from "@fanout/core/Job"
import { JobNotCompleted } from "@fanout/core/JobManagerError"
import { Exit } from "@fanout/core/JobRecord"
import type * as JobStore from "@fanout/core/JobStore"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { process } from "./managers.ts"
import { onStores } from "./stores.ts"

class Busy extends Schema.TaggedError<Busy>("test/Busy")("Busy", {}) {}

const note = (begins: Array<number>) => Effect.map(Clock.currentTimeMillis, (at) => void begins.push(at))

const Hangs = Job.make("test/Hangs", { idempotencyKey: () => "one" })
const hanging = (begins: Array<number> = []) => Hangs.toLayer(() => Effect.andThen(note(begins), Effect.never))

const overdueAt = (at: number) => Option.some(Exit.cases.Deadline.make({ at }))

/** A record, as far as a deadline has to do with it. */
const endOf = ({ exit, state }: { readonly exit: unknown; readonly state: { readonly _tag: string } }) => [
  state._tag,
  exit
]

const suite = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`a deadline (${backend})`, () => {
    const test = <A, E2>(name: string, body: () => Effect.Effect<A, E2, JobStore.JobStore | Scope.Scope>) =>
      it.effect(name, () => body().pipe(Effect.provide(Layer.fresh(store))))

    test("ends a job in whichever process runs it", () =>
      Effect.gen(function*() {
        const begins: Array<number> = []
        const open = process([Hangs], hanging(begins), { leaseTtl: 1000 })
        const one = yield* open
        const { id } = yield* one.jobs.start(Hangs, undefined, { deadline: 20_000 })
        yield* TestClock.adjust("5 seconds")
        yield* one.close
        yield* TestClock.adjust("5 seconds")
        const two = yield* open
        yield* TestClock.adjust("9900 millis")
        assert.deepStrictEqual(endOf(yield* two.jobs.get(id)), ["Running", Option.none()])
        // A poll, the grace, and what fan-outs get to record what they did.
        yield* TestClock.adjust("3 seconds")

        assert.deepStrictEqual(endOf(yield* two.jobs.get(id)), ["Failed", overdueAt(20_000)])
        assert.lengthOf(begins, 2)
        const handle = yield* two.jobs.attach(Hangs, id)
        const error = yield* Effect.flip(handle.await)
        assert.instanceOf(error, JobNotCompleted)
        assert.match(error.message, /it was not over by 1970-01-01T00:00:20/)
      }))

    test("has a job fail that was queued or paused then, without another run", () =>
      Effect.gen(function*() {
        const begins: Array<number> = []
        const stranger = yield* process([], Layer.empty)
        const queued = yield* stranger.jobs.start(Hangs, undefined, { deadline: new Date(10_000) })
        const Other = Job.make("test/Other", {})
        const paused = yield* stranger.jobs.start(Other, undefined, { deadline: 10_000 })
        yield* paused.pause
        yield* TestClock.adjust("1 minute")
        yield* process([Hangs, Other], Layer.merge(hanging(begins), Other.toLayer(() => note(begins))))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(endOf(yield* stranger.jobs.get(queued.id)), ["Failed", overdueAt(10_000)])
        assert.deepStrictEqual(endOf(yield* stranger.jobs.get(paused.id)), ["Paused", Option.none()])
        yield* paused.resume
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(endOf(yield* stranger.jobs.get(paused.id)), ["Failed", overdueAt(10_000)])
        assert.deepStrictEqual(begins, [])
      }))

    test("leaves no try of the job's own retry that could only begin later", () =>
      Effect.gen(function*() {
        const begins: Array<number> = []
        const Fails = Job.make("test/Fails", { error: Busy, retry: Schedule.spaced("8 seconds") })
        const { jobs } = yield* process(
          [Fails],
          Fails.toLayer(() => Effect.andThen(note(begins), Effect.fail(new Busy())))
        )
        const job = yield* jobs.start(Fails, undefined, { deadline: 20_000 })
        yield* TestClock.adjust("1 second")
        assert.deepInclude((yield* jobs.get(job.id)).state, { _tag: "Queued", tries: 1, deadline: 20_000 })
        yield* TestClock.adjust("18 seconds")

        assert.deepStrictEqual((yield* jobs.get(job.id)).state, { _tag: "Failed", attempt: 1, tries: 2 })
        assert.deepStrictEqual(yield* Effect.flip(job.await), new Busy())
        assert.lengthOf(begins, 3)
      }))

    test("ends retries of tasks however many runs they have gone through, and the items can be retried", () =>
      Effect.gen(function*() {
        const world = { isBusy: true, attempts: 0 }
        const Items = Job.make("test/Items", { success: Schema.Array(Schema.Int), error: Busy })
        const open = process(
          [Items],
          Items.toLayer(() =>
            TaskDispatcher.use(({ forEach }) =>
              forEach("items", [1, 2], (n) =>
                Effect.suspend(() => {
                  if (n === 1) return Effect.succeed(n)
                  world.attempts++
                  return world.isBusy ? Effect.fail(new Busy()) : Effect.succeed(n)
                }), { success: Schema.Int, error: Busy, retry: Schedule.spaced("1 second") })
            )
          ),
          { leaseTtl: 1000 }
        )
        const one = yield* open
        const { id } = yield* one.jobs.start(Items, undefined, { deadline: 20_000 })
        yield* TestClock.adjust("12 seconds")
        yield* one.close
        const { jobs } = yield* open
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(endOf(yield* jobs.get(id)), ["Failed", overdueAt(20_000)])
        assert.isAtMost(world.attempts, 24)

        world.isBusy = false
        yield* jobs.retry(id)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* (yield* jobs.attach(Items, id)).await, [1, 2])
      }))

    test("is that of the attempt: a start that retries sets another one, and a person's retry has none", () =>
      Effect.gen(function*() {
        const { jobs } = yield* process([Hangs], hanging())
        const start = (deadline: number) => jobs.start(Hangs, undefined, { deadline, ifOver: "retry" })
        const { id } = yield* start(5000)
        // A job that is active keeps its own.
        yield* start(1000)
        yield* TestClock.adjust("4 seconds")
        assert.strictEqual((yield* jobs.get(id)).state._tag, "Running")
        yield* TestClock.adjust("6 seconds")
        assert.deepStrictEqual(endOf(yield* jobs.get(id)), ["Failed", overdueAt(5000)])

        yield* start(20_000)
        yield* TestClock.adjust("20 seconds")
        const { exit, state } = yield* jobs.get(id)
        assert.deepStrictEqual([exit, state.attempt], [overdueAt(20_000), 2])

        yield* jobs.retry(id)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual((yield* jobs.get(id)).state, { _tag: "Running", attempt: 3, tries: 0 })
      }))

    test("gives way to a cancel, and outweighs a pause", () =>
      Effect.gen(function*() {
        const cleaned: Array<string> = []
        // Programs that go on until the grace of a second is over.
        const stubborn = (name: string) => {
          const job = Job.make(name, {})
          const onCancel = () => Effect.sync(() => void cleaned.push(name))
          return { job, layer: job.toLayer(() => Effect.never, { onCancel }) }
        }
        const [one, two] = [stubborn("test/Cancelled"), stubborn("test/Paused")]
        const { jobs } = yield* process([one.job, two.job], Layer.merge(one.layer, two.layer))
        const cancelled = yield* jobs.start(one.job, undefined, { deadline: 5000 })
        const paused = yield* jobs.start(two.job, undefined, { deadline: 5000 })
        yield* TestClock.adjust("4500 millis")
        yield* cancelled.cancel
        yield* paused.pause
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual((yield* jobs.get(cancelled.id)).state._tag, "Cancelled")
        assert.deepStrictEqual(cleaned, ["test/Cancelled"])
        assert.deepStrictEqual(endOf(yield* jobs.get(paused.id)), ["Failed", overdueAt(5000)])
      }))

    test("of a parent ends its children", () =>
      Effect.gen(function*() {
        const Parent = Job.make("test/Parent", {})
        const { jobs } = yield* process(
          [Parent, Hangs],
          Layer.merge(
            hanging(),
            Parent.toLayer(() => Effect.orDie(ChildJobs.run("child", Hangs, undefined)))
          )
        )
        const { id } = yield* jobs.start(Parent, undefined, { deadline: 5000 })
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(endOf(yield* jobs.get(id)), ["Failed", overdueAt(5000)])
        const [child] = yield* jobs.list({ names: [Hangs.name] })
        assert.strictEqual(child?.state._tag, "Cancelled")
      }))

    test("is a time on the wall clock of the process that runs the job", () =>
      Effect.gen(function*() {
        const clock = yield* Clock.Clock
        const behind: Clock.Clock = Object.create(clock, {
          currentTimeMillisUnsafe: { value: () => clock.currentTimeMillisUnsafe() - 60_000 },
          currentTimeMillis: { value: Effect.map(clock.currentTimeMillis, (now) => now - 60_000) }
        })
        const { jobs } = yield* process([Hangs], hanging()).pipe(Effect.provideService(Clock.Clock, behind))
        const { id } = yield* jobs.start(Hangs, undefined, { deadline: 5000 })
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* jobs.get(id)).state._tag, "Running")
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(endOf(yield* jobs.get(id)), ["Failed", overdueAt(5000)])
      }))
  })

onStores(suite)
