import { FlowProducer, QueueEvents, Worker } from "bullmq"
import { work } from "./work.ts"

const connection = { url: process.env["REDIS_URL"] ?? "redis://localhost:6379" }
const limits = { concurrency: 8, lockDuration: 5000, stalledInterval: 2500, maxStalledCount: 10 }
const numbers = Array.from({ length: 100 }, (_, n) => n)

const squares = new Worker<{ n: number }>("squares", ({ data }) => work(data.n), { connection, ...limits })
const sums = new Worker("sums", async (job) => {
  const values = await job.getChildrenValues<number>()
  return numbers.map((n) => values[`bull:squares:square-${n}`])
}, { connection })

const events = new QueueEvents("sums", { connection })
const flows = new FlowProducer({ connection })
const children = numbers.map((n) => {
  const opts = { jobId: `square-${n}`, failParentOnFailure: true }
  return { name: "square", queueName: "squares", data: { n }, opts }
})
const { job } = await flows.add({ name: "sum", queueName: "sums", opts: { jobId: "sum-1" }, children })
console.log(JSON.stringify(await job.waitUntilFinished(events)))
await Promise.all([squares, sums, events, flows].map((_) => _.close()))
