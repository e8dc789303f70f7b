// What tasks succeed with, in a table beside the jobs: once each, whatever happens. Run by
// `npx node --conditions=@fanout/source scratchpad/results-in-a-table.ts`.
import type * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import { layerOwnerLiveness, layerSqlClient, layerSqlite } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
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

const Factors = Job.make("scratchpad/Factors", { success: Progress.Tally, idempotencyKey: () => "the one" })
const rowOf = ({ payload, value }: FanOut.Ended<number, number>): { readonly n: number; readonly factor: number } => ({
  n: Option.getOrThrow(payload),
  factor: Option.getOrThrow(value)
})

const program = Factors.toLayer(Effect.fnUntraced(function*() {
  const sql = yield* SqlClient.SqlClient
  const { fanOut } = yield* TaskDispatcher
  yield* sql`CREATE TABLE IF NOT EXISTS factors (n INTEGER PRIMARY KEY, factor INTEGER NOT NULL)`
  const numbers = (after: Option.Option<string>) =>
    Stream.range(Option.match(after, { onNone: () => 2, onSome: (cursor) => Number(cursor) + 1 }), count).pipe(
      Stream.map((n) => ({ _tag: "Item" as const, cursor: String(n), payload: n }))
    )
  return yield* fanOut("numbers", Factor, numbers, {
    // A row that is there twice would be an error: no ending is ever given twice.
    onCommit: (ended) => Effect.asVoid(sql`INSERT INTO factors ${sql.insert(Arr.map(ended, rowOf))}`)
  })
}, Effect.orDie)).pipe(Layer.provide(handlers))

const runtime = JobManager.layer({ jobs: [Factors] }).pipe(
  Layer.provide([program, Pools.layer()]),
  Layer.provideMerge(layerSqlClient({ filename })),
  Layer.provide([layerSqlite({ filename }), layerOwnerLiveness])
)

/** Starts the job, or goes on with it, to its end. */
const work = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const sql = yield* SqlClient.SqlClient
  const handle = yield* manager.start(Factors, undefined)
  const { done } = yield* handle.await
  const [row] = yield* sql`SELECT count(*) AS rows, sum(n = factor) AS primes FROM factors`
  console.log(`${done} done, ${String(row?.["rows"])} rows, ${String(row?.["primes"])} primes`)
})

if (given !== undefined) {
  // Killed at some moment, of which this program knows nothing.
  const kill = setTimeout(() => process.kill(process.pid, "SIGKILL"), 100 + Math.random() * 400)
  await Effect.runPromise(Effect.provide(work, runtime))
  clearTimeout(kill)
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
