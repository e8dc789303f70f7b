import { assert, describe, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import * as JobHistory from "@fanout/core/JobHistory"
import * as JobStore from "@fanout/core/JobStore"
import { JobStoreError, StorageFailure } from "@fanout/core/JobStoreError"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { process } from "./managers.ts"

const sampleAt = (at: number): JobHistory.Sample => ({ at, items: at, failed: 0, bytes: 2 * at, tasks: 1 })

const columnsOf = ({ at, bytes, failed, items, tasks }: JobHistory.JobHistory) => [at, bytes, failed, items, tasks]

describe("a history", () => {
  it("has at most 240 samples of any number, from the first to the last, at even distances", () => {
    let history = JobHistory.empty
    for (let seconds = 1; seconds <= 2000; seconds++) {
      history = JobHistory.withSample(history, sampleAt(1000 * seconds))
      const { at, everyMillis } = history
      assert.isAtMost(at.length, JobHistory.mostSamples)
      assert.isAtLeast(at.length, Math.min(seconds, JobHistory.mostSamples / 2))
      assert.strictEqual(at[0], 1000)
      assert.isAbove((at.at(-1) ?? 0) + everyMillis, 1000 * seconds)
      assert.isTrue(at.every((time, n) => n === 0 || time - (at[n - 1] ?? 0) === everyMillis))
      assert.isTrue(history.bytes.every((bytes, n) => bytes === 2 * (at[n] ?? 0)))
      for (const column of columnsOf(history)) assert.strictEqual(column.length, at.length)
    }
  })

  it("keeps its newest marks", () => {
    const marks = Array.from({ length: 100 }, (_, token) => ({ at: token, kind: "Started", token } as const))
    const history = marks.reduce((history, mark) => JobHistory.withMarks(history, [mark]), JobHistory.empty)
    assert.deepStrictEqual(history.marks, marks.slice(-JobHistory.mostMarks))
  })

  const Crawl = Job.make("test/Crawl", { payload: Schema.Int })
  const Page = Task.make("test/Page", { payload: { n: Schema.Int }, error: Schema.Struct({ code: Schema.String }) })
  class Pages extends RpcGroup.make(Page) {}
  const program = Crawl.toLayer((count) =>
    TaskDispatcher.use(({ fanOut }) =>
      fanOut("pages", Page, Source.fromIterable(Array.from({ length: count }, (_, n) => ({ n }))), { concurrency: 2 })
    )
  ).pipe(Layer.provide(Pages.toLayer({
    "test/Page": ({ n }) =>
      Effect.sleep("1 second").pipe(
        Effect.andThen(Progress.add("bytes", 100)),
        Effect.andThen(n % 10 === 0 ? Effect.fail({ code: "EACCES" }) : Effect.void)
      )
  })))
  const pass = (seconds: number) => Effect.repeat(TestClock.adjust("250 millis"), { times: 4 * seconds - 1 })

  it.effect("is taken of a job that runs, across its owners, with marks of its turns", () =>
    Effect.gen(function*() {
      const { jobs } = yield* process([Crawl], program)
      const { id, ...handle } = yield* jobs.start(Crawl, 60)
      yield* pass(5)
      yield* jobs.set(id, { limits: { concurrency: 1 } })
      yield* pass(5)
      yield* handle.pause
      yield* pass(10)
      yield* handle.resume
      yield* pass(60)
      const { at, bytes, failed, items, marks, tasks } = yield* jobs.history(id)
      const kinds = marks.map(({ kind, token }) => `${kind} ${token}`)
      assert.deepStrictEqual(kinds, ["Started 1", "Set 1", "Paused 1", "Started 2", "Ended 2"])
      assert.deepStrictEqual([items.at(-1), failed.at(-1), bytes.at(-1)], [60, 6, 5400])
      assert.deepStrictEqual([tasks[1], tasks[7]], [2, 1])
      for (const [n, count] of items.entries()) assert.isAtLeast(count, items[n - 1] ?? 0)
      const gap = at.map((time, n) => time - (at[n - 1] ?? time))
      assert.isAtLeast(Math.max(...gap), 9_000)
      const { progress } = yield* jobs.status(id)
      assert.deepStrictEqual(progress.tally.causes, { EACCES: 6 })
      assert.isAtLeast(progress.startedAt ?? 0, 20_000)
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))

  it.effect("is none of a job that is over in a moment", () =>
    Effect.gen(function*() {
      const { jobs } = yield* process([Crawl], program)
      const { id } = yield* jobs.start(Crawl, 0)
      yield* pass(5)
      assert.strictEqual((yield* jobs.get(id)).state._tag, "Completed")
      assert.deepStrictEqual(yield* jobs.history(id), JobHistory.empty)
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))

  it.effect("of a job that counts nonsense has none of it, and the job fails where it was counted", () =>
    Effect.gen(function*() {
      const Odd = Job.make("test/Odd", {})
      const { jobs } = yield* process(
        [Odd],
        Odd.toLayer(() => Effect.andThen(Progress.add("bytes", Number.NaN), Effect.sleep("3 seconds")))
      )
      const { id } = yield* jobs.start(Odd, undefined)
      yield* pass(5)
      assert.strictEqual((yield* jobs.get(id)).state._tag, "Failed")
      assert.deepStrictEqual((yield* jobs.history(id)).bytes.filter((bytes) => bytes !== 0), [])
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))

  it.effect("that can't be counted on keeps no job from its end", () =>
    Effect.gen(function*() {
      const column = Array.from({ length: JobHistory.mostSamples }, () => 0)
      const odd = new JobHistory.JobHistory({
        everyMillis: Number.MAX_SAFE_INTEGER,
        at: column,
        items: column,
        failed: column,
        bytes: column,
        tasks: column,
        marks: []
      })
      const { jobs } = yield* process([Crawl], program).pipe(
        Effect.updateService(JobStore.JobStore, (store) => ({ ...store, history: () => Effect.succeedSome(odd) }))
      )
      const { id } = yield* jobs.start(Crawl, 3)
      yield* pass(60)

      const { state, token } = yield* jobs.get(id)
      assert.deepStrictEqual([state._tag, token], ["CompletedWithErrors", 1])
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))

  it.effect("that can't be stored keeps no job from its end", () =>
    Effect.gen(function*() {
      const { jobs } = yield* process([Crawl], program).pipe(
        Effect.updateService(JobStore.JobStore, (store) => ({
          ...store,
          saveHistory: () =>
            new JobStoreError({ reason: new StorageFailure({ operation: "write", problem: "Full", cause: "full" }) })
        }))
      )
      const { id } = yield* jobs.start(Crawl, 8)
      yield* pass(10)
      const { progress, record } = yield* jobs.status(id)
      assert.deepStrictEqual([record.state._tag, progress.items], ["CompletedWithErrors", 8])
    }).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer))))
})
