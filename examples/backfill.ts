/**
 * Moves people from an old database to a new one, whose table has other columns: 100,000 rows in a second or two.
 *
 * It shows how rows travel in chunks: a task reads and converts 200 of them, and `onCommit` writes them in the
 * transaction that records the task, because the jobs are kept in the new database too. So each row is written once,
 * wherever this is killed. A row that can't be converted has a row of its own among the failures, and does not fail
 * its chunk. Mend such rows in the old database and run this again: it tries just those. Once all are there it begins
 * anew.
 *
 * `npx node --conditions=@fanout/source examples/backfill.ts old.db new.db`, where `old.db` has a table
 * `people (id INTEGER PRIMARY KEY, name TEXT, email TEXT)`.
 */
import * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import { layerOwnerLiveness, layerSqlClient, layerSqlite } from "@fanout/core/node"
import * as Outcome from "@fanout/core/Outcome"
import * as Pools from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import type { Element } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"

const [, , from = "old.db", to = "new.db"] = process.argv
const chunk = 200

/** The old database. The new one is the `SqlClient` itself. */
class Old extends Context.Service<Old, SqlClient.SqlClient>()("backfill/Old") {}

const Person = Schema.Struct({ id: Schema.Int, first: Schema.String, last: Schema.String, email: Schema.String })

const Convert = Task.make("backfill/Convert", {
  payload: { from: Schema.Int, to: Schema.Int },
  success: Schema.Struct({
    people: Schema.Array(Person),
    refused: Schema.Array(Schema.Struct({ id: Schema.Int, why: Schema.String }))
  }),
  key: ({ from, to }) => from === to ? `person ${from}` : `people ${from} to ${to}`,
  pool: "db"
})
class Tasks extends RpcGroup.make(Convert) {}

const Handlers = Tasks.toLayer(Effect.map(Old, (old) => ({
  "backfill/Convert": Effect.fnUntraced(function*({ from, to }) {
    const rows = yield* old<{ id: number; name: string; email: string }>`
      SELECT id, name, email FROM people WHERE id BETWEEN ${from} AND ${to} ORDER BY id`
    const isFine = ({ email }: { readonly email: string }) => /^[^@\s]+@[^@\s]+$/.test(email)
    return {
      people: rows.filter(isFine).map(({ email, id, name }) => {
        const [first = "", ...last] = name.split(" ")
        return { id, first, last: last.join(" "), email: email.toLowerCase() }
      }),
      refused: rows.filter((row) => !isFine(row)).map(({ email, id }) => ({ id, why: `"${email}" is no address` }))
    }
  }, Effect.orDie)
})))

type Chunk = Task.Payload<typeof Convert>
type Converted = Task.Success<typeof Convert>

/** Chunks of the ids that there are, so that gaps cost nothing. The cursor is the last id of a chunk. */
const chunks = (old: SqlClient.SqlClient) => (after: Option.Option<string>) =>
  Stream.paginate(Option.match(after, { onNone: () => 0, onSome: Number }), (after) =>
    Effect.map(
      old<{ first: number; last: number }>`SELECT min(id) AS first, max(id) AS last FROM
        (SELECT id FROM people WHERE id > ${after} ORDER BY id LIMIT ${chunk}) HAVING count(*) > 0`,
      (rows) => [
        rows.map(({ first, last }) => ({
          _tag: "Item" as const,
          cursor: String(last),
          payload: { from: first, to: last }
        })),
        Option.map(Option.fromUndefinedOr(rows[0]), ({ last }) => last)
      ]
    ))

/** What is told of a chunk: how many are done, and each one that was refused. */
const parts: FanOut.Parts<Chunk, Converted> = ({ cursor }, converted) =>
  Option.getOrUndefined(Option.map(converted, ({ people, refused }) => [
    ...people.length === 0 ? [] : [{
      _tag: "Settled" as const,
      cursor: `up to ${cursor}`,
      key: "",
      outcome: { _tag: "Done" as const, value: null, count: people.length }
    }],
    ...refused.map(({ id, why }): Element<Chunk> => ({
      _tag: "Settled",
      cursor: String(id),
      key: `person ${id}`,
      outcome: { _tag: "Failed", failure: { _tag: "Error", error: null, message: why } },
      retry: { payload: { from: id, to: id } }
    }))
  ]))

const Backfill = Job.make("backfill/People", {
  success: Progress.Tally,
  error: FanOut.FanOutStopped,
  idempotencyKey: () => "people"
})

const Program = Backfill.toLayer(Effect.fnUntraced(function*() {
  const sql = yield* SqlClient.SqlClient
  const { fanOut } = yield* TaskDispatcher
  yield* sql`CREATE TABLE IF NOT EXISTS person (
    id INTEGER PRIMARY KEY, first TEXT NOT NULL, last TEXT NOT NULL, email TEXT NOT NULL)`
  return yield* fanOut("chunks", Convert, chunks(yield* Old), {
    concurrency: 4,
    // Few chunks are unrecorded at any time: a crash costs little, and no more is held in memory.
    flushEvery: 16,
    parts,
    onCommit: (ended) =>
      sql`REPLACE INTO person (id, first, last, email)
        SELECT value ->> 'id', value ->> 'first', value ->> 'last', value ->> 'email'
        FROM json_each(${JSON.stringify(ended.flatMap(({ value }) => Option.getOrUndefined(value)?.people ?? []))})`
  })
}, Effect.catchTag("SqlError", Effect.die)))

const Source = Layer.provide(Layer.effect(Old, SqlClient.SqlClient), layerSqlClient({ filename: from }))

const Runtime = JobManager.layer({ jobs: [Backfill] }).pipe(
  Layer.provide([Program.pipe(Layer.provide(Handlers), Layer.provide(Source)), Pools.layer({ db: 4 })]),
  Layer.provide(layerSqlClient({ filename: to })),
  Layer.provide([layerSqlite({ filename: to }), layerOwnerLiveness])
)

const main = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const [before] = yield* manager.list({ names: [Backfill.name], states: ["Paused", "Failed", "CompletedWithErrors"] })
  if (before !== undefined) yield* manager[before.state._tag === "Paused" ? "resume" : "retry"](before.id)
  const job = yield* before === undefined ? manager.start(Backfill, undefined) : manager.attach(Backfill, before.id)
  yield* Console.log(job.started ? "Started" : "Going on")
  const { done, failed } = yield* job.await
  yield* Console.log(`${done} people, ${failed} refused`)
  yield* Stream.runForEach(
    manager.outcomes(job.id, ["Failed"]),
    ({ key, outcome }) => Console.log(`${key}: ${outcome._tag === "Failed" ? Outcome.message(outcome.failure) : ""}`)
  )
})

await Effect.runPromise(Effect.provide(main, Runtime))
