import { assert, describe, it } from "@effect/vitest"
import * as ChildJobs from "@fanout/core/ChildJobs"
import * as Job from "@fanout/core/Job"
import type { JobStatus } from "@fanout/core/JobStatus"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { process } from "./managers.ts"

const Crawl = Job.make("test/Crawl", { payload: Schema.Int })

/** Takes a second for each of so many items, of 100 bytes each. */
const program = Crawl.toLayer((count) =>
  TaskDispatcher.use(({ forEach }) =>
    forEach(
      "pages",
      Array.from({ length: count }, (_, n) => n),
      () => Effect.andThen(Effect.sleep("1 second"), Progress.add("bytes", 100)),
      { success: Schema.Void, concurrency: 1 }
    )
  ).pipe(Effect.asVoid, (all) => Effect.andThen(Progress.total("items", count), all))
)

const pass = (seconds: number) => Effect.repeat(TestClock.adjust("250 millis"), { times: 4 * seconds - 1 })

describe("the status of a job", () => {
  it.effect("has its counts, its rates and the time that is left, at once and in a stream", () =>
    Effect.gen(function*() {
      const { jobs } = yield* process([Crawl], program)
      const handle = yield* jobs.start(Crawl, 60)
      const seen: Array<JobStatus> = []
      const watching = yield* Effect.forkChild(
        Stream.runForEach(handle.changes, (status) => Effect.sync(() => seen.push(status)))
      )
      yield* pass(30)
      const now = yield* handle.status
      assert.deepInclude(now, { total: Option.some(60) })
      assert.closeTo(now.items, 29, 1)
      const last = seen.at(-1) ?? assert.fail()
      assert.deepStrictEqual(now.rates, last.rates)
      assert.closeTo(last.rates["items"] ?? 0, 1, 0.1)
      assert.closeTo(last.rates["bytes"] ?? 0, 100, 10)
      assert.closeTo(Option.getOrThrow(last.remainingMillis), (60 - last.items) * 1000, 4000)

      yield* pass(40)
      assert.isDefined(watching.pollUnsafe())
      yield* Fiber.join(watching)
      const over = seen.at(-1) ?? assert.fail()
      assert.strictEqual(over.record.state._tag, "Completed")
      assert.deepInclude(over, { items: 60, remainingMillis: Option.none() })
      for (const [n, { items }] of seen.entries()) assert.isAtLeast(items, seen[n - 1]?.items ?? 0)
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))

  it.effect("has the rates of the present run alone after a pause", () =>
    Effect.gen(function*() {
      const { jobs } = yield* process([Crawl], program)
      const handle = yield* jobs.start(Crawl, 60)
      const seen: Array<JobStatus> = []
      yield* Effect.forkChild(Stream.runForEach(handle.changes, (status) => Effect.sync(() => seen.push(status))))
      yield* pass(20)
      yield* handle.pause
      yield* pass(7)
      yield* handle.resume
      yield* pass(8)
      assert.closeTo(seen.at(-1)?.rates["items"] ?? 0, 0.9, 0.15)
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))

  it.effect("counts what was skipped by its reasons", () =>
    Effect.gen(function*() {
      const Post = Job.make("test/Post", {})
      const Parcel = Task.make("test/Parcel", { payload: { n: Schema.Int } })
      class Parcels extends RpcGroup.make(Parcel) {}
      const all = Source.fromIterable(Array.from({ length: 60 }, (_, n) => ({ n })))
      const parcels = Post.toLayer(() => TaskDispatcher.use(({ fanOut }) => fanOut("parcels", Parcel, all))).pipe(
        Layer.provide(Parcels.toLayer({
          "test/Parcel": ({ n }) => Task.skip(n < 20 ? "refused" : n < 58 ? `way ${n}` : "far too long".repeat(6))
        }))
      )
      const { jobs } = yield* process([Post], parcels)
      const handle = yield* jobs.start(Post, undefined)
      yield* pass(2)
      const { reasons = {}, skipped } = (yield* handle.status).progress.tally
      assert.deepInclude(reasons, { refused: 20, "way 20": 1, others: 9 })
      assert.strictEqual(Object.keys(reasons).length, 33)
      assert.strictEqual(Object.values(reasons).reduce((sum, count) => sum + count, 0), skipped)
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))

  it.effect("counts tags and units that have the name of a member of each object", () =>
    Effect.gen(function*() {
      const Build = Job.make("test/Build", {})
      const house = Build.toLayer(() =>
        TaskDispatcher.use(({ forEach }) =>
          forEach("houses", [1, 2, 3], () => Effect.as(Progress.add("valueOf", 5), { _tag: "constructor" } as const), {
            success: Schema.TaggedStruct("constructor", {})
          })
        )
      )
      const { jobs } = yield* process([Build], house)
      const handle = yield* jobs.start(Build, undefined)
      yield* pass(2)
      const { progress: { tally, units }, record: { state } } = yield* handle.status
      assert.strictEqual(state._tag, "Completed")
      assert.deepStrictEqual([tally.tags, tally.units, units], [{ constructor: 3 }, { valueOf: 15 }, { valueOf: 15 }])
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))

  it.effect("has 32 tags and units, and the rest of them together", () =>
    Effect.gen(function*() {
      const Build = Job.make("test/Build", {})
      const numbers = Array.from({ length: 60 }, (_, n) => n)
      const add = (n: number) => Effect.andThen(Progress.add(`u${n}`, 1), Progress.total(`u${n}`, 1))
      const house = Build.toLayer(() =>
        Effect.andThen(
          Effect.forEach(numbers, (n) => add(n + 100), { discard: true }),
          TaskDispatcher.use(({ forEach }) =>
            forEach("houses", numbers, (n) => Effect.as(add(n), { _tag: `t${n}` }), {
              success: Schema.Struct({ _tag: Schema.String }),
              concurrency: 7
            })
          )
        )
      )
      const { jobs } = yield* process([Build], house)
      const handle = yield* jobs.start(Build, undefined)
      yield* pass(2)
      const { progress: { tally, totals, units }, record: { state } } = yield* handle.status
      assert.strictEqual(state._tag, "Completed")
      const sums = [tally.tags, tally.units, units].map((of) => Object.values(of))
      assert.deepStrictEqual(sums.map((of) => of.reduce((sum, n) => sum + n, 0)), [60, 60, 120])
      for (const { length } of [...sums, Object.keys(totals)]) assert.isAtMost(length, 33)
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))

  it.effect("counts failures by their causes, but for what a retry has done", () =>
    Effect.gen(function*() {
      const Send = Job.make("test/Send", {})
      const Letter = Task.make("test/Letter", {
        payload: { n: Schema.Int },
        error: Schema.Struct({ code: Schema.String })
      })
      class Letters extends RpcGroup.make(Letter) {}
      const all = Source.fromIterable(Array.from({ length: 60 }, (_, n) => ({ n })))
      let isMended = false
      const letters = Send.toLayer(() => TaskDispatcher.use(({ fanOut }) => fanOut("letters", Letter, all))).pipe(
        Layer.provide(Letters.toLayer({
          "test/Letter": ({ n }) =>
            n === 0 || isMended ? Effect.void : Effect.fail({ code: n < 20 ? "constructor" : `E${n}` })
        }))
      )
      const { jobs } = yield* process([Send], letters)
      const handle = yield* jobs.start(Send, undefined)
      yield* pass(2)
      const { causes = {}, failed } = (yield* handle.status).progress.tally
      assert.deepInclude(causes, { constructor: 19, E20: 1, others: 9 })
      assert.strictEqual(Object.keys(causes).length, 33)
      assert.strictEqual(Object.values(causes).reduce((sum, count) => sum + count, 0), failed)
      isMended = true
      yield* handle.retry
      yield* pass(2)
      const after = (yield* handle.status).progress.tally
      assert.deepStrictEqual([after.done, after.failed, after.causes], [60, 0, undefined])
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))

  it.effect("counts the children by their states", () =>
    Effect.gen(function*() {
      const Book = Job.make("test/Book", {})
      const parts = Book.toLayer(() =>
        Effect.forEach([1, 2, 30], (n) => Effect.exit(ChildJobs.run(`part ${n}`, Crawl, n)), {
          concurrency: "unbounded",
          discard: true
        })
      )
      const { jobs } = yield* process([Book, Crawl], Layer.merge(parts, program), { concurrency: 2 })
      const handle = yield* jobs.start(Book, undefined)
      const seen: Array<JobStatus["children"]> = []
      yield* Effect.forkChild(
        Stream.runForEach(handle.changes, ({ children }) => Effect.sync(() => seen.push(children)))
      )
      yield* pass(5)
      assert.deepStrictEqual((yield* handle.status).children, { Completed: 2, Running: 1 })
      yield* pass(40)
      assert.deepStrictEqual(seen.at(-1), { Completed: 3 })
      assert.isTrue(seen.some((children) => children.Queued === 1 && children.Running === 2))
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))

  it.effect("follows the children of a cancelled job until they are over", () =>
    Effect.gen(function*() {
      const Book = Job.make("test/Book", {})
      const book = Book.toLayer(() =>
        Effect.catchTag(ChildJobs.run("part", Crawl, 60), ["JobNotCompleted", "JobStoreError"], Effect.die)
      )
      const crawl = Crawl.toLayer(() => Effect.never, { onCancel: () => Effect.sleep("5 seconds") })
      const { jobs } = yield* process([Book, Crawl], Layer.merge(book, crawl))
      const handle = yield* jobs.start(Book, undefined)
      const seen: Array<JobStatus> = []
      const watching = yield* Effect.forkChild(
        Stream.runForEach(handle.changes, (status) => Effect.sync(() => seen.push(status)))
      )
      yield* pass(2)
      yield* handle.cancel
      yield* pass(2)
      const { children, record } = yield* handle.status
      assert.deepStrictEqual([record.state._tag, children], ["Cancelled", { Running: 1 }])
      yield* pass(10)
      assert.isDefined(watching.pollUnsafe())
      assert.deepStrictEqual(seen.at(-1)?.children, { Cancelled: 1 })
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))

  it.effect("follows what is asked of the job through its handle", () =>
    Effect.gen(function*() {
      const { jobs } = yield* process([Crawl], program)
      const handle = yield* jobs.start(Crawl, 60)
      const state = Effect.map(handle.status, ({ record }) => record.state._tag)
      yield* pass(5)
      assert.strictEqual(yield* state, "Running")
      yield* handle.pause
      yield* pass(5)
      assert.strictEqual(yield* state, "Paused")
      yield* handle.resume
      yield* pass(5)
      assert.strictEqual(yield* state, "Running")
      assert.match(String(yield* Effect.flip(handle.retry)), /it can't be retried/)
      yield* handle.cancel
      yield* pass(5)
      assert.strictEqual(yield* state, "Cancelled")
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))
})
