/**
 * `fanout jobs processes`: the processes that run jobs now, with their pools, threads and workers.
 */
import { JobManager } from "@fanout/core/JobManager"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import type * as Api from "../api/Api.ts"
import * as ApiTimes from "../api/ApiTimes.ts"
import * as Process from "../host/Process.ts"
import * as Settings from "../options/Settings.ts"
import { withJobs } from "../run/JobRuntime.ts"
import * as events from "../ui/events.ts"
import * as format from "../ui/format.ts"
import { columns, hanging, print, whileRead } from "../ui/View.ts"
import * as workerText from "../ui/workerText.ts"

/** So many jobs of a process are named. */
const namedJobs = 8

const use = (of: string, used: number, size: number, waiting: number): string => {
  const more = waiting === 0 ? "" : `, ${format.counted(waiting, "task")} waiting`
  return `${of}: ${format.count(used)} of ${format.count(size)}${more}`
}

const linesOf = ({ jobs, machine, pools, process: name, threads, workers }: Api.Process): ReadonlyArray<string> => {
  const more = jobs.length - namedJobs
  const fields = [
    ["process", `${name.replace(/-.*/, "")} on ${machine === "" ? "an unknown machine" : machine}`],
    ["jobs", `${jobs.slice(0, namedJobs).join(", ")}${more > 0 ? ` and ${format.count(more)} more` : ""}`],
    ...pools.map(({ held, name, size, waiting }) => ["pool", use(name, held, size, waiting)]),
    ...threads.map(({ busy, name, queued, size }) => ["threads", use(name, busy, size, queued)])
  ]
  return [
    ...fields.map(([name = "", value = ""]) => hanging(name.padEnd(10), value, Process.current().stdout)),
    ...workerText.lines(workers, columns(Process.current().stdout))
  ]
}

/** `fanout jobs processes` */
export const processes = Command.make(
  "processes",
  { json: Settings.json },
  ({ json }) =>
    withJobs({ claim: "none" })(whileRead(Effect.gen(function*() {
      const found = (yield* (yield* JobManager).processes).map(ApiTimes.process)
      if (json) {
        for (const one of found) yield* print(events.line("process", one))
      } else if (found.length === 0) {
        yield* print("No process runs a job now.")
      } else {
        yield* print(found.map((one) => linesOf(one).join("\n")).join("\n\n"))
      }
    })))
).pipe(
  Command.withDescription(
    "Show the processes that run jobs now: their jobs, the use of their pools and threads, and the workers of a " +
      "cluster as each of them sees them"
  ),
  Command.withShortDescription("Show the processes that run jobs, and their workers")
)
