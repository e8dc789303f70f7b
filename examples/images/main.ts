/**
 * Draws 160 pictures, shrinks each picture, and joins the small pictures to film strips, on all cores.
 *
 * The job is a pipeline. Each stage is a `runAll`, and begins when the stage before has ended. When the job goes on, an
 * ended stage costs nothing. A stopped stage runs only its unrecorded pictures. The tasks are in `tasks.ts`. The layer
 * `Threads` runs the tasks on threads, and the job does not know. One folder is one job: a completed job gives its
 * stored result, and draws nothing.
 *
 * `npx node --conditions=@fanout/source examples/images/main.ts pictures`; then look at `pictures/strip-0.pgm`.
 */
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import * as Fanout from "@fanout/core/node"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import { layerThreads } from "@fanout/core/threads"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as path from "node:path"
import { Draw, Join, Shrink, Tasks } from "./tasks.ts"

const folder = path.resolve(process.argv[2] ?? "pictures")
const frames = 160
const perStrip = 40

const Pipeline = Job.make("images/Pipeline", {
  payload: Schema.Struct({ folder: Schema.String }),
  success: Schema.Struct({ drawn: Schema.Natural, shrunk: Schema.Natural, strips: Schema.Natural })
})

const Program = Pipeline.toLayer(Effect.fnUntraced(function*({ folder }) {
  const { runAll } = yield* TaskDispatcher
  const files = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${folder}/${name}-${i}.pgm`)
  const large = files("frame", frames)
  const small = files("small", frames)
  const draw = large.map((to, frame) => ({ frame, to }))
  const shrink = small.map((to, i) => ({ from: large[i] ?? "", to }))
  const join = files("strip", frames / perStrip).map((to, i) => ({
    from: small.slice(i * perStrip, (i + 1) * perStrip),
    to
  }))
  // A picture takes milliseconds. So few pictures at a time keep the threads busy, and a crash costs few pictures.
  const options = { concurrency: 8, flushEvery: 8 }
  const drawn = yield* runAll("draw", Draw, draw, options)
  const shrunk = yield* runAll("shrink", Shrink, shrink, options)
  const strips = yield* runAll("join", Join, join, options)
  return { drawn: drawn.length, shrunk: shrunk.length, strips: strips.length }
}))

const Threads = layerThreads(Tasks, { module: new URL("./thread.ts", import.meta.url) })
const Runtime = Fanout.layer({ filename: path.join(folder, "jobs.db"), jobs: [Pipeline] }).pipe(
  Layer.provide(Program),
  Layer.provide(Threads)
)

const main = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const job = yield* Pipeline.start({ folder }, { ifOver: "retry" })
  if ((yield* manager.get(job.id)).state._tag === "Paused") yield* manager.resume(job.id)
  yield* Console.log(job.started ? "Started" : "Going on")
  const { drawn, shrunk, strips } = yield* job.await
  yield* Console.log(`${drawn} drawn, ${shrunk} shrunk, ${strips} strips`)
})

await Effect.runPromise(Effect.provide(main, Runtime))
