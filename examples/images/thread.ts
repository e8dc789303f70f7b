/** What each thread of the image pipeline runs. */
import { runThread } from "@fanout/core/threads"
import { Handlers, Tasks } from "./tasks.ts"

runThread(Tasks, Handlers)
