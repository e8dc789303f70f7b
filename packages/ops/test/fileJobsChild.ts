import * as JobManager from "@fanout/core/JobManager"
import { layerOwnerLiveness, layerSqlite } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import * as FileJobs from "@fanout/ops/FileJobs"
import * as FilePath from "@fanout/ops/FilePath"
import * as HashCheck from "@fanout/ops/HashCheck"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as path from "node:path"

// An application that checks a checksum file, which is always done by threads.
const [, , file = "", thread] = process.argv
const filename = path.join(path.dirname(file), "jobs.db")
const module = thread === undefined ? undefined : new URL(thread, import.meta.url)

const runtime = JobManager.layer({ jobs: FileJobs.jobs }).pipe(
  Layer.provideMerge(FileJobs.layer({ filename, module })),
  Layer.provide([layerSqlite({ filename }), layerOwnerLiveness, Pools.layer({ io: 4 })])
)

const main = Effect.gen(function*() {
  const folder = FilePath.make(path.dirname(file))
  const payload = yield* HashCheck.plan({ file: FilePath.make(file), folder, algorithm: Option.none(), leaveOut: [] })
  const { done, failed } = yield* (yield* (yield* JobManager.JobManager).start(HashCheck.job, payload)).await
  process.stdout.write(`${done} OK, ${failed} FAILED\n`)
})

await Effect.runPromise(Effect.provide(main, runtime))
