/**
 * The tasks that threads of the command run. All its threads have all of them.
 */
import * as DeleteTask from "@fanout/ops/DeleteTask"
import * as HashFile from "@fanout/ops/HashFile"
import { VerifyTasks } from "@fanout/ops/VerifyEntry"

/** The tasks, for those who run them and for those who have them run. */
export const threadTasks = HashFile.ThreadTasks.merge(DeleteTask.ThreadTasks, VerifyTasks)
