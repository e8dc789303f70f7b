// What a task costs on three workers of a cluster, beside fibers and two threads of one process, with all jobs in
// Postgres on this machine. Each way has processes of its own. The second of two runs counts.
import * as PgClient from "@effect/sql-pg/PgClient"
import { layerCluster } from "@fanout/core/cluster"
import * as JobManager from "@fanout/core/JobManager"
import { layerOwnerLiveness } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import { layerThreads } from "@fanout/core/threads"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { PostgresServer } from "../packages/core/test/postgresServer.ts"
import { handlers, Many, program, security, Tasks } from "./internal/clusterTasks.ts"
import { median } from "./measure.ts"

const ways = ["fibers", "threads", "workers"] as const
type Way = (typeof ways)[number]
const works = { Nothing: 200_000, Digest: 2000 } as const
type Work = keyof typeof works
const rounds = 3

interface Figures {
  readonly perSecond: number
  /** Microseconds of all processors for each task: of the owner, and of the workers. */
  readonly owner: number
  readonly others: number
  readonly residentMiB: number
}

const layers = {
  fibers: handlers,
  threads: layerThreads(Tasks, { module: new URL("./internal/clusterThread.ts", import.meta.url), size: 2 }),
  workers: layerCluster(Tasks, { security })
}

/** Milliseconds of processors that a process has used. */
const usedBy = (pid: number): number => {
  const [, fields = ""] = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")
  const [user = 0, system = 0] = fields.split(" ").slice(11, 13).map(Number)
  return (user + system) * 10
}

const measure = async (way: Way, task: Work): Promise<Figures> => {
  const server = await PostgresServer.start()
  const firstPort = 20_000 + process.pid % 20_000
  const workers = Array.from({ length: way === "workers" ? 3 : 0 }, (_, n) => {
    const worker = new URL("./internal/clusterWorker.ts", import.meta.url).pathname
    return spawn(process.execPath, [...process.execArgv, worker, server.folder, String(firstPort + n)], {
      stdio: "ignore"
    })
  })
  const pids = workers.map(({ pid = 0 }) => pid)
  const used = () => pids.reduce((sum, pid) => sum + usedBy(pid), 0)
  const count = works[task]
  const run = Effect.gen(function*() {
    const [owner, others, start] = [usedBy(process.pid), used(), performance.now()]
    const job = yield* JobManager.JobManager.use((manager) => manager.start(Many, { count, task }))
    yield* job.await
    const millis = performance.now() - start
    return {
      perSecond: count / millis * 1000,
      owner: (usedBy(process.pid) - owner) * 1000 / count,
      others: (used() - others) * 1000 / count,
      residentMiB: process.memoryUsage().rss / 2 ** 20
    }
  })
  const runtime = JobManager.layer({ jobs: [Many] }).pipe(
    Layer.provide(program),
    Layer.provide(layers[way]),
    Layer.provideMerge(SqlJobStore.layer),
    Layer.provide([Pools.layer({ cpu: 2 }), layerOwnerLiveness, PgClient.layer(server.config)])
  )
  const both = Effect.sleep(way === "workers" ? "5 seconds" : 0).pipe(Effect.andThen(run), Effect.andThen(run))
  const figures = await Effect.runPromise(Effect.provide(both, runtime))
  for (const worker of workers) worker.kill()
  await server.stop()
  return figures
}

const [way, task] = process.argv.slice(2)
const isWay = (text: string | undefined): text is Way => ways.some((one) => one === text)
const isWork = (text: string | undefined): text is Work => text !== undefined && text in works
if (isWay(way) && isWork(task)) console.log(JSON.stringify(await measure(way, task)))
else {
  for (const [task, count] of Object.entries(works)) {
    console.log(`${count} tasks, ${task === "Nothing" ? "which do nothing" : "each of which hashes 1 MiB"}`)
    const all = new Map<Way, Array<Figures>>(ways.map((way) => [way, []]))
    for (let round = 0; round < rounds; round++) {
      for (const way of ways) {
        const argv = [...process.execArgv, import.meta.filename, way, task]
        const { stdout } = spawnSync(process.execPath, argv, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })
        all.get(way)?.push(JSON.parse(stdout))
      }
    }
    const of = (way: Way, figure: keyof Figures) => median((all.get(way) ?? []).map((figures) => figures[figure]))
    for (const way of ways) {
      const ratio = of(way, "perSecond") / of("threads", "perSecond")
      console.log([
        way.padEnd(8),
        `${Math.round(of(way, "perSecond"))} a second`.padStart(18),
        `${ratio.toFixed(2)} of two threads`.padStart(20),
        `${of(way, "owner").toFixed(1)} + ${of(way, "others").toFixed(1)} µs a task`.padStart(26),
        `${Math.round(of(way, "residentMiB"))} MiB`.padStart(10)
      ].join(""))
    }
  }
}
