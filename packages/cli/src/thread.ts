/**
 * What a thread of the command runs.
 */
import { runThread } from "@fanout/core/node"
import { ThreadTasks } from "@fanout/ops/HashFile"
import * as HashFileLive from "@fanout/ops/HashFileLive"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Layer from "effect/Layer"

runThread(ThreadTasks, Layer.provide(HashFileLive.layer, SystemFiles.layerBlocking))
