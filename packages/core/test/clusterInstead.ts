/**
 * Loaded before a program that runs its tasks on threads: they run elsewhere instead, as the environment says, and the
 * program stays as it is.
 */
import { layerCluster } from "@fanout/core/cluster"
import { layerOwnerLiveness } from "@fanout/core/node"
import type * as Task from "@fanout/core/Task"
import * as Threads from "@fanout/core/threads"
import * as Layer from "effect/Layer"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import { registerHooks } from "node:module"
import { clientOf, type Registry, security, type TasksModule } from "./clusterTasks.ts"

/** Where the tasks run, and what is needed for that. */
export interface Instead {
  readonly place: "fibers" | "threads" | "processes" | "workers"
  readonly registry: Registry
  /** The module with the tasks of the program. */
  readonly module: string
}

const { module, place, registry }: Instead = JSON.parse(process.env["FANOUT_INSTEAD"] ?? "")
const { Handlers }: TasksModule = await import(module)

registerHooks({
  resolve: (specifier, context, next) => {
    const isProgram = /\/(?:m|sealM)ain\.ts$/.test(context.parentURL ?? "")
    return next(isProgram && specifier === "@fanout/core/threads" ? import.meta.url : specifier, context)
  }
})

export const layerThreads = <R extends Task.Any>(
  tasks: RpcGroup.RpcGroup<R>,
  options: { readonly module: URL }
) => {
  switch (place) {
    case "fibers":
      return Handlers
    case "threads":
      return Threads.layerThreads(tasks, options)
    case "processes":
      return Threads.layerProcesses(tasks, { ...options, execArgv: ["--conditions=@fanout/source"] })
    case "workers":
      return layerCluster(tasks, { security }).pipe(Layer.provide([clientOf(registry), layerOwnerLiveness]))
  }
}
