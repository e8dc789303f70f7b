// Calls a service at a rate of its store, and writes a line for each call, until it is killed.
import * as Job from "@fanout/core/Job"
import { JobManager } from "@fanout/core/JobManager"
import * as Node from "@fanout/core/node"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"

const [filename = "", name = "job"] = process.argv.slice(2)

const Call = Task.make("test/Call", { payload: { n: Schema.Int }, pool: "network", rate: "api" })
const Calling = Job.make(`test/Calling-${name}`, {})

const program = Calling.toLayer(() =>
  Effect.flatMap(
    TaskDispatcher,
    ({ fanOut }) => fanOut("calls", Call, Source.map(Source.range(1, 1_000_000), (n) => ({ n })))
  ).pipe(
    Effect.asVoid,
    Effect.orDie
  )
)

await Effect.runPromise(
  Effect.gen(function*() {
    const manager = yield* JobManager
    const job = yield* manager.start(Calling, undefined)
    process.stdout.write("ready\n")
    yield* job.await
  }).pipe(
    Effect.provide(Node.layer({ filename, jobs: [Calling], pools: { network: 64 } })),
    Effect.provide(program),
    Effect.provide(
      RpcGroup.make(Call).toLayer({
        "test/Call": () =>
          Effect.andThen(Effect.sync(() => process.stdout.write(`${Date.now()}\n`)), Effect.sleep("10 millis"))
      })
    )
  )
)
