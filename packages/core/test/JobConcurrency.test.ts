import { assert, describe, it } from "@effect/vitest"
import * as ChildJobs from "@fanout/core/ChildJobs"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import { JobManagerError, JobNotCompleted } from "@fanout/core/JobManager"
import type { JobStore } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { settle } from "@fanout/core/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { type Process, process } from "./managers.ts"
import { onStores } from "./stores.ts"

/** Works for its milliseconds. */
const Import = Job.make("test/Import", { payload: Schema.Number, success: Schema.Void })
const Other = Job.make("test/Other", { success: Schema.Void })
/** Has one child of its own kind for each generation below it. */
const Nested = Job.make("test/Nested", {
  payload: Schema.Number,
  success: Schema.Number,
  error: Schema.Union([JobManagerError, JobNotCompleted])
})

const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

class Counter {
  now = 0
  most = 0
  readonly counted = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => (this.most = Math.max(this.most, ++this.now))),
      () => effect,
      () => Effect.sync(() => this.now--)
    )
}

/** Joins with all programs, and counts how many imports run at the same time. */
const joining = (counter: Counter) => {
  const programs = Layer.mergeAll(
    Import.toLayer((millis) =>
      counter.counted(Effect.forEach(
        Array.from({ length: Math.ceil(millis / 50) }),
        () => Effect.andThen(Effect.sleep(50), Interrupter.check),
        { discard: true }
      ))
    ),
    Other.toLayer(() => Effect.void),
    Nested.toLayer((below) =>
      below === 0 ? Effect.succeed(0) : Effect.map(ChildJobs.run("child", Nested, below - 1), (n) => n + 1)
    )
  )
  return process([Import, Other, Nested], programs, { leaseTtl: 4_000 })
}

const stateOf = ({ jobs }: Process, { id }: { readonly id: Parameters<Process["jobs"]["get"]>[0] }) =>
  Effect.map(jobs.get(id), ({ state }) => state._tag)

const Action = Schema.TaggedUnion({
  Start: { count: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 6 })), millis: Schema.Literals([10, 700]) },
  Join: {},
  Close: { process: Schema.Literals([0, 1, 2]) },
  Kill: { process: Schema.Literals([0, 1, 2]) },
  Pause: { job: Schema.Literals([0, 3, 5]) },
  Resume: { job: Schema.Literals([0, 3, 5]) },
  Cancel: { job: Schema.Literals([1, 2, 7]) },
  Pass: { millis: Schema.Literals([60, 500, 3_000, 9_000]) }
})

/** Performs the actions, then lets everything come to its end. Gives the states that are left. */
const perform = Effect.fnUntraced(
  function*(most: number, counter: Counter, actions: ReadonlyArray<typeof Action.Type>) {
    const client = yield* process([], Layer.empty, { claim: "none" })
    yield* client.jobs.setConcurrency(Import.name, most)
    const processes = yield* Effect.replicateEffect(joining(counter), 3)
    const started: Array<Effect.Success<ReturnType<typeof client.jobs.start>>> = []
    const ofJob = (job: number, f: (job: (typeof started)[number]) => Effect.Effect<void, unknown>) => {
      const found = started[job]
      return found === undefined ? Effect.void : Effect.ignore(f(found))
    }
    for (const action of actions) {
      yield* Action.match(action, {
        Start: ({ count, millis }) =>
          Effect.forEach(
            Array.from({ length: count }),
            () => Effect.map(client.jobs.start(Import, millis), (job) => void started.push(job)),
            { discard: true }
          ),
        Join: () => Effect.map(joining(counter), (one) => void processes.push(one)),
        Close: ({ process }) => processes[process]?.close ?? Effect.void,
        Kill: ({ process }) => processes[process]?.kill ?? Effect.void,
        Pause: ({ job }) => ofJob(job, ({ pause }) => pause),
        Resume: ({ job }) => ofJob(job, ({ resume }) => resume),
        Cancel: ({ job }) => ofJob(job, ({ cancel }) => cancel),
        Pass: ({ millis }) => pass(millis)
      })
      yield* settle
    }
    yield* joining(counter)
    yield* Effect.forEach(started, ({ resume }) => Effect.ignore(resume))
    yield* pass(60_000)
    return yield* Effect.forEach(started, (job) => stateOf(client, job))
  }
)

