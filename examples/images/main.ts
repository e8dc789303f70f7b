/**
 * Draws 160 pictures, shrinks each, and lays the small ones out on contact sheets, on all cores.
 *
 * It shows a pipeline: each stage is a fan-out, and a stage begins when the one before it has ended. A stage that has
 * ended costs nothing when the job goes on, and of the one that was under way only what was not recorded is done again.
 * The tasks are in `tasks.ts`, and run on threads by the layer that is provided here; the job does not know.
 *
 * `npx node --conditions=@fanout/source examples/images/main.ts pictures`; then look at `pictures/sheet-0.pgm`.
 */
import * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import { layerOwnerLiveness, layerSqlite, layerThreads } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as ThreadPool from "@fanout/core/ThreadPool"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as path from "node:path"
import { Draw, LayOut, Shrink, Tasks } from "./tasks.ts"

const [, , folder = "pictures"] = process.argv
const frames = 160
const perSheet = 40

const Pipeline = Job.make("images/Pipeline", {
  payload: Schema.Struct({ folder: Schema.String }),
  success: Schema.Struct({ drawn: Schema.Natural, shrunk: Schema.Natural, sheets: Schema.Natural }),
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
  const frame = (i: number) => path.join(folder, `frame-${i}.pgm`)
  const small = (i: number) => path.join(folder, `small-${i}.pgm`)
  const sheet = (i: number) => path.join(folder, `sheet-${i}.pgm`)
  // A picture takes milliseconds, so few at a time are enough to keep the threads busy, and a crash costs few. A stage
  // that needs all pictures of the one before gives up with it, instead of failing on each that is missing.
  const options = { concurrency: 8, flushEvery: 8, failures: "failFast", keep: "all" } as const
  const drawn = yield* fanOut("draw", Draw, numbered(frames, (i) => ({ frame: i, to: frame(i) })), options)
  const shrunk = yield* fanOut("shrink", Shrink, numbered(frames, (i) => ({ from: frame(i), to: small(i) })), options)
  const ofSheet = (i: number) => Array.from({ length: perSheet }, (_, j) => small(i * perSheet + j))
  const sheets = yield* fanOut(
    "sheets",
    LayOut,
    numbered(frames / perSheet, (i) => ({ from: ofSheet(i), to: sheet(i) })),
    options
  )
  return { drawn: drawn.done, shrunk: shrunk.done, sheets: sheets.done }
}))

const Threads = ThreadPool.layer(Tasks).pipe(
  Layer.provide(layerThreads({ module: new URL("./thread.ts", import.meta.url) }))
)

const Runtime = JobManager.layer({ jobs: [Pipeline] }).pipe(
  Layer.provide([Layer.provide(Program, Threads), Pools.layer()]),
  Layer.provide([layerSqlite({ filename: path.join(folder, "jobs.db") }), layerOwnerLiveness])
)

const main = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const job = yield* manager.start(Pipeline, { folder: path.resolve(folder) })
  yield* Console.log(job.started ? "Started" : "Going on")
  const { drawn, sheets, shrunk } = yield* job.await
  yield* Console.log(`${drawn} drawn, ${shrunk} shrunk, ${sheets} sheets`)
})

fs.mkdirSync(folder, { recursive: true })
await Effect.runPromise(Effect.provide(main, Runtime))
