import { runThread } from "@fanout/core/threads"
import { handlers, Tasks } from "./threadTasks.ts"

runThread(Tasks, handlers(true))
