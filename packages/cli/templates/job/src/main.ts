/**
 * Runs the job, goes on with it, or tries again what has failed of it: `node src/main.ts [ITEMS]`.
 */
import { JobManager, Pools } from "@fanout/core"
import { layerOwnerLiveness, layerSqlClient, layerSqlite } from "@fanout/core/node"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Program, WorkJob } from "./WorkJob.ts"

const filename = process.env["DATABASE"] ?? "example-job.db"
const items = Number(process.argv.slice(2).find((argument) => /^\d+$/.test(argument)) ?? 2000)

const Runtime = JobManager.layer({ jobs: [WorkJob] }).pipe(
  Layer.provide([Layer.provide(Program, layerSqlClient({ filename })), Pools.layer()]),
  Layer.provide([layerSqlite({ filename }), layerOwnerLiveness])
)

const main = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const unfinished = yield* manager.list({ names: [WorkJob.name], states: ["Paused", "Failed", "CompletedWithErrors"] })
  const key = WorkJob.idempotencyKey({ items })
  const before = unfinished.find(({ idempotencyKey }) => Equal.equals(idempotencyKey, key))
  if (before !== undefined) yield* manager[before.state._tag === "Paused" ? "resume" : "retry"](before.id)
  // What is done as a whole is done anew.
  const job = yield* before === undefined ? manager.start(WorkJob, { items }) : manager.attach(WorkJob, before.id)
  yield* Console.log(job.started ? "Started" : "Going on")
  // Only what is recorded is told.
  yield* Stream.runForEach(
    job.watch,
    (event) => event._tag === "Progress" ? Console.log(`${event.progress.tally.done} done`) : Effect.void
  )
  const { done, failed } = yield* job.await
  yield* Console.log(`${done} done, ${failed} failed`)
})

// The first signal stops at safe points and hands the job back; the next start goes on with it.
const stop = new AbortController()
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort())

const exit = await Effect.runPromiseExit(Effect.provide(main, Runtime), { signal: stop.signal })
if (Exit.isFailure(exit)) {
  process.stderr.write(stop.signal.aborted ? "Stopped. The same command goes on.\n" : `${Cause.pretty(exit.cause)}\n`)
  process.exitCode = stop.signal.aborted ? 130 : 1
}
