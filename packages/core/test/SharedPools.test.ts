import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import * as JobState from "@fanout/core/JobState"
import type * as JobStore from "@fanout/core/JobStore"
import type { Element } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { type Process, process } from "./managers.ts"
import { onStores } from "./stores.ts"

const items = 30
const options = { payload: { n: Schema.Number }, key: ({ n }: { readonly n: number }) => `${n}`, pool: "shared" }
const Light = Task.make("test/Light", options)
const Heavy = Task.make("test/Heavy", { ...options, weight: 2 })
/** Has two light ones run. */
const Nesting = Task.make("test/Nesting", options)
class Tasks extends RpcGroup.make(Light, Heavy, Nesting) {}

const success = { success: Schema.Number }
const jobs = [
  Job.make("test/ManyLight", success),
  Job.make("test/ManyHeavy", success),
  Job.make("test/ManyNesting", success)
] as const
const [ManyLight, ManyHeavy, ManyNesting] = jobs

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const Step = Schema.Struct({
  /** In steps of 50 ms. */
  after: int(0, 10),
  what: Schema.Literals(["pauseAll", "resumeAll", "kill", "shutDown", "open", "resize", "limit"]),
  /** The new size, or limit, or which process. */
  at: int(1, 4)
})

const source = (after: Option.Option<string>) => {
  const first = Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 })
  return Stream.range(first, items - 1).pipe(
    Stream.take(items - first),
    Stream.map((n): Element<{ readonly n: number }> => ({ _tag: "Item", cursor: `${n}`, payload: { n } }))
  )
}

/** A process with one pool that its three jobs share, and what is in use of that. */
class Sharing {
  size: number
  held = 0
  running = 0
  isOver = false
  readonly overdrawn: Array<string> = []

  constructor(size: number) {
    this.size = size
  }

  private hold(weight: number): void {
    if (this.held > 0 && this.held + weight > this.size) {
      this.overdrawn.push(`${this.held} and ${weight} of ${this.size}`)
    }
    this.held += weight
  }

  private use<A, E>(weight: number, effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.acquireUseRelease(
      Effect.sync(() => this.hold(weight)),
      () => effect,
      () =>
        Effect.sync(() => {
          this.held -= weight
        })
    )
  }

  private task<E>(effect: Effect.Effect<void, E>): Effect.Effect<void, E> {
    return Effect.acquireUseRelease(
      Effect.sync(() => this.running++),
      () => effect,
      () => Effect.sync(() => this.running--)
    )
  }

  get programs() {
    const work = Effect.andThen(Effect.sleep(40), Interrupter.check)
    const tasks: Layer.Layer<Task.Handler<typeof Light | typeof Heavy | typeof Nesting>> = Tasks.toLayer({
      "test/Light": () => this.task(this.use(1, work)),
      "test/Heavy": () => this.task(this.use(2, work)),
      "test/Nesting": ({ n }) =>
        this.task(Effect.gen({ self: this }, function*() {
          yield* this.use(1, work)
          const dispatcher = yield* Effect.orDie(Effect.fromOption(yield* TaskDispatcher.Current))
          yield* Effect.forEach([1, 2], () => dispatcher.run(Light, { n }), { concurrency: 2, discard: true }).pipe(
            Effect.provide(tasks)
          )
          // A task that is to stop may come to its safe point without permits.
          yield* Option.isNone(yield* Interrupter.reason) ? this.use(1, work) : work
        }))
    })
    const run = (task: typeof Light | typeof Heavy | typeof Nesting) =>
      TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("items", task, source, { concurrency: 6, flushEvery: 4 })).pipe(
        Effect.map(({ done }) => done)
      )
    return Layer.mergeAll(
      ManyLight.toLayer(() => run(Light)),
      ManyHeavy.toLayer(() => run(Heavy)),
      ManyNesting.toLayer(() => run(Nesting))
    ).pipe(Layer.provide(tasks))
  }
}

const open = Effect.fnUntraced(function*(size: number, claim: "all" | "none") {
  const sharing = new Sharing(size)
  const timing = { leaseTtl: 3000, pollInterval: 200, grace: 300, concurrency: 3 }
  // Not the test's own: a process that is killed never comes to its end.
  const opened = yield* Scope.provide(
    process(jobs, sharing.programs, { ...timing, claim }, { shared: size }),
    yield* Scope.make()
  )
  return { ...opened, sharing }
})
type Opened = Effect.Success<ReturnType<typeof open>>

