/**
 * Converts a large table by several processes: each range of ids is a child job, which any process may run. Each row is
 * written once, even after a kill.
 *
 * Start helpers, each in a terminal of its own, and then the job:
 *   npx node --conditions=@fanout/source examples/partitions.ts people.db help
 *   npx node --conditions=@fanout/source examples/partitions.ts people.db
 * `people.db` has a table `old (id INTEGER PRIMARY KEY, name TEXT)`. On Postgres the processes can be on many machines.
 */
import * as ChildJobs from "@fanout/core/ChildJobs"
import * as Job from "@fanout/core/Job"
import { JobManagerError } from "@fanout/core/JobManager"
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

const [filename = "people.db", command] = process.argv.slice(2)

const Row = Schema.Struct({ id: Schema.Int, name: Schema.String })
const Convert = Task.make("examples/Convert", { payload: Row, success: Row })
const Handlers = RpcGroup.make(Convert).toLayer({
  "examples/Convert": ({ id, name }) => Effect.succeed({ id, name: name.toUpperCase() })
})

const Range = Job.make("examples/Range", {
  payload: Schema.Struct({ first: Schema.Int, last: Schema.Int }),
  success: Schema.Void
})
const RangeProgram = Range.toLayer(Effect.fnUntraced(function*({ first, last }) {
  const sql = yield* SqlClient.SqlClient
  const { fanOut } = yield* TaskDispatcher
  const people = Source.paged(
    Schema.Int,
    (after, limit) =>
      sql<typeof Row.Type>`SELECT id, name FROM old WHERE id > ${Option.getOrElse(after, () => first - 1)}
        AND id <= ${last} ORDER BY id LIMIT ${limit}`,
    ({ id }) => id
  )
  yield* fanOut("people", Convert, people, {
    onDone: (done) => sql`INSERT INTO person ${sql.insert(Arr.map(done, ({ value }) => value))}`
  })
}, Effect.catchTag("SqlError", Effect.die)))

const People = Job.make("examples/LargePeople", {
  payload: Schema.Struct({ last: Schema.Int }),
  success: Progress.Tally,
  error: JobManagerError
})
const PeopleProgram = People.toLayer(({ last }) =>
  Effect.map(ChildJobs.partitioned("people", Range, Source.ranges(1, last, 10_000)), ({ tally }) => tally)
)

const Client = Fanout.layerSqlClient({ filename })
const Runtime = Fanout.layer({ filename, jobs: [People, Range] }).pipe(
  Layer.provide([PeopleProgram, RangeProgram]),
  Layer.provide([Handlers, Client])
)
const main = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE IF NOT EXISTS person (id INTEGER PRIMARY KEY, name TEXT NOT NULL)`
  const [row] = yield* sql<{ last: number }>`SELECT max(id) AS last FROM old`
  const { done } = yield* People.execute({ last: row?.last ?? 0 })
  yield* Console.log(`${done} rows`)
})
await Effect.runPromise(command === "help" ? Layer.launch(Runtime) : Effect.provide(main, [Runtime, Client]))
