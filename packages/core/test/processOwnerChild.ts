import * as Pools from "@fanout/core/Pools"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { layerProcesses } from "@fanout/core/threads"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Act, Tasks } from "./threadTasks.ts"

// Runs an act in a process of its own, after it has told which that is, and what it comes to. Signals of the terminal
// are those that the owner has heard and not acted upon yet.
const [, , act = "", mark = ""] = process.argv
process.on("SIGINT", () => process.stdout.write("interrupted\n"))

const tasks = layerProcesses(Tasks, { module: new URL("./threadChild.ts", import.meta.url), size: 1, argv: ["", mark] })
const print = (line: string) => Effect.sync(() => process.stdout.write(`${line}\n`))

await Effect.runPromise(
  TaskDispatcher.TaskDispatcher.use((_) =>
    Effect.gen(function*() {
      yield* _.run(Act, { n: 1, act: "starts a process" })
      yield* print(String((yield* _.run(Act, { n: 1, act: "tells its process" })).n))
      yield* print(`ended ${(yield* _.run(Act, { n: 2, act })).n}`)
    })
  ).pipe(Effect.provide([tasks, TaskDispatcher.layer.pipe(Layer.provide(Pools.layer()))]))
)
