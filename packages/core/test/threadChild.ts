import { runThread } from "@fanout/core/node"
import { handlers, Tasks } from "./threadTasks.ts"

runThread(Tasks, handlers(true))
