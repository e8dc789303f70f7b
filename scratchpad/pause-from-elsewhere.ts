// A job runs in one process. Another process pauses and resumes the job. Run by
// `npx node --conditions=@fanout/source scratchpad/pause-from-elsewhere.ts`.
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import * as Fanout from "@fanout/core/node"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

const [, , given] = process.argv
const folder = given ?? fs.mkdtempSync(path.join(os.tmpdir(), "fanout-pause-"))
const filename = path.join(folder, "jobs.db")

const counted = TaskCheckpoint.make(Schema.Number)

/** One long item. A checkpoint remembers the last number. */
const countTo = Effect.fnUntraced(function*(last: number) {
  const from = Option.getOrElse(yield* counted.get, () => 0)
  console.log(`worker: counts on from ${from}`)
  for (let n = from + 1; n <= last; n++) {
    yield* Effect.sleep("10 millis")
    yield* counted.save(n)
    yield* Interrupter.check
  }
  console.log(`worker: has counted to ${last}`)
  return last
})

const Counting = Job.make("scratchpad/Counting", {
  success: Schema.Array(Schema.Number),
  idempotencyKey: () => "the one"
})
const program = Counting.toLayer(() =>
  TaskDispatcher.use(({ forEach }) => forEach("count", [300], countTo, { success: Schema.Number }))
)

/** Runs the job to its end, through pauses. */
const worker = Counting.execute().pipe(
  Effect.provide(Layer.provide(Fanout.layer({ filename, jobs: [Counting] }), program))
)

/** Starts, pauses and resumes the job, and runs no job. */
const person = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const { id, watch } = yield* Counting.start()
  spawn(process.execPath, ["--conditions=@fanout/source", import.meta.filename, folder], { stdio: "inherit" })
  const until = (tag: string) =>
    watch.pipe(
      Stream.takeUntil((event) => event._tag === "State" && event.record.state._tag === tag),
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
}).pipe(Effect.provide(Fanout.layerClientOnly({ filename })))

await Effect.runPromise(given === undefined ? person : worker)
if (given === undefined) fs.rmSync(folder, { recursive: true })