const suite = <E>(backend: string, store: Layer.Layer<JobStore, E>) =>
  describe(`a concurrency of all processes (${backend})`, () => {
    const alone = <A, E2>(body: Effect.Effect<A, E2, JobStore | Scope.Scope>) =>
      Effect.scoped(body).pipe(Effect.provide(Layer.fresh(store)))
    const test = <A, E2>(name: string, body: () => Effect.Effect<A, E2, JobStore | Scope.Scope>) =>
      it.effect(name, () => alone(body()))

    it.effect.prop(
      "is kept under kills, pauses and cancels, and every job comes to its end",
      { most: Schema.Literals([1, 2, 5]), actions: Schema.Array(Action).check(Schema.isMaxLength(12)) },
      ({ actions, most }) =>
        Effect.gen(function*() {
          const counter = new Counter()
          const left = yield* alone(perform(most, counter, actions))

          assert.isAtMost(counter.most, most)
          assert.strictEqual(counter.now, 0)
          for (const state of left) assert.include(["Completed", "Cancelled"], state)
        }),
      { arbitrary: { runs: runs(100) } }
    )

    const unliftable = { 1: { payload: (): Schema.Json => assert.fail("it can't be lifted") } }
    for (
      const [what, lost, next] of [
        ["is of a later version than all programs", { version: 2, migrations: { 1: {} } }, {}],
        ["can't be lifted to the version of the program", {}, { version: 2, migrations: unliftable }]
      ] as const
    ) {
      test(`frees the place of a job whose owner is lost, where it ${what}`, () =>
        Effect.gen(function*() {
          const open = (version: typeof lost | typeof next) => {
            const job = Job.make(Import.name, { payload: Schema.Number, success: Schema.Void, ...version })
            const program = job.toLayer((n) => n === 1 ? Effect.never : Effect.void)
            return Effect.map(process([job], program, { leaseTtl: 4_000 }), (own) => ({ ...own, job }))
          }
          const one = yield* open(lost)
          yield* one.jobs.setConcurrency(Import.name, 1)
          const stuck = yield* one.jobs.start(one.job, 1)
          yield* pass(1_000)
          assert.strictEqual(yield* stateOf(one, stuck), "Running")
          yield* one.kill

          const two = yield* open(next)
          const job = yield* two.jobs.start(two.job, 2)
          yield* pass(10_000)

          assert.deepStrictEqual([yield* stateOf(two, stuck), yield* stateOf(two, job)], ["Queued", "Completed"])
        }))
    }

    test("holds back no job of another name behind those that wait", () =>
      Effect.gen(function*() {
        const counter = new Counter()
        const one = yield* joining(counter)
        yield* one.jobs.setConcurrency(Import.name, 1)
        const imports = yield* Effect.replicateEffect(one.jobs.start(Import, 1_000), 50)
        const other = yield* one.jobs.start(Other, undefined)

        yield* pass(300)

        assert.strictEqual(yield* stateOf(one, other), "Completed")
        assert.strictEqual(counter.now, 1)
        const [first] = imports
        assert.isDefined(first)
        yield* first.pause
        yield* pass(300)
        assert.strictEqual(yield* stateOf(one, first), "Paused")
        assert.strictEqual(counter.now, 1, "the next one has its place")
      }))

    test("is changed, let go and listed while jobs wait", () =>
      Effect.gen(function*() {
        const counter = new Counter()
        const one = yield* joining(counter)
        yield* one.jobs.setConcurrency(Import.name, 0)
        yield* Effect.replicateEffect(one.jobs.start(Import, 10_000), 4)
        yield* pass(1_000)
        assert.strictEqual(counter.now, 0)
        assert.deepStrictEqual(yield* one.jobs.concurrencies, [{ name: Import.name, most: 0 }])

        yield* one.jobs.setConcurrency(Import.name, 2)
        yield* pass(10)
        assert.strictEqual(counter.now, 2)
        yield* one.jobs.setConcurrency(Import.name, 1)
        yield* pass(1_000)
        assert.strictEqual(counter.now, 2, "what runs goes on")
        yield* one.jobs.setConcurrency(Import.name, null)
        yield* pass(10)
        assert.strictEqual(counter.now, 4)

        for (const most of [-1, 1.5, Number.NaN]) {
          const exit: Exit.Exit<void, JobStoreError> = yield* Effect.exit(one.jobs.setConcurrency("x", most))
          assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), `${most}`)
        }
      }))

    test("gives the place of a dead owner to another job once the lease is over", () =>
      Effect.gen(function*() {
        const counter = new Counter()
        const one = yield* joining(counter)
        yield* one.jobs.setConcurrency(Import.name, 1)
        yield* one.jobs.start(Import, 60_000)
        yield* pass(300)
        const two = yield* joining(counter)
        yield* two.jobs.start(Import, 60_000)
        yield* pass(300)

        yield* one.kill
        yield* pass(3_000)
        assert.strictEqual(counter.now, 0, "the owner has stopped by itself")
        yield* pass(2_000)

        assert.strictEqual(counter.now, 1)
        assert.strictEqual(counter.most, 1)
      }))

    test("lets the children of a job of the same name run", () =>
      Effect.gen(function*() {
        const one = yield* joining(new Counter())
        yield* joining(new Counter())
        yield* one.jobs.setConcurrency(Nested.name, 1)
        const nested = yield* Effect.replicateEffect(one.jobs.start(Nested, 6), 3)

        yield* pass(30_000)

        assert.deepStrictEqual(yield* Effect.forEach(nested, (job) => job.await), [6, 6, 6])
      }))
  })

onStores(suite)
