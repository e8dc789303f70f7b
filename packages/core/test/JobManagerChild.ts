// Runs a job on Postgres until it is killed.
import { JobManager } from "@fanout/core/JobManager"
import * as Effect from "effect/Effect"
import { Counting, counting } from "./countingJob.ts"

const [config = "", count = "0"] = process.argv.slice(2)

await Effect.runPromise(
  Effect.gen(function*() {
    const jobs = yield* JobManager
    const job = yield* jobs.start(Counting, Number(count))
    process.stdout.write(`${job.id}\n`)
    yield* job.await
  }).pipe(Effect.provide(counting(JSON.parse(config), () => {})))
)
