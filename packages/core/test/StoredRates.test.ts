import { assert, describe, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import type { JobId } from "@fanout/core/JobId"
import * as JobStore from "@fanout/core/JobStore"
import * as Errors from "@fanout/core/JobStoreError"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import { layerSqlite } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { takeTurns } from "../src/internal/store/turns.ts"
import { process } from "./managers.ts"

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** By so much a process is ahead of a rate that was changed, and so much of a rate may be made up for. */
const aheadMillis = 600
const burstMillis = 100

/** One call of the service whose rate is kept. */
interface Call {
  readonly at: number
  readonly by: string
}

const Payload = Schema.Struct({ n: Schema.Int, millis: Schema.Natural })
const Call = Task.make("test/Call", { payload: Payload, pool: "network", rate: "api" })
const Urgent = Task.make("test/Urgent", { payload: Payload, pool: "network", rate: "api", priority: "critical" })
const Free = Task.make("test/Free", { payload: Payload, pool: "network" })
const Heavy = Task.make("test/Heavy", { payload: Payload, pool: "network", weight: 3 })
const Retried = Task.make("test/Retried", {
  payload: Payload,
  error: Schema.String,
  pool: "network",
  rate: "api",
  retry: { times: 9 }
})
const tasks = [Call, Urgent, Free, Heavy, Retried] as const
class Tasks extends RpcGroup.make(...tasks) {}

const Calling = Job.make("test/Calling", {
  payload: Schema.Struct({
    of: Schema.String,
    count: Schema.Int,
    millis: Schema.Natural,
    concurrency: Schema.Int,
    task: Schema.optionalKey(Schema.Int)
  }),
  success: Schema.Int
})

/** Handlers that note each call. */
const handlers = (calls: Array<Call>, by: string) => {
  const call = ({ millis }: typeof Payload.Type) =>
    Effect.flatMap(Clock.currentTimeMillis, (at) => {
      calls.push({ at, by })
      return millis === 0 ? Effect.void : Effect.sleep(millis)
    })
  return Tasks.toLayer({
    "test/Call": call,
    "test/Urgent": call,
    "test/Free": call,
    "test/Heavy": call,
    "test/Retried": (payload) => Effect.andThen(call(payload), Effect.fail("no"))
  })
}

const program = (calls: Array<Call>, name: string) =>
  Calling.toLayer(
    Effect.fnUntraced(function*({ concurrency, count, millis, of, task = 0 }) {
      const { fanOut } = yield* TaskDispatcher.TaskDispatcher
      const payloads = Source.map(Source.range(0, count - 1), (n) => ({ n, millis }))
      const { done } = yield* fanOut(of, tasks[task] ?? Call, payloads, { concurrency, flushEvery: 32 })
      return done
    }, Effect.orDie)
  ).pipe(Layer.provide(handlers(calls, name)))

/** A process with its calls, in a large pool. */
const open = (calls: Array<Call>, name = "one", network = 256) =>
  process([Calling], program(calls, name), { concurrency: 1 }, { network })

/** Checks that no window has too many calls. `kept` are turns that tasks could not use at their times. */
const assertKept = (calls: ReadonlyArray<Call>, rates: ReadonlyArray<readonly [number, number]>, kept = 0): void => {
  const step = 10
  const end = (calls.at(-1)?.at ?? 0) + burstMillis
  /** How many turns may have passed until the end of each step, by the highest of the rates that may hold in a step. */
  const passed = [0]
  for (let at = -burstMillis; at <= end; at += step) {
    const holding = rates.filter(([since], index) =>
      since <= at + step && (rates[index + 1]?.[0] ?? Infinity) + aheadMillis > at
    )
    passed.push((passed.at(-1) ?? 0) + Math.max(0, ...holding.map(([, perSecond]) => perSecond)) * step / 1000)
  }
  for (let first = 0; first < calls.length; first++) {
    for (let last = first + 1; last < calls.length; last += 1 + Math.floor((last - first) / 4)) {
      const [from, to] = [calls[first]?.at ?? 0, calls[last]?.at ?? 0]
      const before = passed[Math.floor(from / step)] ?? 0
      // Each change can begin one turn of its own.
      const most = (passed[Math.ceil((to + burstMillis) / step)] ?? 0) - before + rates.length + kept
      if (last - first + 1 > most + 1e-6) {
        assert.fail(`${last - first + 1} calls within ${to - from} ms, and at most ${most.toFixed(1)} may be`)
      }
    }
  }
}

const stores = { memory: Layer.fresh(MemoryJobStore.layer), SQLite: Layer.fresh(layerSqlite({ filename: ":memory:" })) }

const Plan = Schema.Struct({
  processes: Schema.Array(Schema.Struct({ concurrency: int(1, 40), millis: int(0, 300) })).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(4)
  ),
  first: int(1, 150),
  changes: Schema.Array(Schema.Struct({ after: int(1, 20), perSecond: int(0, 150) })).check(Schema.isMaxLength(4)),
  store: Schema.Literals(["memory", "SQLite"])
})

