// A worker of a cluster, until it is ended.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { layerChild } from "./clusterTasks.ts"

const [options = "{}"] = process.argv.slice(2)
const ready = Layer.effectDiscard(Effect.sync(() => process.stdout.write("ready\n")))

NodeRuntime.runMain(Layer.launch(Layer.provideMerge(ready, layerChild(JSON.parse(options)))))
