/**
 * Processes that run what might take this one down: decoders of images.
 */
import { layerProcesses } from "@fanout/core/threads"
import { ProcessTasks } from "@fanout/ops/ThumbnailTask"

/** What they run: beside this module as a source, and beside the command where it is one file. */
const module = new URL(import.meta.url.endsWith(".ts") ? "./process.ts" : "./process.cjs", import.meta.url)

/** Layer that supplies the handlers, by as many processes as there are cores. */
export const layer = layerProcesses(ProcessTasks, { module })
