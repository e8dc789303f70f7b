/**
 * What a child process of the command runs.
 */
import { runThread } from "@fanout/core/threads"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import { ProcessTasks } from "@fanout/ops/ThumbnailTask"
import * as ThumbnailTaskLive from "@fanout/ops/ThumbnailTaskLive"
import * as Layer from "effect/Layer"

runThread(ProcessTasks, Layer.provide(ThumbnailTaskLive.layer, SystemFiles.layerBlocking))
