import { runThread } from "@fanout/core/node"
import { handlers, Tasks } from "./emptyTask.ts"

runThread(Tasks, handlers)
