import * as PgClient from "@effect/sql-pg/PgClient"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import { JobStore } from "@fanout/core/JobStore"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SqlClient } from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as path from "node:path"
import { Counting, counting } from "./countingJob.ts"
import { PostgresServer, programs } from "./postgresServer.ts"

const count = 2_000
const failed = count / 10

describe.skipIf(programs === undefined)("JobManager on Postgres", () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server.stop())

  const prepared = Effect.gen(function*() {
    const config = yield* server.schema
    const sql = Context.get(yield* Layer.build(Layer.fresh(PgClient.layer(config))), SqlClient)
    yield* sql`create table counted (n integer primary key)`
    return { config, sql }
  })

  const open = (config: PgClient.PgPoolConfig, ran: (n: number) => void) =>
    Effect.map(
      Layer.build(Layer.fresh(counting(config, ran))),
      (context) => ({ jobs: Context.get(context, JobManager.JobManager), store: Context.get(context, JobStore) })
    )

  it.live("goes on with a job whose process was killed, and counts each element once", () =>
    Effect.gen(function*() {
      const { config, sql } = yield* prepared
      const child = path.join(import.meta.dirname, "JobManagerChild.ts")
      const args = ["--conditions=@fanout/source", child, JSON.stringify(config), `${count}`]
      const first = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] })
      const closed = once(first, "close")
      yield* Effect.promise(() => once(first.stdout, "data"))
      const counted = Effect.map(sql`select count(*) as n from counted`, ([row]) => Number(row?.["n"]))
      while ((yield* counted) < count / 4) yield* Effect.sleep(5)

      first.kill("SIGKILL")
      yield* Effect.promise(() => closed)

      // The server may not have seen yet that nobody is there any more; the lease is held for longer.
      yield* Effect.sleep(200)
      const acked = yield* counted
      assert.isBelow(acked, count)
      let runs = 0
      const { jobs, store } = yield* open(config, () => runs++)
      const job = yield* jobs.start(Counting, count)
      assert.strictEqual(yield* job.await, count - failed)

      assert.strictEqual(yield* counted, count)
      assert.strictEqual(runs, count - acked)
      const record = yield* jobs.get(job.id)
      assert.isAtLeast(record.token, 2, "another owner")
      assert.strictEqual(record.state._tag, "CompletedWithErrors")
      assert.strictEqual(yield* store.failures(job.id), failed)
    }))

  it.live("runs jobs of several managers at once, and shows each row and line of them once", () =>
    Effect.gen(function*() {
      const { config, sql } = yield* prepared
      const one = yield* open(config, () => {})
      const two = yield* open(config, () => {})
      const jobs = yield* Effect.forEach([200, 201, 202, 203], (count) => one.jobs.start(Counting, count))
      yield* sql`alter table counted drop constraint counted_pkey`
      const watched = yield* Effect.forEach(jobs, (job) => Stream.runCollect(two.jobs.watch(job.id)), {
        concurrency: "unbounded"
      })

      for (const [index, job] of jobs.entries()) {
        assert.strictEqual(yield* job.await, 200 + index - 20)
        const events = watched[index] ?? []
        const items = events.flatMap((event) => event._tag === "Item" ? [event.row.cursor] : [])
        assert.strictEqual(items.length, 20)
        assert.strictEqual(new Set(items).size, 20)
      }
      const [row] = yield* sql`select count(*) as n from counted`
      assert.strictEqual(Number(row?.["n"]), 806)
    }))

  it.live("keeps a job that starts in a transaction to that", () =>
    Effect.gen(function*() {
      const { config, sql } = yield* prepared
      const { jobs } = yield* open(config, () => {})
      const start = (count: number) => Effect.provideService(jobs.start(Counting, count), SqlClient, sql)

      yield* Effect.ignore(sql.withTransaction(Effect.andThen(start(1), Effect.fail("no"))))
      const job = yield* sql.withTransaction(start(2))

      assert.strictEqual(yield* job.await, 2)
      assert.strictEqual((yield* jobs.list()).length, 1)
    }))
})
