import { assert, describe, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import { countOf, type JobTasks, quantile, upperMillis } from "@fanout/core/JobTasks"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { layerProcesses, layerThreads } from "@fanout/core/threads"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { sourceOf } from "./threadActs.ts"
import { Act, Tasks } from "./threadTasks.ts"

const options = {
  module: new URL("./threadChild.ts", import.meta.url),
  execArgv: ["--conditions=@fanout/source"],
  size: 1
}

const Acts = Job.make("test/TimedActs", {})
const count = 300

/** How long all tasks but the first one took together. */
const spent = { millis: 0 }

/** Tasks of 5 ms. Before them, one ends its thread at its first attempt. */
const program = Acts.toLayer(() =>
  TaskDispatcher.TaskDispatcher.use(({ fanOut }) =>
    Effect.gen(function*() {
      yield* fanOut("lost", Act, sourceOf(["exits, then "]))
      const since = performance.now()
      yield* fanOut("acts", Act, sourceOf(Array.from({ length: count }, () => "spins briefly")))
      spent.millis = performance.now() - since
    })
  ).pipe(Effect.orDie)
)

/** The times and pools of such a job on threads or processes, and the pools that its process had meanwhile. */
const timed = (threads: ReturnType<typeof layerThreads<typeof Act>>) =>
  Effect.gen(function*() {
    const jobs = yield* JobManager.JobManager
    const { id, await: result } = yield* jobs.start(Acts, undefined)
    yield* Effect.sleep("1300 millis")
    const [during] = yield* jobs.processes
    yield* result
    return { during, tasks: yield* jobs.tasks(id) }
  }).pipe(Effect.provide(
    JobManager.layer({ jobs: [Acts] }).pipe(
      Layer.provide(program),
      Layer.provide(threads),
      Layer.provide([Pools.layer(), OwnerLiveness.layerBlind, MemoryJobStore.layer])
    )
  ))

const check = ({ kinds: [kind], threads: [pool] }: JobTasks) => {
  assert.isDefined(kind)
  // Each attempt counts, also the one that was lost.
  assert.strictEqual(countOf(kind.running), count + 2)
  assert.strictEqual(countOf(kind.waiting), count + 2)
  assert.isAtLeast(quantile(kind.running, 0.2) ?? 0, 5)
  // One thread runs one at a time. If they had the times of their batches, these would come to far more in all.
  const least = kind.running.reduce((sum, many, bucket) => sum + many * (upperMillis[bucket - 1] ?? 0), 0)
  assert.isAtMost(least, spent.millis + 100)
  // They come 64 at a time, so most have waited for many others.
  assert.isAtLeast(quantile(kind.waiting, 0.5) ?? 0, 100)
  assert.deepInclude(pool, { name: "test/Act, test/Bytes", size: 1, lost: 1, abandoned: 0 })
  assert.isAtLeast(pool?.ended ?? 0, count)
}

describe("the tasks of a job", () => {
  it.live("on threads have their true times, although they go there in batches", () =>
    Effect.gen(function*() {
      const { during, tasks } = yield* timed(layerThreads(Tasks, options))
      check(tasks)
      assert.isAtMost(during?.threads[0]?.alive ?? 2, 1)
    }))

  it.live("on processes have theirs, by the clock of the machine", () =>
    Effect.map(timed(layerProcesses(Tasks, options)), ({ tasks }) => check(tasks)))
})
