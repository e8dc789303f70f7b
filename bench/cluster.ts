// What a task costs on the workers of a cluster, beside threads and fibers of one process, with all jobs in Postgres.
import * as PgClient from "@effect/sql-pg/PgClient"
import { layerCluster } from "@fanout/core/cluster"
import { JobManager } from "@fanout/core/JobManager"
import * as JobManagerModule from "@fanout/core/JobManager"
import { layerOwnerLiveness } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import { layerThreads } from "@fanout/core/threads"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { PostgresServer } from "../packages/core/test/postgresServer.ts"
import { handlers, Many, program, security, Tasks } from "./internal/clusterTasks.ts"

const [workers, count, task] = [
  Number(process.argv[2] ?? 3),
  Number(process.argv[3] ?? 200_000),
  process.argv[4] ?? "Nothing"
]
const server = await PostgresServer.start()
const client = PgClient.layer(server.config)

const children = Array.from({ length: workers }, (_, n) =>
  spawn(process.execPath, [
    ...process.execArgv,
    new URL("./internal/clusterWorker.ts", import.meta.url).pathname,
    server.folder,
    String(34_500 + n)
  ], { stdio: "inherit" }))

const cpuOf = (pid: number) => {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

const tasks = process.argv[5] === "threads"
  ? layerThreads(Tasks, { module: new URL("./internal/clusterThread.ts", import.meta.url), size: 2 })
  : process.argv[5] === "fibers"
  ? handlers
  : layerCluster(Tasks, { security })

const runtime = JobManagerModule.layer({ jobs: [Many] }).pipe(
  Layer.provide(program),
  Layer.provide(tasks),
  Layer.provideMerge(SqlJobStore.layer),
  Layer.provide([Pools.layer({ cpu: 2 }), layerOwnerLiveness, client])
)

const bench = Effect.gen(function*() {
  const manager = yield* JobManager
  const run = Effect.gen(function*() {
    const pids = [process.pid, ...children.map(({ pid }) => pid ?? 0)]
    const before = pids.map(cpuOf)
    const start = performance.now()
    const job = yield* manager.start(Many, { count, task: task as "Nothing" })
    yield* job.await
    const millis = performance.now() - start
    const used = pids.map((pid, n) => cpuOf(pid) - (before[n] ?? 0))
    console.log(
      `${Math.round(count / millis * 1000)} tasks/s`,
      `${(used.reduce((a, b) => a + b) * 1000 / count).toFixed(1)} µs`,
      used.join(" "),
      `${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB`
    )
  })
  yield* Effect.sleep(workers === 0 ? 0 : 5000)
  for (let n = 0; n < 4; n++) yield* run
})
await Effect.runPromise(Effect.provideService(Effect.provide(bench, runtime), References.MinimumLogLevel, "Debug"))
for (const child of children) child.kill()
await server.stop()
