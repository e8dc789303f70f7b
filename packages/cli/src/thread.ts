/**
 * What a thread of the command runs.
 */
import { layerSqlClient, runThread } from "@fanout/core/node"
import * as CopyFilesLive from "@fanout/ops/CopyFilesLive"
import * as DeleteNamesLive from "@fanout/ops/DeleteNamesLive"
import * as HashTaskLive from "@fanout/ops/HashTaskLive"
import * as SqlHashCache from "@fanout/ops/SqlHashCache"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as VerifyEntryLive from "@fanout/ops/VerifyEntryLive"
import * as Layer from "effect/Layer"
import { threadTasks } from "./ThreadTasks.ts"

const [, , filename = ":memory:"] = process.argv

const handlers = Layer.mergeAll(HashTaskLive.layer, CopyFilesLive.layer, DeleteNamesLive.layer, VerifyEntryLive.layer)

runThread(
  threadTasks,
  Layer.provide(handlers, [SystemFiles.layerBlocking, SqlHashCache.layerLookup(layerSqlClient({ filename }))])
)
