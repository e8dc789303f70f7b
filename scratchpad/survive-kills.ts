// A fan-out that is killed again and again, and ends all the same. Run by
// `npx node --conditions=@fanout/source scratchpad/survive-kills.ts`.
import * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import { layerOwnerLiveness, layerSqlite } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"

const count = 5000
const [, , given] = process.argv
const folder = given ?? fs.mkdtempSync(path.join(os.tmpdir(), "fanout-kills-"))
const visits = path.join(folder, "visits")

const Visit = Task.make("scratchpad/Visit", { payload: Schema.Number })
class Tasks extends RpcGroup.make(Visit) {}
const handlers = Tasks.toLayer({
  "scratchpad/Visit": (n) =>
    Effect.sleep("2 millis").pipe(Effect.andThen(Effect.sync(() => fs.appendFileSync(visits, `${n}\n`))))
})

const Visits = Job.make("scratchpad/Visits", {
  success: Progress.Tally,
  error: FanOut.FanOutStopped,
  idempotencyKey: () => "the one"
})
const program = Visits.toLayer(() =>
  TaskDispatcher.use(({ fanOut }) =>
    fanOut(
      "visits",
      Visit,
      (after) =>
        Stream.range(Option.match(after, { onNone: () => 1, onSome: (cursor) => Number(cursor) + 1 }), count).pipe(
          Stream.map((n) => ({ _tag: "Item" as const, cursor: String(n), payload: n }))
        )
    )
  )
).pipe(Layer.provide(handlers))

const runtime = JobManager.layer({ jobs: [Visits] }).pipe(
  Layer.provide([program, Pools.layer()]),
  Layer.provide([layerSqlite({ filename: path.join(folder, "jobs.db") }), layerOwnerLiveness])
)

/** Starts the job, or goes on with it, to its end. */
const work = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const job = yield* manager.start(Visits, undefined)
  const { done } = yield* job.await
  console.log(`${done} of ${count} done`)
}).pipe(Effect.provide(runtime))

const visited = (): ReadonlyArray<string> =>
  fs.existsSync(visits) ? fs.readFileSync(visits, "utf8").trimEnd().split("\n") : []

/** Kills a process that does the work after each thousand visits, until one ends by itself. */
const torment = async () => {
  for (let kills = 0;; kills++) {
    const before = visited().length
    const args = ["--conditions=@fanout/source", import.meta.filename, folder]
    const child = spawn(process.execPath, args, { stdio: "inherit" })
    const ended = once(child, "exit")
    while (child.exitCode === null && visited().length < before + 1000) await setTimeout(10)
    child.kill("SIGKILL")
    await ended
    if (child.exitCode === null) continue
    const all = visited()
    const again = all.length - new Set(all).size
    console.log(`Killed ${kills} times. ${again} visits were made again, where ${256 * kills} would have been allowed.`)
    return fs.rmSync(folder, { recursive: true })
  }
}

await (given === undefined ? torment() : Effect.runPromise(work))
