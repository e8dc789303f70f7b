/**
 * What a thread of `fanout metadata` runs: it has parsers that the threads of other jobs are not to load.
 */
import { runThread } from "@fanout/core/threads"
import { ThreadTasks } from "@fanout/ops/MediaTask"
import * as MediaTaskLive from "@fanout/ops/MediaTaskLive"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Layer from "effect/Layer"

runThread(ThreadTasks, Layer.provide(MediaTaskLive.layer, SystemFiles.layerBlocking))
