/**
 * The job: it runs a task for each item, and keeps what they come to.
 */
import { FanOut, Job, Progress, TaskDispatcher } from "@fanout/core"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { Handlers, Work } from "./WorkTask.ts"

/** What it is called, what it is given, and what it comes to. Until it is over, a key stands for one job. */
export const WorkJob = Job.make("example-job/Work", {
  version: 1,
  payload: Schema.Struct({ items: Schema.Int }),
  success: Progress.Tally,
  error: FanOut.FanOutStopped,
  idempotencyKey: ({ items }) => `${items} items`
})

/** The items, in an order that is always the same, from the one behind a cursor on. That is what makes it resumable. */
const items = (count: number) => (after: Option.Option<string>) =>
  Stream.range(Option.match(after, { onNone: () => 1, onSome: (cursor) => Number(cursor) + 1 }), count).pipe(
    Stream.map((item) => ({ _tag: "Item" as const, cursor: String(item), payload: { item } }))
  )

/** Its program. It runs again from its first line whenever the job goes on; what the fan-out has done stays done. */
export const Program = WorkJob.toLayer(Effect.fnUntraced(function*({ items: count }) {
  const sql = yield* SqlClient.SqlClient
  const { fanOut } = yield* TaskDispatcher.TaskDispatcher
  yield* sql`CREATE TABLE IF NOT EXISTS results (item INTEGER PRIMARY KEY, result INTEGER NOT NULL)`
  return yield* fanOut("items", Work, items(count), {
    concurrency: 16,
    // In the transaction that records them: each result is written once, wherever the process is killed. A later job
    // for the same items writes them anew.
    onCommit: (ended) => {
      const results = Arr.getSomes(
        ended.map(({ payload, value }) => Option.zipWith(payload, value, ({ item }, { result }) => ({ item, result })))
      )
      return Arr.isArrayNonEmpty(results) ? sql`REPLACE INTO results ${sql.insert(results)}` : Effect.void
    }
  })
}, Effect.catchTag("SqlError", Effect.die))).pipe(Layer.provide(Handlers))
