import { JobManager } from "@fanout/core"
import { layerSqlClient } from "@fanout/core/node"
import * as FanoutTest from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as assert from "node:assert/strict"
import { test } from "node:test"
import { Program, WorkJob } from "../src/WorkJob.ts"

// The whole runtime in memory. Time stands still until a test moves the clock. So no test waits.
const Runtime = FanoutTest.layer({ jobs: [WorkJob] }).pipe(
  Layer.provide(Program),
  Layer.provideMerge(layerSqlClient({ filename: ":memory:" }))
)

const run = <A, E>(effect: Effect.Effect<A, E, JobManager.JobManager | SqlClient.SqlClient>): Promise<A> =>
  Effect.runPromise(effect.pipe(Effect.provide(Runtime), Effect.provide(TestClock.layer())))

test("does all items, and tells those that fail", () =>
  run(Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const sql = yield* SqlClient.SqlClient
    const job = yield* WorkJob.start({ items: 250 })
    yield* FanoutTest.settle
    yield* TestClock.adjust("1 minute")

    const tally = yield* job.await
    const rows = yield* Stream.runCollect(manager.outcomes(job.id, ["Failed"]))
    const [results] = yield* sql`SELECT count(*) AS count, max(result) AS highest FROM results`

    assert.deepEqual([tally.done, tally.failed], [248, 2])
    assert.deepEqual(rows.map(({ key }) => key), ["item 100", "item 200"])
    assert.deepEqual([results?.["count"], results?.["highest"]], [248, 62_500])
    assert.equal((yield* manager.get(job.id)).state._tag, "CompletedWithErrors")
  })))

test("stops for a pause and goes on after it", () =>
  run(Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const job = yield* WorkJob.start({ items: 250 })
    yield* FanoutTest.settle
    yield* TestClock.adjust("20 millis")
    yield* manager.pause(job.id)
    yield* TestClock.adjust("1 minute")
    const paused = yield* manager.get(job.id)
    const { done } = (yield* manager.progress(job.id)).tally
    yield* manager.resume(job.id)
    yield* TestClock.adjust("1 minute")

    assert.equal(paused.state._tag, "Paused")
    assert.ok(done > 0 && done < 248)
    assert.equal((yield* job.await).done, 248)
  })))
