// A worker of a cluster, until it is asked to end.
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { layerChild } from "./clusterTasks.ts"

const [options = "{}"] = process.argv.slice(2)
const ready = Layer.effectDiscard(Effect.sync(() => process.stdout.write("ready\n")))

const fiber = Effect.runFork(Layer.launch(Layer.provideMerge(ready, layerChild(JSON.parse(options)))))
process.once("SIGTERM", () => fiber.interruptUnsafe())
await Effect.runPromise(Fiber.await(fiber))
