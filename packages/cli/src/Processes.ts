/**
 * Processes that run what might take this one down: decoders of images.
 */
import { layerProcesses } from "@fanout/core/node"
import * as ThreadPool from "@fanout/core/ThreadPool"
import { ProcessTasks } from "@fanout/ops/ThumbnailTask"
import * as Layer from "effect/Layer"

/** What they run: beside this module as a source, and beside the command where it is one file. */
const module = new URL(import.meta.url.endsWith(".ts") ? "./process.ts" : "./process.cjs", import.meta.url)

/** Layer that supplies the handlers, by as many processes as there are cores. */
export const layer = ThreadPool.layer(ProcessTasks).pipe(Layer.provide(layerProcesses({ module })))
