// What a fan-out adds to each task: no-op tasks with pool, timeout and retry declared.
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import * as Node from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import type { Element } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

const Nothing = Task.make("bench/Nothing", {
  payload: { n: Schema.Number },
  key: ({ n }) => String(n),
  pool: "cpu",
  timeout: "2 minutes",
  retry: Schedule.exponential(200).pipe(Schedule.upTo({ times: 5 }))
})
class Tasks extends RpcGroup.make(Nothing) {}

const numbers = (count: number) => (after: Option.Option<string>): Stream.Stream<Element<{ readonly n: number }>> => {
  const start = Option.match(after, { onNone: () => 0, onSome: (cursor) => Number.parseInt(cursor, 36) + 1 })
  return start >= count ? Stream.empty : Stream.range(start, count - 1).pipe(
    // A range comes in chunks of 4,096, and two chunks of elements are in memory at a time.
    Stream.rechunk(256),
    // V8 keeps every number that it has written in base ten for a while, in a cache of many thousands.
    Stream.map((n) => ({ _tag: "Item" as const, cursor: n.toString(36), payload: { n } }))
  )
}

const Count = Job.make("bench/count", { payload: Schema.Struct({ count: Schema.Number }) })
const program = Count.toLayer(({ count }) =>
  Effect.asVoid(TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("count", Nothing, numbers(count))).pipe(Effect.orDie))
)
const handlers = Tasks.toLayer({ "bench/Nothing": () => Effect.void })

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-bench-"))
const runtime = JobManager.layer({ jobs: [Count] }).pipe(
  Layer.provide([program.pipe(Layer.provide(handlers)), Pools.layer({ cpu: 64 })]),
  Layer.provide([Node.layerSqlite({ filename: path.join(folder, "jobs.db") }), Node.layerOwnerLiveness])
)

const time = (count: number) =>
  Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const start = performance.now()
    const cpu = process.threadCpuUsage()
    const handle = yield* manager.start(Count, { count })
    yield* handle.await
    const micros = (performance.now() - start) * 1000 / count
    const own = process.threadCpuUsage(cpu)
    const cpuMicros = (own.user + own.system) / count
    collectGarbage()
    const rss = process.memoryUsage().rss / 2 ** 20
    const resident = `resident ${rss.toFixed(0)} MiB after`
    console.log(
      `${count} tasks: ${micros.toFixed(2)} µs a task, ${cpuMicros.toFixed(2)} of them computing, ${resident}`
    )
  })

await Effect.runPromise(
  Effect.andThen(time(10_000), Effect.andThen(time(10_000), time(1_000_000))).pipe(Effect.provide(runtime))
)
fs.unlinkSync(path.join(folder, "jobs.db"))
