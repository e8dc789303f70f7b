import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { programs } from "./postgresProcess.ts"
import { PostgresDatabase } from "./postgresServer.ts"

const Patient = Job.make("test/Patient", { success: Schema.Void })
const Quick = Job.make("test/Quick", { payload: Schema.Number, success: Schema.Void })

describe.skipIf(programs === undefined)("jobs of several managers on Postgres", () => {
  let database: PostgresDatabase
  beforeAll(async () => {
    database = await PostgresDatabase.open()
  })

  /** Three managers, how many patient jobs each of them runs, and the quick jobs that run at the same time. */
  const three = Effect.gen(function*() {
    const config = yield* database.schema
    const patient = [0, 0, 0]
    const quick = { now: 0, most: 0 }
    const open = (index: number) =>
      Effect.map(
        Layer.build(
          JobManager.layer({ jobs: [Patient, Quick] }).pipe(
            Layer.provide([
              Patient.toLayer(() =>
                Effect.suspend(() => {
                  patient[index] = (patient[index] ?? 0) + 1
                  return Effect.forever(Effect.andThen(Effect.sleep(5), Interrupter.check))
                })
              ),
              Quick.toLayer(() =>
                Effect.acquireUseRelease(
                  Effect.sync(() => (quick.most = Math.max(quick.most, ++quick.now))),
                  () => Effect.sleep(20),
                  () => Effect.sync(() => quick.now--)
                )
              ),
              Pools.layer(),
              Layer.fresh(OwnerLiveness.layerBlind)
            ]),
            Layer.provide(Layer.fresh(SqlJobStore.layer)),
            Layer.provide(Layer.fresh(PgClient.layer(config)))
          )
        ),
        (context) => Context.get(context, JobManager.JobManager)
      )
    const managers = [yield* open(0), yield* open(1), yield* open(2)] as const
    yield* Effect.sleep(500)
    return { managers, patient, quick }
  })

  it.live("are shared evenly", () =>
    Effect.gen(function*() {
      const { managers: [one], patient } = yield* three

      for (let n = 0; n < 6; n++) {
        yield* one.start(Patient, undefined)
        yield* Effect.sleep(50)
      }
      while (patient.reduce((sum, jobs) => sum + jobs, 0) < 6) yield* Effect.sleep(10)

      // Two each, unless one of them was held up for as long as the others wait for it.
      assert.isAtMost(Math.max(...patient), 3)
    }))

  it.live("keep a concurrency of their name, and lose no time by it", () =>
    Effect.gen(function*() {
      const { managers: [one, two], quick } = yield* three
      yield* two.setConcurrency(Quick.name, 2)

      const jobs = yield* one.startAll(Quick, Array.from({ length: 40 }, (_, n) => n))
      const [duration] = yield* Effect.timed(Effect.forEach(jobs, (job) => job.await))

      assert.strictEqual(quick.most, 2)
      // Some two seconds, unless the machine is busy. Looking after a third of a lease would take 100 seconds.
      assert.isBelow(Duration.toMillis(duration), 30_000)
    }))
})
