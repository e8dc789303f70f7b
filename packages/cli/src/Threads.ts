/**
 * Threads that run what would hold up this one.
 */
import { layerThreads } from "@fanout/core/node"
import * as ThreadPool from "@fanout/core/ThreadPool"
import { ThreadTasks as MediaThreadTasks } from "@fanout/ops/MediaTask"
import * as Layer from "effect/Layer"
import * as os from "node:os"
import * as ProcessExit from "./ProcessExit.ts"
import { threadTasks } from "./ThreadTasks.ts"

/** What they run: beside this module as a source, and beside the command where it is one file. */
const moduleOf = (name: string): URL =>
  new URL(`./${name}${import.meta.url.endsWith(".ts") ? ".ts" : ".cjs"}`, import.meta.url)

/** What they keep is small. V8 would give each of them 100 MiB for what is about to be thrown away. */
const resourceLimits = { maxYoungGenerationSizeMb: 24 }

/** What is made of one file, however hostile, has to do with so much. */
const mediaLimits = { ...resourceLimits, maxOldGenerationSizeMb: 256 }

/** Layer that supplies the handlers. Threads look up digests in the database. */
export const layer = (filename: string, options: ThreadPool.Options = {}) =>
  ThreadPool.layer(threadTasks, options).pipe(
    Layer.provide(layerThreads({ module: moduleOf("thread"), resourceLimits, argv: [filename] })),
    ProcessExit.unawaited
  )

/** Layer that supplies what reads metadata. */
export const media = ThreadPool.layer(MediaThreadTasks).pipe(
  Layer.provide(layerThreads({ module: moduleOf("mediaThread"), resourceLimits: mediaLimits })),
  ProcessExit.unawaited
)

const cores = os.availableParallelism()

const those = (filename: string, count: number) => ({ layer: layer(filename, { size: count }), count })

/** Those who share work with this thread where it does some of it to the end, and where all of it is theirs. */
export const others = (filename: string) => ({
  beside: those(filename, Math.max(1, cores - 1)),
  alone: those(filename, cores)
})
