/**
 * Runs the job, goes on with the job, or runs its failed items again: `node src/main.ts [ITEMS]`.
 */
import { JobManager } from "@fanout/core"
import * as Fanout from "@fanout/core/node"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Program, WorkJob } from "./WorkJob.ts"

const filename = process.env["DATABASE"] ?? "example-job.db"
const items = Number(process.argv.slice(2).find((argument) => /^\d+$/.test(argument)) ?? 2000)

const Runtime = Fanout.layer({ filename, jobs: [WorkJob] }).pipe(
  Layer.provide(Program),
  Layer.provide(Fanout.layerSqlClient({ filename }))
)

const main = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const job = yield* WorkJob.start({ items }, { ifOver: "retry" })
  if ((yield* manager.get(job.id)).state._tag === "Paused") yield* manager.resume(job.id)
  yield* Console.log(job.started ? "Started" : "Going on")
  // Shows the recorded progress.
  yield* Stream.runForEach(
    job.watch,
    (event) => event._tag === "Progress" ? Console.log(`${event.progress.tally.done} done`) : Effect.void
  )
  const { done, failed } = yield* job.await
  yield* Console.log(`${done} done, ${failed} failed`)
})

// The first signal stops the tasks at safe points, and hands the job back. The next start goes on with the job.
const stop = new AbortController()
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort())

const exit = await Effect.runPromiseExit(Effect.provide(main, Runtime), { signal: stop.signal })
if (Exit.isFailure(exit)) {
  process.stderr.write(stop.signal.aborted ? "Stopped. The same command goes on.\n" : `${Cause.pretty(exit.cause)}\n`)
  process.exitCode = stop.signal.aborted ? 130 : 1
}
