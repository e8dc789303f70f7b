// A thread of the benchmark of clusters.
import { runThread } from "@fanout/core/threads"
import { handlers, Tasks } from "./clusterTasks.ts"

runThread(Tasks, handlers)
