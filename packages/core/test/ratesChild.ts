// Calls a service at a rate of its store, and writes a line for each call, until it is killed.
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import * as Node from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import * as Source from "@fanout/core/Source"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"

const [database = "", name = "job"] = process.argv.slice(2)

/** A Postgres server as JSON, or the name of a SQLite file. */
const layerStore = database.startsWith("{")
  ? Layer.provide(SqlJobStore.layer, PgClient.layer(JSON.parse(database)))
  : Node.layerSqlite({ filename: database })

const Call = Task.make("test/Call", { payload: { n: Schema.Int }, pool: "network", rate: "api" })
const Calling = Job.make(`test/Calling-${name}`, {})

const program = Calling.toLayer(() =>
  Effect.flatMap(
    TaskDispatcher,
    ({ fanOut }) => fanOut("calls", Call, Source.map(Source.range(1, 1_000_000), (n) => ({ n })))
  ).pipe(
    Effect.asVoid,
    Effect.orDie
  )
)

await Effect.runPromise(
  Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const job = yield* manager.start(Calling, undefined)
    process.stdout.write("ready\n")
    yield* job.await
  }).pipe(
    Effect.provide(JobManager.layer({ jobs: [Calling] })),
    Effect.provide(program),
    Effect.provide([layerStore, Node.layerOwnerLiveness, Pools.layer({ network: 64 })]),
    Effect.provide(
      RpcGroup.make(Call).toLayer({
        "test/Call": () =>
          Effect.andThen(Effect.sync(() => process.stdout.write(`${Date.now()}\n`)), Effect.sleep("10 millis"))
      })
    )
  )
)
