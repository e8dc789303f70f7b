/**
 * What threads of file jobs run: the tasks that would hold up the thread which the jobs are on.
 *
 * `FileJobs` starts these threads. A module of your own that runs the same is one call of `run`.
 */
import { layerSqlClient } from "@fanout/core/node"
import type * as CoreTask from "@fanout/core/Task"
import { runThread } from "@fanout/core/threads"
import * as Layer from "effect/Layer"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type * as SqlClient from "effect/sql/SqlClient"
import type { FilePath } from "./FilePath.ts"
import * as CopyTask from "./internal/copy/copyTask.ts"
import * as CopyUnitLive from "./internal/copy/copyUnitLive.ts"
import * as DeleteBatchLive from "./internal/delete/deleteBatchLive.ts"
import * as DeleteTask from "./internal/delete/deleteTask.ts"
import * as HashTask from "./internal/hash/hashTask.ts"
import * as HashTaskLive from "./internal/hash/hashTaskLive.ts"
import * as SqlHashCache from "./internal/hash/sqlHashCache.ts"
import { VerifyTasks } from "./internal/verify/verifyEntry.ts"
import * as VerifyEntryLive from "./internal/verify/verifyEntryLive.ts"
import * as SystemFiles from "./SystemFiles.ts"

/**
 * The tasks. All threads have all of them.
 *
 * @category models
 */
export const Tasks = HashTask.ThreadTasks.merge(CopyTask.ThreadTasks, DeleteTask.ThreadTasks, VerifyTasks)

/**
 * One of the tasks.
 *
 * @category models
 */
export type Task = RpcGroup.Rpcs<typeof Tasks>

/**
 * Folders and files that a payload of one of the tasks is about, by their real paths. Of `CheckFiles` it is the folder
 * that names begin in: names may lead elsewhere.
 *
 * @category accessors
 */
export const pathsOf = (payload: CoreTask.Payload<Task>): ReadonlyArray<FilePath> =>
  "unit" in payload
    ? [payload.unit.source, payload.unit.target]
    : "a" in payload
    ? [payload.a, payload.b]
    : [typeof payload.root === "string" ? payload.root : payload.root.path]

const handlers = Layer.mergeAll(HashTaskLive.layer, CopyUnitLive.layer, DeleteBatchLive.layer, VerifyEntryLive.layer)

/**
 * Runs the tasks on this thread, which `FileJobs` has started.
 *
 * **Details**
 *
 * Once a task asks for a digest it is looked up by the client of a database: by default that of the SQLite file which
 * the thread was started with.
 *
 * @category running
 */
export const run = (
  client: Layer.Layer<SqlClient.SqlClient, unknown> = layerSqlClient({ filename: process.argv[2] ?? ":memory:" })
): void => runThread(Tasks, Layer.provide(handlers, [SystemFiles.layerBlocking, SqlHashCache.layerLookup(client)]))
