/**
 * The subcommands of `fanout schedule` that ask something of a schedule.
 */
import type { JobId } from "@fanout/core/JobId"
import { JobManager } from "@fanout/core/JobManager"
import type { JobManagerError } from "@fanout/core/JobManagerError"
import type { JobSchedule } from "@fanout/core/JobSchedule"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Stop from "../exit/Stop.ts"
import * as Settings from "../options/Settings.ts"
import { hasCode, withJobs } from "../run/JobRuntime.ts"
import * as events from "../ui/events.ts"
import * as format from "../ui/format.ts"
import * as scheduleText from "../ui/scheduleText.ts"
import { print, tell } from "../ui/View.ts"

/** `NAME` of a schedule. */
export const scheduleName = Argument.String("NAME").pipe(
  Argument.withDescription("Name of the schedule, as `fanout schedule list` shows it")
)

/** Finds a schedule, or says which one was likely meant. */
export const findSchedule = Effect.fnUntraced(function*(name: string) {
  const schedules = yield* JobManager.use((manager) => manager.schedules)
  const found = schedules.find((schedule) => schedule.name === name)
  if (found !== undefined) return found
  const alike = scheduleText.alike(name, schedules.map(({ name }) => name))
  return yield* Stop.usage(
    `There is no schedule "${name}". ` +
      (alike === undefined ? "`fanout schedule list` shows those there are." : `Did you mean "${alike}"?`)
  )
})

const config = { name: scheduleName, json: Settings.json }

/** Asks something of a schedule, and says what it is like then. */
const asking = (
  name: "pause" | "resume",
  description: string,
  say: (schedule: JobSchedule, next: string) => string
) =>
  Command.make(name, config, ({ json, name: asked }) =>
    withJobs({ claim: "none" })(Effect.gen(function*() {
      yield* findSchedule(asked)
      const manager = yield* JobManager
      yield* name === "pause" ? manager.pauseSchedule(asked) : manager.resumeSchedule(asked)
      const schedule = yield* findSchedule(asked)
      const next = yield* manager.nextTicks(schedule, 1)
      yield* print(
        json
          ? events.line("schedule", events.schedule(schedule, next))
          : say(schedule, scheduleText.nextSentence(schedule, next))
      )
    }))).pipe(Command.withDescription(description))

const quoted = (name: string): string => `"${format.printable(name)}"`

/** `fanout schedule pause` */
export const pause = asking(
  "pause",
  "Run a schedule no more until it is resumed; jobs that it has started go on",
  ({ name }, next) => `Schedule ${quoted(name)} starts nothing any more. ${next}`
)

/** `fanout schedule resume` */
export const resume = asking(
  "resume",
  "Let a schedule go on from now; the times of its pause are not made up for",
  ({ name }, next) => `Schedule ${quoted(name)} goes on. ${next}`
)

/** `fanout schedule remove` */
export const remove = Command.make(
  "remove",
  config,
  ({ json, name }) =>
    withJobs({ claim: "none" })(Effect.gen(function*() {
      const { job, payload } = yield* findSchedule(name)
      yield* JobManager.use((manager) => manager.unschedule(name))
      const work = yield* Effect.promise(() => import("../ui/jobText.ts"))
      const what = work.title({ name: job, payload })
      yield* print(
        json
          ? events.line("removed", { name })
          : `Schedule ${quoted(name)} (${what}) is removed. Jobs that it has started go on.`
      )
    }))
).pipe(Command.withDescription("Forget a schedule; jobs that it has started go on"))

/** A process that is there looks for new jobs several times a second. */
const patience = { looks: 10, everyMillis: 200 }

/** Whether a process has taken a job by now, or takes it within two seconds. */
const isTaken = Effect.fnUntraced(function*(
  id: JobId
): Effect.fn.Return<boolean, JobManagerError | JobStoreError, JobManager> {
  for (let look = 0; look < patience.looks; look++) {
    const { state } = yield* JobManager.use((manager) => manager.get(id))
    if (state._tag !== "Queued") return true
    yield* Effect.sleep(patience.everyMillis)
  }
  return false
})

/** What is to be done for a job that no process has taken. */
const untaken = (id: JobId, canRun: boolean): string =>
  `No process has taken it yet: ${
    canRun
      ? `\`fanout jobs work\` runs it, or \`fanout jobs resume ${id}\` here.`
      : "its own program runs it."
  }`

/** `fanout schedule run` */
export const run = Command.make(
  "run",
  config,
  ({ json, name }) =>
    withJobs({ claim: "none" })(Effect.gen(function*() {
      const { job } = yield* findSchedule(name)
      const { id, started } = yield* JobManager.use((manager) => manager.runSchedule(name))
      const taken = yield* isTaken(id)
      if (json) return yield* print(events.line("started", { schedule: name, id, started, isTaken: taken }))
      const first = started
        ? `Job ${id} of schedule ${quoted(name)} is started.`
        : `Job ${id} of schedule ${quoted(name)} is not over yet: no other one is started.`
      const second = taken ? `\`fanout jobs watch ${id}\` follows it.` : untaken(id, yield* hasCode({ name: job }))
      yield* tell(`${first} ${second}`)
    }))
).pipe(
  Command.withDescription("Start what a schedule runs at once, even if it is paused; its next time stays as it is")
)