describe("a rate of the store", () => {
  it.effect.prop(
    "holds for all processes together in any window, and is used up where there is demand",
    { plan: Plan },
    ({ plan: { changes, first, processes, store } }) =>
      Effect.gen(function*() {
        const calls: Array<Call> = []
        const rates: Array<readonly [number, number]> = [[0, first]]
        const opened = yield* Effect.forEach(processes, (_, index) => open(calls, `${index}`))
        const { jobs } = opened[0] ?? assert.fail()
        yield* jobs.setRate("api", first)
        for (const [index, { concurrency, millis }] of processes.entries()) {
          yield* jobs.start(Calling, { of: `${index}`, count: 100_000, concurrency, millis })
        }
        for (const { after, perSecond } of changes) {
          yield* TestClock.adjust(100 * after)
          yield* jobs.setRate("api", perSecond)
          rates.push([yield* Clock.currentTimeMillis, perSecond])
        }
        const last = rates.at(-1)?.[1] ?? 0
        const capacity = processes.reduce((sum, { concurrency, millis }) => sum + 1000 * concurrency / (millis + 1), 0)
        yield* TestClock.adjust(1000)
        const before = calls.length
        yield* TestClock.adjust(3000)
        assertKept(calls, rates)
        if (capacity >= 2 * last) assert.isAtLeast(calls.length - before, 0.9 * 3 * last - 1)
        if (last === 0) assert.strictEqual(calls.length, before)
        // Each process gets some of it.
        const enough = 3 * last >= 30 * processes.length
        if (enough) assert.strictEqual(new Set(calls.slice(before).map(({ by }) => by)).size, processes.length)
      }).pipe(Effect.scoped, Effect.provide(stores[store])),
    { arbitrary: { runs: runs(24) } }
  )

  for (const [name, store] of Object.entries(stores)) {
    it.effect(`can be set while tasks wait, from a standstill and from a slow rate, too (${name})`, () =>
      Effect.gen(function*() {
        const calls: Array<Call> = []
        const [{ jobs }, other] = yield* Effect.all([open(calls, "one"), open(calls, "other")])
        assert.deepStrictEqual(yield* jobs.rates, [])
        yield* jobs.setRate("api", 0.001)
        yield* jobs.start(Calling, { of: "a", count: 500, concurrency: 20, millis: 0 })
        yield* other.jobs.start(Calling, { of: "b", count: 500, concurrency: 20, millis: 0 })
        const within = Effect.fnUntraced(function*(millis: number) {
          const before = calls.length
          yield* TestClock.adjust(millis)
          return calls.length - before
        })
        assert.strictEqual(yield* within(2000), 1)
        yield* other.jobs.setRate("api", 100)
        yield* TestClock.adjust(aheadMillis)
        assert.closeTo(yield* within(1000), 100, 10)
        yield* other.jobs.setRate("api", 0)
        assert.deepStrictEqual(yield* jobs.rates, [{ name: "api", perSecond: 0 }])
        yield* TestClock.adjust(aheadMillis)
        assert.strictEqual(yield* within(5000), 0)
        yield* jobs.setRate("api", 20)
        yield* TestClock.adjust(aheadMillis)
        assert.closeTo(yield* within(1000), 20, 2)
        yield* jobs.setRate("api", null)
        yield* TestClock.adjust(aheadMillis)
        assert.strictEqual(calls.length, 1000)
        assert.deepStrictEqual(yield* other.jobs.rates, [])
      }).pipe(Effect.scoped, Effect.provide(store)))
  }

  it.effect("makes no task wait before it is set, nor once it is removed", () =>
    Effect.gen(function*() {
      const calls: Array<Call> = []
      const { jobs } = yield* open(calls)
      yield* jobs.start(Calling, { of: "a", count: 10_000, concurrency: 10, millis: 100 })
      yield* TestClock.adjust("2 seconds")
      assert.isAtLeast(calls.length, 190)
      yield* jobs.setRate("api", 5)
      yield* TestClock.adjust(aheadMillis)
      const before = calls.length
      yield* TestClock.adjust("2 seconds")
      assert.closeTo(calls.length - before, 10, 1)
      yield* jobs.setRate("api", null)
      yield* TestClock.adjust(aheadMillis + 1000)
      assert.isAtLeast(calls.length - before, 100)
    }).pipe(Effect.scoped, Effect.provide(stores.memory)))

  it.effect("loses no more with a killed process than the turns that it has taken", () =>
    Effect.gen(function*() {
      const calls: Array<Call> = []
      const [one, other] = yield* Effect.all([open(calls, "one"), open(calls, "other")])
      yield* other.jobs.setRate("api", 100)
      yield* one.jobs.start(Calling, { of: "a", count: 10_000, concurrency: 50, millis: 0 })
      yield* one.jobs.start(Calling, { of: "b", count: 10_000, concurrency: 50, millis: 0 })
      yield* TestClock.adjust("3 seconds")
      const half = calls.filter(({ at, by }) => at >= 1000 && by === "one").length
      assert.closeTo(half, 100, 15)
      yield* one.kill
      yield* Effect.forkDetach(one.close)
      const before = calls.filter(({ by }) => by === "other").length
      yield* TestClock.adjust("2 seconds")
      assert.isAtLeast(calls.filter(({ by }) => by === "other").length - before, 200 - 11)
      assertKept(calls, [[0, 100]])
    }).pipe(Effect.scoped, Effect.provide(stores.memory)))

  it.effect("goes round between the jobs of a process, however many tasks of each wait", () =>
    Effect.gen(function*() {
      const calls: Array<Call> = []
      const counts = new Map<string, number>()
      const { jobs } = yield* process([Calling], program(calls, "one"), { concurrency: 3 })
      yield* jobs.setRate("api", 30)
      const ids: Array<JobId> = []
      for (const [of, concurrency] of [["wide", 60], ["narrow", 2], ["third", 4]] as const) {
        ids.push((yield* jobs.start(Calling, { of, count: 10_000, concurrency, millis: 0 })).id)
      }
      yield* TestClock.adjust("4 seconds")
      for (const id of ids) {
        const { fanOuts } = yield* jobs.progress(id)
        for (const [name, { done }] of Object.entries(fanOuts)) counts.set(name, done)
      }
      for (const  of of["wide", "narrow", "third"]) assert.closeTo(counts.get(of) ?? 0, 40, 8, of)
    }).pipe(Effect.scoped, Effect.provide(stores.memory)))

  it.effect("holds no permits of a pool for tasks that wait, and is kept where they have waited for a pool", () =>
    Effect.gen(function*() {
      const calls: Array<Call> = []
      const { jobs, pools } = yield* process([Calling], program(calls, "one"), {}, { network: 2 })
      yield* jobs.setRate("api", 0)
      const rated = yield* jobs.start(Calling, { of: "rated", count: 60, concurrency: 60, millis: 0 })
      yield* TestClock.adjust("1 second")
      const free = yield* jobs.start(Calling, { of: "free", count: 2, concurrency: 2, millis: 5000, task: 2 })
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* pools.status, { name: "network", size: 2, held: 2, waiting: 0, bounds: null })
      yield* jobs.setRate("api", 10)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(calls.length, 2)
      yield* TestClock.adjust("5 seconds")
      yield* free.await
      assertKept(calls.slice(2), [[0, 10]], 1)
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(yield* rated.await, 60)
    }).pipe(Effect.scoped, Effect.provide(stores.memory)))

  it.effect("holds no permits for tasks that have got them while no turn was there", () =>
    Effect.gen(function*() {
      const calls: Array<Call> = []
      const { jobs, pools } = yield* process([Calling], program(calls, "one"), {}, { network: 2 })
      yield* jobs.setRate("api", 10)
      yield* jobs.start(Calling, { of: "free", count: 2, concurrency: 2, millis: 3000, task: 2 })
      yield* TestClock.adjust("500 millis")
      yield* jobs.start(Calling, { of: "rated", count: 60, concurrency: 60, millis: 0 })
      yield* TestClock.adjust("1 second")
      const network = Effect.map(pools.status, (all) => all.find(({ name }) => name === "network"))
      assert.isAtLeast((yield* network)?.waiting ?? 0, 5)
      yield* jobs.setRate("api", 0)
      yield* TestClock.adjust("3 seconds")
      assert.deepInclude(yield* network, { held: 0, waiting: 0 })
      assert.isAtMost(calls.length, 2 + 2)
    }).pipe(Effect.scoped, Effect.provide(stores.memory)))

  it.effect.prop(
    "lets every task end, however tasks with it and without it, urgent and heavy ones, meet in a small pool",
    {
      jobs: Schema.Array(Schema.Struct({ task: int(0, 3), concurrency: int(1, 8), millis: int(0, 60) })).check(
        Schema.isMinLength(2),
        Schema.isMaxLength(5)
      ),
      network: int(1, 4),
      perSecond: int(20, 500)
    },
    ({ jobs: plans, network, perSecond }) =>
      Effect.gen(function*() {
        const calls: Array<Call> = []
        const { jobs, pools } = yield* process([Calling], program(calls, "one"), { concurrency: 5 }, { network })
        yield* jobs.setRate("api", perSecond)
        const started = yield* Effect.forEach(
          plans.entries(),
          ([index, plan]) => jobs.start(Calling, { of: `${index}`, count: 12, ...plan })
        )
        yield* TestClock.adjust("8 seconds")
        for (const { await: ended } of started) assert.strictEqual(yield* ended, 12)
        for (const { held, waiting } of yield* pools.status) assert.deepStrictEqual([held, waiting], [0, 0])
      }).pipe(Effect.scoped, Effect.provide(stores.memory)),
    { arbitrary: { runs: runs(40) } }
  )

  it.effect("counts each attempt", () =>
    Effect.gen(function*() {
      const calls: Array<Call> = []
      const { jobs } = yield* open(calls)
      yield* jobs.setRate("api", 10)
      yield* jobs.start(Calling, { of: "a", count: 1, concurrency: 1, millis: 0, task: 4 })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(calls.length, 10)
      assert.isAtLeast((calls[9]?.at ?? 0) - (calls[0]?.at ?? 0), 800)
    }).pipe(Effect.scoped, Effect.provide(stores.memory)))

  it.effect("lets a job be paused and cancelled at once while its tasks wait", () =>
    Effect.gen(function*() {
      const { jobs } = yield* open([])
      yield* jobs.setRate("api", 0)
      const { id } = yield* jobs.start(Calling, { of: "a", count: 100, concurrency: 10, millis: 0 })
      yield* TestClock.adjust("1 second")
      yield* jobs.pause(id)
      yield* TestClock.adjust("250 millis")
      assert.strictEqual((yield* jobs.get(id)).state._tag, "Paused")
      yield* jobs.resume(id)
      yield* TestClock.adjust("1 second")
      yield* jobs.cancel(id)
      yield* TestClock.adjust("250 millis")
      assert.strictEqual((yield* jobs.get(id)).state._tag, "Cancelled")
    }).pipe(Effect.scoped, Effect.provide(stores.memory)))

  it.effect("makes tasks wait while the store can't be read, and no longer", () =>
    Effect.gen(function*() {
      const calls: Array<Call> = []
      const store = yield* JobStore.JobStore
      const broken = { failing: true, asked: 0 }
      const cause = new Errors.StorageFailure({ operation: "read", problem: "Faulty", cause: new Error("gone") })
      const faulty = {
        ...store,
        takeTurns: (name: string, wanted: number) =>
          Effect.suspend(() => {
            broken.asked++
            return broken.failing
              ? Effect.fail(new Errors.JobStoreError({ reason: cause }))
              : store.takeTurns(name, wanted)
          })
      }
      const { jobs } = yield* Effect.provideService(open(calls), JobStore.JobStore, faulty)
      yield* jobs.setRate("api", 10)
      const job = yield* jobs.start(Calling, { of: "a", count: 5, concurrency: 5, millis: 0 })
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual([calls.length, (yield* jobs.get(job.id)).state._tag], [0, "Running"])
      assert.isAtMost(broken.asked, 5)
      broken.failing = false
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* job.await, 5)
    }).pipe(Effect.scoped, Effect.provide(stores.memory)))

  it.effect("is asked for once for many tasks", () =>
    Effect.gen(function*() {
      const store = yield* JobStore.JobStore
      let asked = 0
      const counting = {
        ...store,
        takeTurns: (name: string, wanted: number) => {
          asked++
          return store.takeTurns(name, wanted)
        }
      }
      const { jobs } = yield* Effect.provideService(open([]), JobStore.JobStore, counting)
      yield* jobs.setRate("api", 1000)
      const job = yield* jobs.start(Calling, { of: "a", count: 1000, concurrency: 200, millis: 50 })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* job.await, 1000)
      assert.isAtMost(asked, 25)
      asked = 0
      const free = yield* jobs.start(Calling, { of: "b", count: 1000, concurrency: 200, millis: 0, task: 2 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([yield* free.await, asked], [1000, 0])
    }).pipe(Effect.scoped, Effect.provide(stores.memory)))

  it.effect("is refused where it is no number, and for a task without a job", () =>
    Effect.gen(function*() {
      const { jobs } = yield* open([])
      for (const perSecond of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
        assert.include(
          String(yield* Effect.exit(jobs.setRate("api", perSecond))),
          `has to be a number from 0 to 2^53; it was given ${perSecond}`
        )
      }
      const run = Effect.flatMap(TaskDispatcher.TaskDispatcher, ({ run }) => run(Call, { n: 0, millis: 0 }))
      const exit = yield* Effect.exit(Effect.provide(run, [
        handlers([], "one"),
        Layer.provide(TaskDispatcher.layer, Pools.layer())
      ]))
      assert.include(String(exit), "Only the tasks of a job can have a rate such as \"api\"")
      yield* settle
    }).pipe(Effect.scoped, Effect.provide(stores.memory)))
})

