/**
 * Converts each row of a table into a row of another table of the same database. Each row is written once, even after a
 * kill: `onDone` writes in the transaction that records which rows are done.
 *
 * `npx node --conditions=@fanout/source examples/etl.ts people.db`, where `people.db` has a table
 * `old (id INTEGER PRIMARY KEY, name TEXT)`.
 */
import * as Job from "@fanout/core/Job"
import * as Fanout from "@fanout/core/node"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Arr from "effect/Array"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"

const [filename = "people.db"] = process.argv.slice(2)

const Row = Schema.Struct({ id: Schema.Int, name: Schema.String })
const Convert = Task.make("examples/Convert", { payload: Row, success: Row })
const Handlers = RpcGroup.make(Convert).toLayer({
  "examples/Convert": ({ id, name }) => Effect.succeed({ id, name: name.toUpperCase() })
})

const People = Job.make("examples/People", { success: Progress.Tally })
const Program = People.toLayer(Effect.fnUntraced(function*() {
  const sql = yield* SqlClient.SqlClient
  const { fanOut } = yield* TaskDispatcher
  yield* sql`CREATE TABLE IF NOT EXISTS person (id INTEGER PRIMARY KEY, name TEXT NOT NULL)`
  const people = Source.paged(
    Schema.Int,
    (after, limit) =>
      sql<typeof Row.Type>`SELECT id, name FROM old WHERE id > ${Option.getOrElse(after, () => 0)}
        ORDER BY id LIMIT ${limit}`,
    ({ id }) => id
  )
  return yield* fanOut("people", Convert, people, {
    onDone: (done) => sql`INSERT INTO person ${sql.insert(Arr.map(done, ({ value }) => value))}`
  })
}, Effect.catchTag("SqlError", Effect.die)))

const Runtime = Fanout.layer({ filename, jobs: [People] }).pipe(
  Layer.provide(Layer.provide(Program, Handlers)),
  Layer.provide(Fanout.layerSqlClient({ filename }))
)
const main = Effect.flatMap(People.execute(), ({ done }) => Console.log(`${done} rows`))
await Effect.runPromise(Effect.provide(main, Runtime))
