/**
 * The job: runs a task for each item, and writes the results to a table.
 */
import { Job, Progress, Source, TaskDispatcher } from "@fanout/core"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import { Handlers, Work } from "./WorkTask.ts"

/** The name of the job, its input and its result. */
export const WorkJob = Job.make("example-job/Work", {
  version: 1,
  payload: Schema.Struct({ items: Schema.Int }),
  success: Progress.Tally,
  // Two starts with the same key mean the same job.
  idempotencyKey: ({ items }) => `${items} items`
})

/** The program. When the job goes on, the program runs again from its first line. Recorded items do not run again. */
export const Program = WorkJob.toLayer(Effect.fnUntraced(function*({ items }) {
  const sql = yield* SqlClient.SqlClient
  const { fanOut } = yield* TaskDispatcher.TaskDispatcher
  yield* sql`CREATE TABLE IF NOT EXISTS results (item INTEGER PRIMARY KEY, result INTEGER NOT NULL)`
  return yield* fanOut("items", Work, Source.map(Source.range(1, items), (item) => ({ item })), {
    concurrency: 16,
    // The same transaction records the items and writes their results. So each result is written once, even after a
    // kill. Another job with the same items replaces the results.
    onDone: (done) =>
      sql`REPLACE INTO results ${
        sql.insert(Arr.map(done, ({ payload: { item }, value: { result } }) => ({ item, result })))
      }`
  })
}, Effect.catchTag("SqlError", Effect.die))).pipe(Layer.provide(Handlers))
