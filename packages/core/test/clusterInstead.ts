/**
 * Loaded before a program that runs its tasks on threads: they run elsewhere instead, as the environment says, and the
 * program stays as it is.
 */
import { layerCluster } from "@fanout/core/cluster"
import { layerOwnerLiveness } from "@fanout/core/node"
import * as Threads from "@fanout/core/threads"
import * as Layer from "effect/Layer"
import { registerHooks } from "node:module"
import { Handlers, type Tasks } from "../../../examples/images/tasks.ts"
import { clientOf, security } from "./clusterTasks.ts"

const [place = "", registry = ""] = (process.env["FANOUT_INSTEAD"] ?? "").split(" ", 2)

registerHooks({
  resolve: (specifier, context, next) => {
    const isProgram = context.parentURL?.endsWith("/main.ts") === true
    return next(isProgram && specifier === "@fanout/core/threads" ? import.meta.url : specifier, context)
  }
})

export const layerThreads = (tasks: typeof Tasks, options: { readonly module: URL }) => {
  switch (place) {
    case "fibers":
      return Handlers
    case "threads":
      return Threads.layerThreads(tasks, options)
    case "processes":
      return Threads.layerProcesses(tasks, { ...options, execArgv: ["--conditions=@fanout/source"] })
    default:
      return layerCluster(tasks, { security }).pipe(
        Layer.provide([clientOf(JSON.parse(registry)), layerOwnerLiveness])
      )
  }
}
