/**
 * Threads that run the tasks for the CPU. One pool of them serves all.
 */
import { layerThreads } from "@fanout/core/node"
import * as ThreadPool from "@fanout/core/ThreadPool"
import { ThreadTasks } from "@fanout/ops/HashFile"
import { VerifyTasks } from "@fanout/ops/VerifyEntry"
import * as Layer from "effect/Layer"

/** What they run: beside this module as a source, and beside the command where it is one file. */
const module = new URL(import.meta.url.endsWith(".ts") ? "./thread.ts" : "./thread.js", import.meta.url)

/** Layer that supplies the handlers. */
export const layer = ThreadPool.layer(ThreadTasks.merge(VerifyTasks)).pipe(Layer.provide(layerThreads({ module })))
