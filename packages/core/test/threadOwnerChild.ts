import * as Pools from "@fanout/core/Pools"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { layerThreads } from "@fanout/core/threads"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Act, Tasks } from "./threadTasks.ts"

// A program whose output is data, and whose tasks print what they like.
const tasks = layerThreads(Tasks, { module: new URL("./threadChild.ts", import.meta.url), size: 1 })

await Effect.runPromise(
  TaskDispatcher.TaskDispatcher.use((_) =>
    Effect.gen(function*() {
      for (const n of [1, 2]) {
        yield* _.run(Act, { n, act: "prints" })
        yield* Effect.sync(() => process.stdout.write(`${JSON.stringify({ n })}\n`))
      }
    })
  ).pipe(Effect.provide([tasks, TaskDispatcher.layer.pipe(Layer.provide(Pools.layer()))]))
)
