import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import type { JobId } from "@fanout/core/JobId"
import * as JobManager from "@fanout/core/JobManager"
import { JobStore } from "@fanout/core/JobStore"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { SqlClient } from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as path from "node:path"
import { Counting, counting } from "./countingJob.ts"
import { programs } from "./postgresProcess.ts"
import { PostgresDatabase } from "./postgresServer.ts"

const count = 2_000
const failed = count / 10

describe.skipIf(programs === undefined)("JobManager on Postgres", () => {
  let database: PostgresDatabase
  beforeAll(async () => {
    database = await PostgresDatabase.open()
  })

  const prepared = Effect.gen(function*() {
    const config = yield* database.schema
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
      // The jobs count the same numbers.
      yield* sql`alter table counted drop constraint counted_pkey`
      const one = yield* open(config, () => {})
      const two = yield* open(config, () => {})
      // Each is watched before it runs: rows from before are no events.
      const runAt = (yield* Clock.currentTimeMillis) + 500
      const jobs = yield* Effect.forEach([200, 201, 202, 203], (count) => one.jobs.start(Counting, count, { runAt }))
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

      const [job] = jobs
      if (job === undefined) return
      const page = { tags: ["Failed"], after: 0, limit: 100 } as const
      const failures = yield* one.jobs.outcomePage(job.id, page)
      yield* one.jobs.retry(job.id, { elements: failures.slice(3, 5).map(([seq]) => seq) })
      assert.strictEqual(yield* job.await, 180)
      const chosen = failures.slice(3, 5).map(([, { cursor }]) => cursor)
      const again = yield* one.jobs.outcomePage(job.id, page)
      assert.deepStrictEqual(again.flatMap(([, { attempt, cursor }]) => attempt === 2 ? [cursor] : []), chosen)
      assert.strictEqual(again.length, 20)
    }))

  describe("hears of changes", () => {
    const Quick = Job.make("test/Quick", { success: Schema.Number })
    const Patient = Job.make("test/Patient", { success: Schema.Void })
    const programs = Layer.mergeAll(
      Quick.toLayer(() => Clock.currentTimeMillis),
      Patient.toLayer(() => Effect.forever(Effect.andThen(Effect.sleep(1), Interrupter.check)))
    )

    /** A manager as of another process, which looks each 100 seconds, and only while it hears. */
    const open = (config: PgClient.PgPoolConfig, claim: JobManager.Claim, onLook: () => void = () => {}) => {
      const counted = Layer.effect(
        JobStore,
        Effect.map(JobStore, (store) => ({
          ...store,
          look: (now) => Effect.andThen(Effect.sync(onLook), store.look(now))
        }))
      )
      return Effect.map(
        Layer.build(
          JobManager.layer({ jobs: [Quick, Patient], claim, leaseTtl: "5 minutes" }).pipe(
            Layer.provide([programs, Pools.layer(), OwnerLiveness.layerBlind]),
            Layer.provide(Layer.provide(counted, Layer.fresh(SqlJobStore.layer))),
            Layer.provide(Layer.fresh(PgClient.layer(config)))
          )
        ),
        (context) => Context.get(context, JobManager.JobManager)
      )
    }

    /** Waits until some managers listen, and gives their sessions. */
    const listening = Effect.fnUntraced(function*(sql: SqlClient, count: number) {
      const found = sql<{ readonly pid: number }>`select pid from pg_stat_activity
        where query like 'LISTEN "fanout_%' and state = 'idle' and datname = current_database()`
      for (;;) {
        const pids = (yield* found).map(({ pid }) => pid)
        if (pids.length >= count) return yield* Effect.as(Effect.sleep(50), pids)
        yield* Effect.sleep(5)
      }
    })

    const two = Effect.gen(function*() {
      const { config, sql } = yield* prepared
      let looks = 0
      const jobs = yield* open(config, "none")
      yield* open(config, "all", () => looks++)
      const pids = yield* listening(sql, 2)
      // Every 200 ms, if it did not hear.
      const looksInAWhile = Effect.gen(function*() {
        yield* Effect.sleep(300)
        const before = looks
        yield* Effect.sleep(1_000)
        return looks - before
      })
      return { jobs, sql, pids, looksInAWhile }
    })

    /** The median time of three, with time in between: a process hears of much at once no sooner than by looking. */
    const median = Effect.fnUntraced(function*<A, E, R>(each: Effect.Effect<A, E, R>) {
      const times = yield* Effect.replicateEffect(Effect.delay(Effect.timed(each), 250), 3)
      return times.map(([duration]) => Duration.toMillis(duration)).toSorted((one, other) => one - other)[1] ??
        Number.NaN
    })
    // Some 10 ms, unless the machine is busy. Looking would take 100 seconds.
    const soon = 2_000

    it.live("of other processes at once: a start and an end, a pause, a cancel", () =>
      Effect.gen(function*() {
        const { jobs, looksInAWhile } = yield* two
        const untilIn = (id: JobId, tag: string) =>
          Effect.repeat(jobs.get(id), { until: ({ state }) => state._tag === tag, schedule: Schedule.spaced(2) })

        const started = yield* median(Effect.flatMap(jobs.start(Quick, undefined), (job) => job.await))
        const job = yield* jobs.start(Patient, undefined)
        yield* untilIn(job.id, "Running")
        const paused = yield* median(Effect.gen(function*() {
          yield* jobs.pause(job.id)
          yield* untilIn(job.id, "Paused")
          yield* jobs.resume(job.id)
          yield* untilIn(job.id, "Running")
        }))
        yield* jobs.cancel(job.id)
        const exit = yield* Effect.exit(job.await)

        assert.isBelow(started, soon)
        assert.isBelow(paused, soon)
        assert.strictEqual(exit._tag, "Failure")
        assert.isAtMost(yield* looksInAWhile, 1)
      }))

    it.live("by looking, while the session that listens is ended, and hears of them again afterwards", () =>
      Effect.gen(function*() {
        const warnings: Array<unknown> = []
        const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
          if (logLevel === "Warn") warnings.push(message)
        })
        yield* Effect.gen(function*() {
          const { jobs, looksInAWhile, pids, sql } = yield* two

          yield* Effect.forEach(pids, (pid) => sql`select pg_terminate_backend(${pid}::int)`, { discard: true })
          const job = yield* jobs.start(Quick, undefined)
          yield* job.await.pipe(Effect.timeout("1 minute"))
          const again = yield* listening(sql, 2)
          const started = yield* median(Effect.flatMap(jobs.start(Quick, undefined), (job) => job.await))

          assert.isFalse(again.some((pid) => pids.includes(pid)))
          assert.isBelow(started, soon)
          assert.isAtMost(yield* looksInAWhile, 1)
          assert.strictEqual(warnings.length, 2, "one for each manager")
        }).pipe(Effect.provide(Logger.layer([logger])))
      }))
  })

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
