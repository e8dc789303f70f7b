/**
 * The tasks that threads of the command run. All its threads have all of them.
 */
import * as CopyTask from "@fanout/ops/CopyTask"
import * as DeleteTask from "@fanout/ops/DeleteTask"
import * as HashTask from "@fanout/ops/HashTask"
import { VerifyTasks } from "@fanout/ops/VerifyEntry"

/** The tasks, for those who run them and for those who have them run. */
export const threadTasks = HashTask.ThreadTasks.merge(CopyTask.ThreadTasks, DeleteTask.ThreadTasks, VerifyTasks)
