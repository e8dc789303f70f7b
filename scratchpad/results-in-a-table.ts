// The results of tasks in a table beside the jobs. Each result is in the table once, even after kills. Run by
// `npx node --conditions=@fanout/source scratchpad/results-in-a-table.ts`.
import type * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as Fanout from "@fanout/core/node"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

const count = 100_000
const [, , given] = process.argv
const folder = given ?? fs.mkdtempSync(path.join(os.tmpdir(), "fanout-results-"))
const filename = path.join(folder, "jobs.db")

const Factor = Task.make("scratchpad/Factor", { payload: Schema.Number, success: Schema.Number, pool: "cpu" })
class Tasks extends RpcGroup.make(Factor) {}
const handlers = Tasks.toLayer({
  "scratchpad/Factor": (n) =>
    Effect.sync(() => {
      let divisor = 2
      while (divisor * divisor <= n && n % divisor !== 0) divisor++
      return divisor * divisor <= n ? divisor : n
    })
})

const Factors = Job.make("scratchpad/Factors", { success: Progress.Tally })
const rowOf = ({ payload, value }: FanOut.Ended<number, number>): { readonly n: number; readonly factor: number } => ({
  n: Option.getOrThrow(payload),
  factor: Option.getOrThrow(value)
})

/** The kill comes at a random moment after so many results. So each process gets on, however slow the machine is. */
let left = Math.random() * 40_000
const killSoon = (results: number) =>
  Effect.sync(() => {
    left -= results
    if (left < 0) setTimeout(() => process.kill(process.pid, "SIGKILL"), Math.random() * 10)
  })

const program = Factors.toLayer(Effect.fnUntraced(function*() {
  const sql = yield* SqlClient.SqlClient
  const { fanOut } = yield* TaskDispatcher
  yield* sql`CREATE TABLE IF NOT EXISTS factors (n INTEGER PRIMARY KEY, factor INTEGER NOT NULL)`
  return yield* fanOut("numbers", Factor, Source.range(2, count), {
    // The fan-out gives each result once. A second row of a number would be an error of the table.
    onCommit: (ended) =>
      Effect.andThen(sql`INSERT INTO factors ${sql.insert(Arr.map(ended, rowOf))}`, killSoon(ended.length))
  })
}, Effect.orDie)).pipe(Layer.provide(handlers))

const runtime = Fanout.layer({ filename, jobs: [Factors] }).pipe(
  Layer.provide(program),
  Layer.provideMerge(Fanout.layerSqlClient({ filename }))
)

/** Starts the job or goes on with the job, and waits for its end. */
const work = Effect.gen(function*() {
  const { done } = yield* Factors.execute()
  const sql = yield* SqlClient.SqlClient
  const [row] = yield* sql`SELECT count(*) AS rows, sum(n = factor) AS primes FROM factors`
  console.log(`${done} done, ${String(row?.["rows"])} rows, ${String(row?.["primes"])} primes`)
})

if (given !== undefined) {
  await Effect.runPromise(Effect.provide(work, runtime))
} else {
  for (let kills = 0;; kills++) {
    const { signal, stdout } = spawnSync(process.execPath, [...process.execArgv, import.meta.filename, folder], {
      stdio: ["ignore", "pipe", "inherit"],
      encoding: "utf8"
    })
    if (signal === null) {
      console.log(`After ${kills} kills: ${stdout.trim()}`)
      break
    }
  }
  fs.rmSync(folder, { recursive: true })
}
