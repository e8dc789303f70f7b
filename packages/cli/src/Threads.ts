/**
 * Threads that run what would hold up this one.
 */
import { layerThreads } from "@fanout/core/node"
import * as ThreadPool from "@fanout/core/ThreadPool"
import * as Layer from "effect/Layer"
import { threadTasks } from "./ThreadTasks.ts"

/** What they run: beside this module as a source, and beside the command where it is one file. */
const module = new URL(import.meta.url.endsWith(".ts") ? "./thread.ts" : "./thread.js", import.meta.url)

/** What they keep is small. V8 would give each of them 100 MiB for what is about to be thrown away. */
const resourceLimits = { maxYoungGenerationSizeMb: 24 }

/** Layer that supplies the handlers. Threads look up digests in the database. */
export const layer = ({ filename }: { readonly filename: string }) =>
  ThreadPool.layer(threadTasks).pipe(Layer.provide(layerThreads({ module, resourceLimits, argv: [filename] })))
