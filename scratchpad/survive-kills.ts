// A fan-out whose process is killed again and again. The fan-out ends all the same. Run by
// `npx node --conditions=@fanout/source scratchpad/survive-kills.ts`.
import * as Job from "@fanout/core/Job"
import * as Fanout from "@fanout/core/node"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
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

const Visits = Job.make("scratchpad/Visits", { success: Progress.Tally })
const program = Visits.toLayer(() =>
  TaskDispatcher.use(({ fanOut }) => fanOut("visits", Visit, Source.range(1, count)))
).pipe(Layer.provide(handlers))

const runtime = Layer.provide(Fanout.layer({ filename: path.join(folder, "jobs.db"), jobs: [Visits] }), program)

/** Starts the job or goes on with the job, and waits for its end. */
const work = Effect.gen(function*() {
  const { done } = yield* Visits.execute()
  console.log(`${done} of ${count} done`)
}).pipe(Effect.provide(runtime))

const visited = (): ReadonlyArray<string> =>
  fs.existsSync(visits) ? fs.readFileSync(visits, "utf8").trimEnd().split("\n") : []

/** Kills the working process after each thousand visits, until a process ends by itself. */
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
