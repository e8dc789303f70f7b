// Owns a job of walks on a cluster, until the job is over or the process is killed.
import { JobManager } from "@fanout/core/JobManager"
import * as Effect from "effect/Effect"
import { layerOwner, Walking } from "./clusterTasks.ts"

const [registry = "{}", walks = "{}"] = process.argv.slice(2)

await Effect.runPromise(
  Effect.gen(function*() {
    const jobs = yield* JobManager
    const job = yield* jobs.start(Walking, JSON.parse(walks))
    process.stdout.write(`${job.id}\n`)
    process.stdout.write(`${JSON.stringify(yield* job.await)}\n`)
  }).pipe(Effect.provide(layerOwner(JSON.parse(registry))))
)
