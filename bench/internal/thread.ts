import { runThread } from "@fanout/core/threads"
import { handlers, Tasks } from "./emptyTask.ts"

runThread(Tasks, handlers)
