import { assert, describe, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import * as JobStore from "@fanout/core/JobStore"
import { JobStoreError, StorageFailure } from "@fanout/core/JobStoreError"
import * as JobTasks from "@fanout/core/JobTasks"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Pools from "@fanout/core/Pools"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { JobRun } from "../src/internal/fanOut/jobRun.ts"
import { decodeTasks } from "../src/internal/store/rows.ts"
import { TaskTimes } from "../src/internal/task/taskTimes.ts"
import * as ThreadPool from "../src/internal/threads/poolLayer.ts"
import { asRun, runningJob } from "./fanOutHarness.ts"
import { process } from "./managers.ts"
import { ScriptedThreads, turns } from "./threadHarness.ts"

const { countOf, quantile, upperMillis } = JobTasks

/** Milliseconds of all attempts, as the bounds of their buckets. */
const boundsOf = (histogram: JobTasks.Histogram) =>
  histogram.flatMap((count, index) => count === 0 ? [] : [[upperMillis[index] ?? 0, count] as const])

const within = (histogram: JobTasks.Histogram, least: number, most: number) =>
  assert.isTrue(
    histogram.length > 0 && boundsOf(histogram).every(([bound]) => bound >= least && bound <= most * Math.SQRT2),
    JSON.stringify(boundsOf(histogram))
  )

describe("a histogram", () => {
  it("has a bucket for any time, each up to √2 times as long as the one before", () => {
    assert.strictEqual(upperMillis.length, 48)
    assert.deepStrictEqual([upperMillis[0], upperMillis.at(-1)], [0.1, Number.POSITIVE_INFINITY])
    for (let index = 1; index < 47; index++) {
      assert.closeTo((upperMillis[index] ?? 0) / (upperMillis[index - 1] ?? 0), Math.SQRT2, 1e-9)
    }
    assert.isAbove(upperMillis.at(-2) ?? 0, 800_000)
  })

  it("tells within which time a share of the attempts lay", () => {
    const histogram = [50, 0, 45, 4, ...Array<number>(43).fill(0), 1]
    assert.strictEqual(countOf(histogram), 100)
    assert.deepStrictEqual([0, 0.5, 0.51, 0.95, 0.96, 0.99].map((share) => quantile(histogram, share)), [
      0.1,
      0.1,
      upperMillis[2],
      upperMillis[2],
      upperMillis[3],
      upperMillis[3]
    ])
    assert.strictEqual(quantile(histogram, 1), Number.POSITIVE_INFINITY)
    assert.isUndefined(quantile([], 0.5))
  })
})

describe("times of tasks", () => {
  const times = Effect.clockWith((clock) => Effect.succeed(new TaskTimes(clock)))
  const nothing: ReadonlyArray<JobTasks.TaskKind> = []

  it.effect("are put where they belong, and are added to those of earlier owners", () =>
    Effect.gen(function*() {
      const run = yield* times
      const kind = run.of("a")
      for (const millis of [-5, 0, 0.1, 0.11, 1, 1e9]) kind.add(0, millis, 1)
      const [a] = run.with(nothing)
      assert.deepStrictEqual(boundsOf(a?.running ?? []).map(([, count]) => count), [3, 1, 1, 1])
      for (const [index, bound] of upperMillis.slice(0, -1).entries()) {
        const one = (yield* times).of("b")
        one.add(bound * 0.999, bound * 1.001, 1)
        assert.deepStrictEqual([one.named("b").waiting.length, one.named("b").running.length], [index + 1, index + 2])
      }
      const earlier = [{ name: "a", waiting: [1], running: [0, 1] }, { name: "z", waiting: [2], running: [2] }]
      const [both, z] = run.with(earlier)
      assert.deepStrictEqual([both?.name, both?.waiting, both?.running.slice(0, 3)], ["a", [7], [3, 2, 0]])
      assert.deepStrictEqual(z, earlier[1])
    }))

  it.effect("are of 32 kinds and others, whoever has counted them, and take some kilobytes at most", () =>
    Effect.gen(function*() {
      const run = yield* times
      const long = "n".repeat(1000)
      for (let n = 0; n < 100; n++) {
        for (const millis of upperMillis) run.of(`${n} ${long}`).add(millis, millis, 99_999)
      }
      const kinds = run.with(nothing)
      assert.deepStrictEqual([kinds.length, kinds.at(-1)?.name], [JobTasks.mostKinds + 1, "others"])
      assert.isTrue(kinds.every(({ name }) => name.length <= 100))
      assert.isAtMost(JSON.stringify(kinds).length, 33 * (2 * 48 * 10 + 150))
      const next = yield* times
      for (const name of ["0", "x", "y"]) next.of(name).add(0, 0, 1)
      const all = next.with(kinds)
      assert.strictEqual(all.length, JobTasks.mostKinds + 1)
      const sum = (of: ReadonlyArray<JobTasks.TaskKind>) => of.reduce((sum, { running }) => sum + countOf(running), 0)
      assert.strictEqual(sum(all), sum(kinds) + 3)
    }))

  it.effect("are those of each attempt, but of one in 16 while they come fast, which counts for all", () =>
    Effect.gen(function*() {
      const kind = (yield* times).of("fast")
      const run = Effect.fnUntraced(function*(attempts: number, everyMicros: number) {
        let timed = 0
        for (let n = 0; n < attempts; n++) {
          if (n % 100 === 0) yield* TestClock.adjust(`${everyMicros * 100} micros`)
          const timer = kind.ask()
          if (timer !== undefined) timed++
          timer?.begin(false)
          timer?.end()
        }
        return timed
      })
      const all = () => countOf(kind.named("fast").running)
      assert.strictEqual(yield* run(2000, 50), 2000)
      assert.strictEqual(all(), 2000)
      assert.closeTo(yield* run(33_000, 20), 1000 + 2000, 20)
      assert.closeTo(all(), 35_000, 15)
      assert.closeTo(yield* run(5000, 50), 5000, 1000)
      assert.closeTo(all(), 40_000, 15)
    }))
})

const Crawl = Job.make("times/Crawl", { payload: Schema.Int })
const retry = Schedule.spaced("10 seconds").pipe(Schedule.upTo({ times: 1 }))
const Page = Task.make("times/Page", { payload: { n: Schema.Int }, pool: "network", error: Schema.String, retry })
const Image = Task.make("times/Image", { payload: { n: Schema.Int } })
class Pages extends RpcGroup.make(Page, Image) {}
const program = Crawl.toLayer((count) =>
  TaskDispatcher.use(({ fanOut, forEach, run, runEffect }) =>
    Effect.gen(function*() {
      yield* run(Image, { n: 0 })
      yield* runEffect(Effect.sleep("2 seconds"))
      yield* forEach("sizes", [1, 2], () => Effect.sleep("300 millis"), { success: Schema.Void })
      yield* fanOut("pages", Page, Source.fromIterable(Array.from({ length: count }, (_, n) => ({ n }))))
    }).pipe(Effect.orDie)
  )
).pipe(Layer.provide(Pages.toLayer({
  "times/Page": ({ n }) => Effect.andThen(Effect.sleep("1 second"), n === 0 ? Effect.fail("not there") : Effect.void),
  "times/Image": () => Effect.sleep("5 seconds")
})))
const pass = (seconds: number) => Effect.repeat(TestClock.adjust("250 millis"), { times: 4 * seconds - 1 })
const named = (tasks: JobTasks.JobTasks) => new Map(tasks.kinds.map((kind) => [kind.name, kind]))

describe("the tasks of a job", () => {
  it.effect("are timed by kind, across its owners: how long each attempt waits and runs", () =>
    Effect.gen(function*() {
      const { jobs } = yield* process([Crawl], program, {}, { network: 2 })
      const { id, ...handle } = yield* jobs.start(Crawl, 10)
      yield* pass(10)
      yield* handle.pause
      yield* pass(5)
      const before = named(yield* jobs.tasks(id))
      assert.strictEqual(countOf(before.get("times/Image")?.running ?? []), 1)
      yield* handle.resume
      yield* pass(40)
      assert.strictEqual((yield* jobs.get(id)).state._tag, "CompletedWithErrors")
      const tasks = yield* jobs.tasks(id)
      const kinds = named(tasks)
      assert.sameMembers(Array.from(kinds.keys()), ["times/Image", "effect", "forEach \"sizes\"", "times/Page"])
      const image = kinds.get("times/Image") ?? assert.fail()
      assert.strictEqual(countOf(image.running), 2)
      within(image.running, 5000, 5000)
      within(image.waiting, 0.1, 0.1)
      within(kinds.get("forEach \"sizes\"")?.running ?? [], 300, 300)
      const page = kinds.get("times/Page") ?? assert.fail()
      // One of them is tried twice, and one or two were stopped by the pause.
      assert.isAtLeast(countOf(page.running), 11)
      assert.isAtMost(countOf(page.running), 13)
      assert.strictEqual(countOf(page.running), countOf(page.waiting))
      assert.isAtLeast(boundsOf(page.running).find(([bound]) => bound > 1000)?.[1] ?? 0, 11)
      // Two run at a time: the last ones wait for seconds, and the pause before the second try is no wait.
      assert.isAtLeast(quantile(page.waiting, 0.8) ?? 0, 2000)
      assert.isAtMost(quantile(page.waiting, 1) ?? 0, 5000 * Math.SQRT2)
      assert.strictEqual(tasks.token, 2)
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))

  it.effect("that run on threads have the times that these tell", () =>
    Effect.gen(function*() {
      yield* runningJob("timed")
      const threads = new ScriptedThreads()
      const layer = ThreadPool.layer(Pages, { size: 1 }).pipe(Layer.provide(threads.layer))
      const building = yield* Effect.forkChild(Layer.buildWithScope(layer, yield* Scope.make()))
      yield* turns
      threads.at(0).ready("times/Page", "times/Image")
      const handlers = yield* Fiber.join(building)
      const ended = yield* asRun("timed", () =>
        Effect.gen(function*() {
          const { run } = yield* TaskDispatcher
          const all = yield* Effect.forkChild(
            Effect.all([0, 1, 2].map((n) => run(Image, { n })), { concurrency: "unbounded" })
          )
          yield* turns
          // The answer comes later than the end, and what the thread says counts.
          yield* TestClock.adjust(10)
          threads.at(0).end([[0, { done: undefined }]], { times: [4, 7] })
          yield* turns
          yield* TestClock.adjust(190)
          const both = [[0, { done: undefined }], [1, { done: undefined }]] as const
          threads.at(0).end(both, { times: [12, 40, 40, 130] })
          yield* Fiber.join(all)
          return (yield* JobRun).times.with([])
        })).pipe(Effect.provideContext(handlers))
      const [image] = Exit.isSuccess(ended.exit) ? ended.exit.value : assert.fail(String(ended.exit))
      const expected = new TaskTimes(yield* Clock.Clock).of("times/Image")
      for (const [waited, ran] of [[4, 3], [12, 28], [40, 90]] as const) expected.add(waited, ran, 1)
      assert.deepStrictEqual(image, expected.named("times/Image"))
    }).pipe(Effect.provide([Layer.fresh(MemoryJobStore.layer), Pools.layer()])))

  it.effect("tell of the pools of their process once a second, which its other jobs and processes read", () =>
    Effect.gen(function*() {
      let writes = 0
      const counting = Effect.updateService(JobStore.JobStore, (store) => ({
        ...store,
        saveTasks: (...args: Parameters<typeof store.saveTasks>) => {
          writes++
          return store.saveTasks(...args)
        }
      }))
      const { jobs } = yield* process([Crawl], program, {}, { network: 3 }).pipe(counting)
      assert.deepStrictEqual(yield* jobs.processes, [])
      const { id } = yield* jobs.start(Crawl, 20)
      yield* TestClock.adjust("250 millis")
      const [early] = yield* jobs.processes
      assert.deepStrictEqual([early?.jobs, early?.pools], [[id], []])
      yield* pass(5)
      assert.isAtMost(writes, 3, "nothing has changed in these seconds")
      yield* pass(5)
      const [first, ...others] = yield* jobs.processes
      assert.deepStrictEqual(others, [])
      const network = first?.pools.find(({ name }) => name === "network") ?? assert.fail()
      assert.deepInclude(network, { size: 3, held: 3, bounds: null })
      assert.isAbove(network.waiting, 0)
      yield* pass(60)
      assert.deepStrictEqual(yield* jobs.processes, [])
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))

  it.effect("of a new owner that has told nothing yet are not those of the owner before", () =>
    Effect.gen(function*() {
      const store = yield* JobStore.JobStore
      const { jobs } = yield* process([Crawl], program)
      const { id, ...handle } = yield* jobs.start(Crawl, 1)
      yield* pass(3)
      yield* handle.pause
      yield* pass(3)
      yield* handle.resume
      yield* TestClock.adjust("500 millis")
      assert.strictEqual((yield* store.get(id)).token, 2)
      assert.deepStrictEqual((yield* jobs.processes).map(({ pools }) => pools), [[]])
      yield* pass(2)
      assert.isAbove((yield* jobs.processes)[0]?.pools.length ?? 0, 0)
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))

  it("that a version without clusters has stored can be read", () =>
    assert.deepStrictEqual(
      decodeTasks({ tasks: JSON.stringify({ token: 0, kinds: [], pools: [], threads: [] }) }),
      JobTasks.empty
    ))

  it.effect("that can't be stored keep no job from its end", () =>
    Effect.gen(function*() {
      const { jobs } = yield* process([Crawl], program).pipe(
        Effect.updateService(JobStore.JobStore, (store) => ({
          ...store,
          saveTasks: () =>
            new JobStoreError({ reason: new StorageFailure({ operation: "write", problem: "Full", cause: "full" }) })
        }))
      )
      const { id } = yield* jobs.start(Crawl, 3)
      yield* pass(60)
      assert.strictEqual((yield* jobs.get(id)).state._tag, "CompletedWithErrors")
      assert.deepStrictEqual(yield* jobs.tasks(id), JobTasks.empty)
      assert.isAbove((yield* jobs.history(id)).at.length, 5)
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))
})