/** Asks something of all jobs that are not over. */
const askAll = Effect.fnUntraced(function*({ jobs }: Process, ask: "pause" | "resume") {
  for (const { id, state } of yield* jobs.list()) {
    if (!JobState.isTerminal(state)) yield* Effect.ignore(jobs[ask](id))
  }
})

/** Lets one thing happen. */
const act = Effect.fnUntraced(function*(opened: Array<Opened>, { at, what }: typeof Step.Type, size: number) {
  const [observer] = opened
  const alive = opened.filter(({ sharing }, n) => n > 0 && !sharing.isOver)
  const one = alive[at % Math.max(alive.length, 1)]
  if (observer === undefined) return
  switch (what) {
    case "pauseAll":
      yield* askAll(observer, "pause")
      yield* TestClock.adjust("1 second")
      for (const { sharing } of alive) assert.strictEqual(sharing.running, 0, "runs a second after it was paused")
      return
    case "resumeAll":
      return yield* askAll(observer, "resume")
    case "open":
      if (alive.length < 3) opened.push(yield* open(size, "all"))
      return
    case "limit":
      for (const { id } of yield* observer.jobs.list()) {
        yield* Effect.ignore(observer.jobs.set(id, { priority: at - 2, limits: { concurrency: at } }))
      }
      return
  }
  if (one === undefined) return
  if (what === "resize") {
    one.sharing.size = at
    yield* one.pools.resize("shared", at)
  } else {
    one.sharing.isOver = true
    yield* what === "kill" ? one.kill : Effect.forkDetach(one.close)
  }
})

/** Runs three jobs through what happens to them and their pool, to their end. */
const runThrough = Effect.fnUntraced(
  function*(size: number, steps: ReadonlyArray<typeof Step.Type>) {
    const opened = [yield* open(size, "none"), yield* open(size, "all")]
    const [observer = assert.fail("nobody")] = opened
    const { start } = observer.jobs
    yield* start(ManyLight, undefined)
    yield* start(ManyHeavy, undefined, { priority: 1 })
    yield* start(ManyNesting, undefined, { priority: -1, limits: { concurrency: 2 } })
    yield* settle
    for (const step of steps) {
      yield* TestClock.adjust(step.after * 50 + 3)
      yield* act(opened, step, size)
      yield* settle
    }
    opened.push(yield* open(size, "all"))
    let records = yield* observer.jobs.list()
    for (let i = 0; i < 60 && !records.every(({ state }) => JobState.isTerminal(state)); i++) {
      yield* askAll(observer, "resume")
      yield* TestClock.adjust("1 second")
      records = yield* observer.jobs.list()
    }

    for (const { exit, state } of records) {
      assert.deepStrictEqual([state._tag, Option.getOrUndefined(exit)], [
        "Completed",
        { _tag: "Success", value: items }
      ])
    }
    for (const { close } of opened) yield* Effect.forkDetach(close)
    yield* TestClock.adjust("10 seconds")
    for (const { pools, sharing } of opened) {
      assert.deepStrictEqual(sharing.overdrawn, [])
      const shared = (yield* pools.status).find(({ name }) => name === "shared")
      assert.deepStrictEqual([sharing.running, shared?.held, shared?.waiting], [0, 0, 0])
    }
  },
  Effect.scoped,
  Effect.provide(Layer.fresh(TestClock.layer()))
)

const sharedPools = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`three jobs on a pool that they share (${backend})`, () => {
    it.effect.prop(
      "pause and resume together under load, and end whole, whatever becomes of the pool and its processes",
      { size: int(1, 4), steps: Schema.Array(Step).check(Schema.isMaxLength(10)) },
      ({ size, steps }) => Effect.provide(runThrough(size, steps), Layer.fresh(store)),
      { arbitrary: { runs: runs(25), size: 40 } }
    )

    it.effect("need no permits to come to a safe point where they are to stop", () =>
      runThrough(4, [
        { after: 9, what: "pauseAll", at: 1 },
        { after: 0, what: "resumeAll", at: 1 },
        { after: 8, what: "resize", at: 1 },
        { after: 0, what: "resize", at: 2 },
        { after: 3, what: "resumeAll", at: 1 },
        { after: 3, what: "shutDown", at: 4 }
      ]).pipe(Effect.provide(Layer.fresh(store))))
  })

onStores(sharedPools)
