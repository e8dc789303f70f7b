/**
 * What a thread of the command runs.
 */
import { runThread } from "@fanout/core/node"
import * as DeleteNamesLive from "@fanout/ops/DeleteNamesLive"
import * as HashFileLive from "@fanout/ops/HashFileLive"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as VerifyEntryLive from "@fanout/ops/VerifyEntryLive"
import * as Layer from "effect/Layer"
import { threadTasks } from "./ThreadTasks.ts"

const handlers = Layer.mergeAll(HashFileLive.layer, DeleteNamesLive.layer, VerifyEntryLive.layer)

runThread(threadTasks, Layer.provide(handlers, SystemFiles.layerBlocking))
