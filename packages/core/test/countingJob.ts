import type { PgPoolConfig } from "@effect/sql-pg/PgClient"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import * as JobStoreError from "@fanout/core/JobStoreError"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import { SqlClient } from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"

const Item = Task.make("test/Item", { payload: Schema.Number, error: Schema.String })

class Tasks extends RpcGroup.make(Item) {}

/** Takes numbers up to its payload, and gives how many were fine. */
export const Counting = Job.make("test/Counting", {
  payload: Schema.Number,
  success: Schema.Number,
  error: Schema.Union([FanOut.FanOutStopped, JobStoreError.JobStoreError]),
  idempotencyKey: String
})

/** Every tenth fails; all are counted in a table of the application's, in the transaction that records them. */
const program = Counting.toLayer(Effect.fnUntraced(function*(count) {
  const { fanOut } = yield* TaskDispatcher
  const tally = yield* fanOut("items", Item, (after) => {
    const first = Option.match(after, { onNone: () => 1, onSome: (cursor) => Number(cursor) + 1 })
    return Stream.map(Stream.range(first, count), (n) => ({ _tag: "Item", cursor: String(n), payload: n }))
  }, {
    flushInterval: "10 millis",
    flushEvery: 32,
    onCommit: (ended) =>
      Effect.flatMap(
        SqlClient,
        (sql) => sql`insert into counted ${sql.insert(Arr.map(ended, ({ cursor }) => ({ n: Number(cursor) })))}`
      ).pipe(
        Effect.orDie,
        Effect.asVoid
      )
  })
  return tally.done
}, Effect.catchTag("Interrupted", () => Effect.interrupt)))

/** A manager on Postgres, whose owner can't be asked whether it lives. */
export const counting = (config: PgPoolConfig, ran: (n: number) => void) =>
  JobManager.layer({ jobs: [Counting], leaseTtl: "2 seconds", pollInterval: "20 millis" }).pipe(
    Layer.provide(program),
    Layer.provide(Tasks.toLayer({
      "test/Item": (n) =>
        Effect.sync(() => ran(n)).pipe(
          Effect.andThen(Effect.sleep(5)),
          Effect.andThen(n % 10 === 0 ? Effect.fail(`${n} is round`) : Effect.void)
        )
    })),
    Layer.provide([Pools.layer(), OwnerLiveness.layerBlind, Layer.fresh(PgClient.layer(config))]),
    Layer.provideMerge(Layer.provide(SqlJobStore.layer, Layer.fresh(PgClient.layer(config))))
  )
