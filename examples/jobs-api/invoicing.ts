/**
 * The job behind the API: writes an invoice for each customer of a month.
 */
import * as FanOut from "@fanout/core/FanOut"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { Request } from "./api.ts"

class NothingUsed extends Schema.TaggedError<NothingUsed>("jobs-api/NothingUsed")("NothingUsed", {}) {}

const WriteInvoice = Task.make("jobs-api/WriteInvoice", {
  payload: { month: Schema.String, customer: Schema.Int },
  success: Schema.Struct({ cents: Schema.Int }),
  error: NothingUsed,
  key: ({ customer }) => `customer ${customer}`,
  pool: "network",
  timeout: "10 seconds"
})

const Handlers = RpcGroup.make(WriteInvoice).toLayer({
  "jobs-api/WriteInvoice": Effect.fnUntraced(function*({ customer }) {
    yield* Interrupter.check
    // Stands for a question to another service.
    yield* Effect.sleep("10 millis")
    if (customer % 500 === 0) return yield* new NothingUsed()
    return { cents: 100 * (customer % 97 + 1) }
  })
})

export const Invoicing = Job.make("jobs-api/Invoicing", {
  payload: Request,
  success: Progress.Tally,
  error: FanOut.FanOutStopped,
  idempotencyKey: ({ month }) => month
})

const customersOf = ({ customers, month }: typeof Request.Type) => (after: Option.Option<string>) =>
  Stream.range(Option.match(after, { onNone: () => 1, onSome: (cursor) => Number(cursor) + 1 }), customers).pipe(
    Stream.map((customer) => ({ _tag: "Item" as const, cursor: String(customer), payload: { month, customer } }))
  )

export const Program = Invoicing.toLayer(Effect.fnUntraced(function*(request) {
  const sql = yield* SqlClient.SqlClient
  const { fanOut } = yield* TaskDispatcher
  yield* sql`CREATE TABLE IF NOT EXISTS invoices (
    month TEXT NOT NULL, customer INTEGER NOT NULL, cents INTEGER NOT NULL, PRIMARY KEY (month, customer))`
  return yield* fanOut("customers", WriteInvoice, customersOf(request), {
    concurrency: 16,
    flushEvery: 32,
    // In the transaction that records them. An invoice that is written twice would be an error.
    onCommit: (ended) => {
      const invoices = Arr.getSomes(
        ended.map(({ payload, value }) =>
          Option.zipWith(payload, value, ({ customer, month }, { cents }) => ({ month, customer, cents }))
        )
      )
      return Arr.isArrayNonEmpty(invoices) ? sql`INSERT INTO invoices ${sql.insert(invoices)}` : Effect.void
    }
  })
}, Effect.catchTag("SqlError", Effect.die))).pipe(Layer.provide(Handlers))
