/**
 * Draws 160 pictures, shrinks each, and joins the small ones to film strips, on all cores.
 *
 * It shows a pipeline: each stage is a fan-out, and a stage begins when the one before it has ended. A stage that has
 * ended costs nothing when the job goes on, and of the one that was under way only what was not recorded is done again.
 * The tasks are in `tasks.ts`, and run on threads by the layer that is provided here; the job does not know.
 *
 * `npx node --conditions=@fanout/source examples/images/main.ts pictures`; then look at `pictures/strip-0.pgm`.
 */
import * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import { layerOwnerLiveness, layerSqlite } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import { layerThreads } from "@fanout/core/threads"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as path from "node:path"
import { Draw, Join, Shrink, Tasks } from "./tasks.ts"

const folder = path.resolve(process.argv[2] ?? "pictures")
const frames = 160
const perStrip = 40

const Pipeline = Job.make("images/Pipeline", {
  payload: Schema.Struct({ folder: Schema.String }),
  success: Schema.Struct({ drawn: Schema.Natural, shrunk: Schema.Natural, strips: Schema.Natural }),
  error: FanOut.FanOutStopped,
  idempotencyKey: ({ folder }) => folder
})

/** Numbered payloads, from the one behind a cursor on: the source of each stage. */
const numbered = <A>(count: number, payload: (i: number) => A) => (after: Option.Option<string>) =>
  Stream.range(Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 }), count - 1).pipe(
    Stream.map((i) => ({ _tag: "Item" as const, cursor: String(i), payload: payload(i) }))
  )

const Program = Pipeline.toLayer(Effect.fnUntraced(function*({ folder }) {
  const { fanOut } = yield* TaskDispatcher
  const file = (name: string, i: number) => path.join(folder, `${name}-${i}.pgm`)
  const draw = numbered(frames, (i) => ({ frame: i, to: file("frame", i) }))
  const shrink = numbered(frames, (i) => ({ from: file("frame", i), to: file("small", i) }))
  const ofStrip = (i: number) => Array.from({ length: perStrip }, (_, j) => file("small", i * perStrip + j))
  const join = numbered(frames / perStrip, (i) => ({ from: ofStrip(i), to: file("strip", i) }))
  // A picture takes milliseconds, so few at a time are enough to keep the threads busy, and a crash costs few. A stage
  // that needs all pictures of the one before gives up with it, instead of failing on each that is missing.
  const options = { concurrency: 8, flushEvery: 8, failures: "failFast" } as const
  const drawn = yield* fanOut("draw", Draw, draw, options)
  const shrunk = yield* fanOut("shrink", Shrink, shrink, options)
  const strips = yield* fanOut("join", Join, join, options)
  return { drawn: drawn.done, shrunk: shrunk.done, strips: strips.done }
}))

const Threads = layerThreads(Tasks, { module: new URL("./thread.ts", import.meta.url) })
const Runtime = JobManager.layer({ jobs: [Pipeline] }).pipe(
  Layer.provide([Layer.provide(Program, Threads), Pools.layer()]),
  Layer.provide([layerSqlite({ filename: path.join(folder, "jobs.db") }), layerOwnerLiveness])
)

const main = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const [before] = yield* manager.list({ states: ["Paused", "Failed"] })
  if (before !== undefined) yield* manager[before.state._tag === "Paused" ? "resume" : "retry"](before.id)
  const job = yield* before === undefined ? manager.start(Pipeline, { folder }) : manager.attach(Pipeline, before.id)
  yield* Console.log(job.started ? "Started" : "Going on")
  const { drawn, shrunk, strips } = yield* job.await
  yield* Console.log(`${drawn} drawn, ${shrunk} shrunk, ${strips} strips`)
})

await Effect.runPromise(Effect.provide(main, Runtime))
