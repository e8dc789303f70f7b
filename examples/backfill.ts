/**
 * Moves people from an old database to a new one with other columns. 100,000 rows take a second or two.
 *
 * Rows travel in chunks: a task reads and converts 200 rows, and `onCommit` writes the converted rows. The jobs are in
 * the new database, too. So one transaction records the task and writes its rows. Each row is written once, even after
 * a kill. A row that can't be converted does not fail its chunk: the row is a failure of its own. Correct the row in
 * the old database, and run the program again. Then only the failures run. One old database is one job. A completed job
 * gives its stored result.
 *
 * `npx node --conditions=@fanout/source examples/backfill.ts old.db new.db`, where `old.db` has a table
 * `people (id INTEGER PRIMARY KEY, name TEXT, email TEXT)`.
 */
import type * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import * as Fanout from "@fanout/core/node"
import * as Outcome from "@fanout/core/Outcome"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
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
import * as path from "node:path"

const [, , from = "old.db", to = "new.db"] = process.argv

/** The old database. The new database is the `SqlClient` itself. */
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

/** The chunks of the existing ids, so that gaps cost nothing. The key of a chunk is its last id. */
const chunks = (old: SqlClient.SqlClient) =>
  Source.paged(
    Schema.Int,
    (after, size) =>
      old<Chunk>`SELECT min(id) AS "from", max(id) AS "to" FROM
        (SELECT id FROM people WHERE id > ${Option.getOrElse(after, () => 0)} ORDER BY id LIMIT ${size})
        HAVING count(*) > 0`,
    ({ to }) => to,
    { size: 200 }
  )

/** The parts of a chunk: all converted rows together, and each refused row alone. */
const parts: FanOut.Parts<Chunk, Converted> = ({ cursor }, converted) => {
  if (Option.isNone(converted)) return undefined
  const { people: { length: count }, refused } = converted.value
  return [
    ...count === 0 ? [] : [
      Source.settled(`up to ${cursor}`, { key: "", outcome: { _tag: "Done", value: null, count } })
    ],
    ...refused.map(({ id, why }) =>
      Source.settled(`person ${id}`, {
        key: `person ${id}`,
        outcome: { _tag: "Failed", failure: { _tag: "Error", error: null, message: why } },
        retry: { payload: { from: id, to: id } }
      })
    )
  ]
}

const Backfill = Job.make("backfill/People", {
  payload: Schema.Struct({ from: Schema.String }),
  success: Progress.Tally
})

const Program = Backfill.toLayer(Effect.fnUntraced(function*() {
  const sql = yield* SqlClient.SqlClient
  const { fanOut } = yield* TaskDispatcher
  yield* sql`CREATE TABLE IF NOT EXISTS person (
    id INTEGER PRIMARY KEY, first TEXT NOT NULL, last TEXT NOT NULL, email TEXT NOT NULL)`
  return yield* fanOut("chunks", Convert, chunks(yield* Old), {
    concurrency: 4,
    // Few chunks are unrecorded at any time. So a crash costs little, and few chunks are in memory.
    flushEvery: 16,
    parts,
    onCommit: (ended) =>
      sql`REPLACE INTO person (id, first, last, email)
        SELECT value ->> 'id', value ->> 'first', value ->> 'last', value ->> 'email'
        FROM json_each(${JSON.stringify(ended.flatMap(({ value }) => Option.getOrUndefined(value)?.people ?? []))})`
  })
}, Effect.catchTag("SqlError", Effect.die)))

const OldDatabase = Layer.provide(Layer.effect(Old, SqlClient.SqlClient), Fanout.layerSqlClient({ filename: from }))

const Runtime = Fanout.layer({ filename: to, jobs: [Backfill] }).pipe(
  Layer.provide(Program),
  Layer.provide(Handlers),
  Layer.provide([OldDatabase, Fanout.layerSqlClient({ filename: to })])
)

const main = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const job = yield* Backfill.start({ from: path.resolve(from) }, { ifOver: "retry" })
  if ((yield* manager.get(job.id)).state._tag === "Paused") yield* manager.resume(job.id)
  yield* Console.log(job.started ? "Started" : "Going on")
  const { done, failed } = yield* job.await
  yield* Console.log(`${done} people, ${failed} refused`)
  yield* Stream.runForEach(
    manager.outcomes(job.id, ["Failed"]),
    ({ key, outcome }) => Console.log(`${key}: ${outcome._tag === "Failed" ? Outcome.message(outcome.failure) : ""}`)
  )
})

await Effect.runPromise(Effect.provide(main, Runtime))
