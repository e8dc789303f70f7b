/**
 * Threads that run what would hold up this one, and processes that run what might take this one down.
 */
import { layerProcesses, layerThreads } from "@fanout/core/threads"
import * as FileJobs from "@fanout/ops/FileJobs"
import { ThreadTasks as MediaThreadTasks } from "@fanout/ops/MediaTask"
import { ProcessTasks } from "@fanout/ops/ThumbnailTask"
import * as ProcessExit from "./exit/ProcessExit.ts"

/** What they run: beside this module as a source, and beside the command where it is one file. */
const moduleOf = (name: string): URL =>
  new URL(`./${name}${import.meta.url.endsWith(".ts") ? ".ts" : ".cjs"}`, import.meta.url)

/** What is made of one file, however hostile, has to do with so much. V8 would take more for what is thrown away. */
const mediaLimits = { maxYoungGenerationSizeMb: 24, maxOldGenerationSizeMb: 256 }

/** Layer that supplies the tasks of file jobs. Threads look up digests in the database. */
export const layer = (filename: string, count: number) =>
  FileJobs.threads({ filename, module: moduleOf("thread") }, count).pipe(ProcessExit.unawaited)

/** Layer that supplies what reads metadata. */
export const media = layerThreads(MediaThreadTasks, {
  module: moduleOf("mediaThread"),
  resourceLimits: mediaLimits
}).pipe(ProcessExit.unawaited)

/** Layer that supplies decoders of images, by as many processes as there are cores. */
export const processes = layerProcesses(ProcessTasks, { module: moduleOf("process") })
