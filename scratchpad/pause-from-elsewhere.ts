// A job that runs in one process, and is paused and resumed from another. Run by
// `npx node --conditions=@fanout/source scratchpad/pause-from-elsewhere.ts`.
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import { layerOwnerLiveness, layerSqlite } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

const [, , given] = process.argv
const folder = given ?? fs.mkdtempSync(path.join(os.tmpdir(), "fanout-pause-"))

// One long task that counts to a hundred and remembers how far it has come.
const Count = Task.make("scratchpad/Count", { payload: Schema.Void })
class Tasks extends RpcGroup.make(Count) {}
const counted = TaskCheckpoint.make(Schema.Number)
const handlers = Tasks.toLayer({
  "scratchpad/Count": Effect.fnUntraced(function*() {
    const from = Option.getOrElse(yield* counted.get, () => 0)
    console.log(`worker: counts on from ${from}`)
    for (let n = from + 1; n <= 100; n++) {
      yield* Effect.sleep("10 millis")
      yield* counted.save(n)
      yield* Interrupter.check
    }
    console.log("worker: has counted to 100")
  })
})

const Counting = Job.make("scratchpad/Counting", { idempotencyKey: () => "the one" })
const program = Counting.toLayer(() =>
  TaskDispatcher.use(({ fanOut }) =>
    fanOut(
      "count",
      Count,
      (after) =>
        Option.isSome(after) ? Stream.empty : Stream.make({ _tag: "Item" as const, cursor: "1", payload: undefined })
    )
  ).pipe(Effect.catchTag("FanOutStopped", Effect.die), Effect.asVoid)
).pipe(Layer.provide(handlers))

const layer = (claim: JobManager.Claim) =>
  JobManager.layer({ jobs: [Counting], claim }).pipe(
    Layer.provide([program, Pools.layer()]),
    Layer.provide([layerSqlite({ filename: path.join(folder, "jobs.db") }), layerOwnerLiveness])
  )

/** Runs the job to its end, through pauses. */
const worker = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const job = yield* manager.start(Counting, undefined)
  yield* job.await
}).pipe(Effect.provide(layer("all")))

/** Runs nothing itself. */
const person = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const { id, watch } = yield* manager.start(Counting, undefined)
  spawn(process.execPath, ["--conditions=@fanout/source", import.meta.filename, folder], { stdio: "inherit" })
  const until = (tag: string) =>
    watch.pipe(
      Stream.filter((event) => event._tag === "State" && event.record.state._tag === tag),
      Stream.take(1),
      Stream.runDrain,
      Effect.andThen(Effect.sync(() => console.log(`person: the job is ${tag}`)))
    )
  yield* until("Running")
  yield* Effect.sleep("400 millis")
  yield* manager.pause(id)
  yield* until("Paused")
  yield* Effect.sleep("500 millis")
  yield* manager.resume(id)
  yield* until("Completed")
}).pipe(Effect.provide(layer("none")))

await Effect.runPromise(given === undefined ? person : worker)
if (given === undefined) fs.rmSync(folder, { recursive: true })
