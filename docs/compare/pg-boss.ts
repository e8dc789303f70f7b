import { setTimeout } from "node:timers/promises"
import { PgBoss } from "pg-boss"
import { work } from "./work.ts"

const connectionString = process.env["DATABASE_URL"] ?? "postgres://localhost/postgres"
const boss = new PgBoss({ connectionString, superviseIntervalSeconds: 1, monitorIntervalSeconds: 1 })
boss.on("error", console.error)
await boss.start()
await boss.createQueue("squares", { heartbeatSeconds: 10, retryLimit: 10 })

const numbers = Array.from({ length: 100 }, (_, n) => n)
const [known] = await boss.findJobs("squares", { limit: 1 })
if (known === undefined) await boss.insert("squares", numbers.map((n) => ({ data: { n } })))

const limits = { batchSize: 8, perJobResults: true, burstWhenBatchFull: true } as const
await boss.work<{ n: number }>(
  "squares",
  limits,
  (jobs) =>
    Promise.all(jobs.map(async ({ id, data }) => ({ id, status: "completed", output: { square: await work(data.n) } })))
)

for (;; await setTimeout(200)) {
  const jobs = await boss.findJobs<{ n: number }>("squares")
  if (jobs.some((job) => job.state === "failed")) throw new Error("a square has failed")
  if (jobs.some((job) => job.state !== "completed")) continue
  const ordered = jobs.toSorted((a, b) => a.data.n - b.data.n)
  console.log(JSON.stringify(ordered.map(({ output }) => "square" in output && output.square)))
  break
}
await boss.stop()
