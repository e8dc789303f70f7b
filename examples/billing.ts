/**
 * Bills customers from several processes, with jobs and bills in one Postgres database.
 *
 * Start the workers, each in a terminal of its own:
 *   DATABASE_URL=postgres://… node --conditions=@fanout/source examples/billing.ts work
 * Then give them customers, and wait:
 *   DATABASE_URL=postgres://… node --conditions=@fanout/source examples/billing.ts bill 30
 *
 * The workers hear of the jobs at once, by LISTEN and NOTIFY. Kill a worker with `kill -9`. The other workers take its
 * jobs over. Each bill is written in the transaction that records its order, so that no order is billed twice. Run the
 * second command again: it reads what is stored.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import { layerOwnerLiveness } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Arr from "effect/Array"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"

const Price = Task.make("billing/Price", {
  payload: { customer: Schema.Int, order: Schema.Int },
  success: Schema.Int,
  pool: "network"
})

// Stands for a service that knows the prices.
const Handlers = RpcGroup.make(Price).toLayer({
  "billing/Price": ({ customer, order }) => Effect.as(Effect.sleep("20 millis"), 100 * customer + order)
})

const Billing = Job.make("billing/Customer", {
  payload: Schema.Struct({ customer: Schema.Int, orders: Schema.Int }),
  success: Progress.Tally
})

const Program = Billing.toLayer(Effect.fnUntraced(function*({ customer, orders }) {
  const sql = yield* SqlClient.SqlClient
  const { fanOut } = yield* TaskDispatcher
  return yield* fanOut("orders", Price, Source.map(Source.range(1, orders), (order) => ({ customer, order })), {
    onDone: (done) =>
      sql`INSERT INTO bills ${sql.insert(Arr.map(done, ({ payload, value }) => ({ ...payload, cents: value })))}`
  })
}, Effect.catchTag("SqlError", Effect.die)))

const Database = PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") })
const Store = Layer.provideMerge(SqlJobStore.layer, Database)

const work = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  // Of two workers that make the table at the same moment one fails, and tries again.
  yield* sql`CREATE TABLE IF NOT EXISTS bills ("customer" INTEGER, "order" INTEGER, "cents" INTEGER)`.pipe(
    Effect.retry({ times: 3 })
  )
  const runtime = JobManager.layer({ jobs: [Billing] }).pipe(
    Layer.provide([Layer.provide(Program, Handlers), layerOwnerLiveness, Pools.layer({ network: 32 })])
  )
  yield* Console.log("Ready")
  return yield* Layer.launch(runtime)
}).pipe(Effect.provide(Store))

const bill = (customers: number) =>
  Effect.gen(function*() {
    const numbers = Array.from({ length: customers }, (_, index) => index + 1)
    const tallies = yield* Effect.forEach(
      numbers,
      (customer) => Billing.execute({ customer, orders: 100 }),
      { concurrency: "unbounded" }
    )
    yield* Console.log(
      `${tallies.reduce((sum, { done }) => sum + done, 0)} orders of ${customers} customers are billed`
    )
  }).pipe(Effect.provide(Layer.provide(JobManager.layerClientOnly, Store)))

const [command, count = "10"] = process.argv.slice(2)
await Effect.runPromise(command === "work" ? work : bill(Number(count)))