describe("taking turns", () => {
  const Step = Schema.Struct({ after: int(0, 400), wanted: int(1, 50), jump: int(-5, 5) })

  it.effect.prop(
    "never gives too many, and makes nobody wait for long, whatever the clock does",
    { steps: Schema.Array(Step).check(Schema.isMaxLength(60)), perSecond: Schema.Literals([0.5, 3, 40, 1000]) },
    ({ perSecond, steps }) =>
      Effect.sync(() => {
        let rate = { perSecond, freeAt: 0 }
        let [time, offset, jumps] = [0, 1e6, 0]
        const turns: Array<number> = []
        for (const { after, jump, wanted } of steps) {
          time += after
          // A jump of the clock, now and then: by hours.
          if (Math.abs(jump) > 4) {
            offset += jump * 3_600_000
            jumps++
          }
          const { freeAt, turns: taken } = takeTurns(rate, wanted, time + offset)
          rate = { perSecond, freeAt }
          assert.isAtMost(taken.inMillis, 350 + taken.everyMillis)
          for (let n = 0; n < taken.count; n++) turns.push(time + Math.max(0, taken.inMillis + n * taken.everyMillis))
        }
        turns.sort((left, right) => left - right)
        for (let first = 0; first < turns.length; first++) {
          for (let last = first; last < turns.length; last++) {
            const window = (turns[last] ?? 0) - (turns[first] ?? 0)
            const most = (window + 100 + jumps * 450) * perSecond / 1000 + 1 + jumps
            assert.isAtMost(last - first + 1, most + 1e-6)
          }
        }
      }),
    { arbitrary: { runs: runs(200) } }
  )
})
