/**
 * What a thread of the command runs.
 */
import { runThread } from "@fanout/core/node"
import { ThreadTasks } from "@fanout/ops/HashFile"
import * as HashFileLive from "@fanout/ops/HashFileLive"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import { VerifyTasks } from "@fanout/ops/VerifyEntry"
import * as VerifyEntryLive from "@fanout/ops/VerifyEntryLive"
import * as Layer from "effect/Layer"

runThread(
  ThreadTasks.merge(VerifyTasks),
  Layer.provide(Layer.merge(HashFileLive.layer, VerifyEntryLive.layer), SystemFiles.layerBlocking)
)
