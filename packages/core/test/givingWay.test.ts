import { assert, describe, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { stride } from "../../../test/effort.ts"
import { GivingWay } from "./GivingWay.ts"

const Many = Task.make("test/Many", { payload: { n: Schema.Number }, pool: "many" })
const Few = Task.make("test/Few", { payload: { n: Schema.Number }, pool: "few" })
class Tasks extends RpcGroup.make(Many, Few) {}

const checkpoint = TaskCheckpoint.make(Schema.Struct({ n: Schema.Number }))
const job = Job.make("waits", { payload: Schema.Struct({}) })

/** Tasks that wait for permits, for others, for a flush, and end in any order. */
const program = Effect.fnUntraced(function*() {
  const { fanOut, run } = yield* TaskDispatcher.TaskDispatcher
  yield* Effect.all([run(Few, { n: 1 }), run(Few, { n: 2 }), run(Few, { n: 3 })], { concurrency: "unbounded" })
  const source = () =>
    Stream.map(Stream.range(0, 8), (n) => ({ _tag: "Item" as const, cursor: String(n), payload: { n } }))
  yield* fanOut("many", Many, source, { concurrency: 3 })
}, Effect.orDie)

const handlers = Tasks.toLayer({
  "test/Many": ({ n }) =>
    n % 3 === 0
      ? Effect.yieldNow
      : n % 3 === 1
      ? Effect.orDie(checkpoint.commit({ n }))
      : TaskDispatcher.waitForOthers(Effect.yieldNow),
  "test/Few": () => Effect.yieldNow
})

const runtime = JobManager.layer({ jobs: [job] }).pipe(
  Layer.provide(Layer.provide(job.toLayer(program), handlers)),
  Layer.provide(Pools.layer({ many: 2, few: 1 })),
  Layer.provide([MemoryJobStore.layer, OwnerLiveness.layerBlind])
)

const runJob = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const { await: ended } = yield* manager.start(job, {})
  yield* ended
}).pipe(Effect.provide(runtime))

describe("a job", () => {
  it.effect("comes to its end wherever a fiber gives way, although no time passes", () =>
    Effect.gen(function*() {
      let scheduler: GivingWay
      let operation = 0
      do {
        scheduler = new GivingWay(operation)
        const fiber = yield* Effect.forkChild(Effect.provideService(runJob, Scheduler.Scheduler, scheduler))
        for (let turns = 0; turns < 3000 && fiber.pollUnsafe() === undefined; turns++) yield* Effect.yieldNow
        assert.deepStrictEqual(fiber.pollUnsafe(), Exit.void, `before operation ${operation}`)
        operation += stride(7)
      } while (scheduler.hasGivenWay)
      assert.isAbove(operation, 1000)
    }))
})
