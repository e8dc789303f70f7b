/**
 * The subcommands of `fanout schedule` that only look.
 */
import { JobManager } from "@fanout/core/JobManager"
import * as JobPriority from "@fanout/core/JobPriority"
import type { JobSchedule } from "@fanout/core/JobSchedule"
import type { JobOverview } from "@fanout/core/JobStatus"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Process from "../host/Process.ts"
import * as Settings from "../options/Settings.ts"
import { withJobs } from "../run/JobRuntime.ts"
import * as events from "../ui/events.ts"
import * as format from "../ui/format.ts"
import * as scheduleText from "../ui/scheduleText.ts"
import * as summary from "../ui/summary.ts"
import { table } from "../ui/table.ts"
import { columns, hanging, print, whileRead } from "../ui/View.ts"
import { findSchedule, scheduleName } from "./scheduleAsk.ts"

const header = ["NAME", "NEXT", "LAST", "STATE", "WHAT"]

/** Columns that a narrow terminal does without, the first ones first. */
const expendable = ["LAST", "STATE"]

/** The job that a schedule has started last, if it was not removed. */
const lastJob = ({ lastJob }: JobSchedule) =>
  Option.match(lastJob, {
    onNone: () => Effect.succeedNone,
    onSome: (id) =>
      JobManager.use((manager) => Effect.asSome(manager.status(id))).pipe(
        Effect.catchReason("JobStoreError", "JobNotFound", () => Effect.succeedNone)
      )
  })

type Last = Option.Option<Pick<JobOverview, "isOwnerDead" | "record">>

const howItEnded = (last: Last): string =>
  Option.match(last, { onNone: () => "", onSome: ({ isOwnerDead, record }) => summary.shortState(record, isOwnerDead) })

/** What a schedule runs: its command without what each of them has in common. */
const what = (schedule: JobSchedule, title: string): string => {
  const { job, payload } = schedule
  const isCommand = job === "scheduled" && typeof payload === "object" && payload !== null && "args" in payload
  return isCommand && Array.isArray(payload.args) ? scheduleText.command(payload.args.map(String)) : title
}

/** A schedule with what is told of it. */
const lookedAt = Effect.fnUntraced(function*(
  schedule: JobSchedule,
  count: number
): Effect.fn.Return<
  { readonly next: ReadonlyArray<{ readonly at: number; readonly startsAt: number }>; readonly last: Last },
  JobStoreError,
  JobManager
> {
  const next = JobManager.use((manager) => manager.nextTicks(schedule, count))
  // An earlier version, or another program, may know times that this one does not.
  const known = Effect.catchTag(next, "JobManagerError", () => Effect.succeed([]))
  return { next: yield* known, last: yield* lastJob(schedule) }
})

/** `fanout schedule list` */
export const list = Command.make(
  "list",
  { json: Settings.json },
  ({ json }) =>
    withJobs({ claim: "none" })(whileRead(Effect.gen(function*() {
      const schedules = yield* JobManager.use((manager) => manager.schedules)
      const now = yield* Clock.currentTimeMillis
      const work = yield* Effect.promise(() => import("../ui/jobText.ts"))
      const rows: Array<ReadonlyArray<string>> = []
      for (const schedule of schedules) {
        const { last, next } = yield* lookedAt(schedule, 1)
        if (json) {
          yield* print(events.line("schedule", events.schedule(schedule, next, last)))
          continue
        }
        rows.push([
          format.printable(schedule.name),
          scheduleText.next(schedule, next, now),
          Option.match(schedule.lastAt, { onNone: () => "never", onSome: scheduleText.time }),
          howItEnded(last),
          what(schedule, work.title({ name: schedule.job, payload: schedule.payload }))
        ])
      }
      if (json) return
      if (rows.length === 0) {
        return yield* print(
          "There are no schedules. `fanout schedule add NAME --cron @daily -- copy SRC DEST` adds one."
        )
      }
      for (const line of table(header, rows, columns(Process.current().stdout), expendable)) yield* print(line)
    })))
).pipe(
  Command.withDescription("List schedules: when each runs next, and how it ended the last time"),
  Command.withAlias("ls")
)

const fieldsOf = (schedule: JobSchedule, last: Last): ReadonlyArray<readonly [string, string]> => {
  const { cron, failures, jitterMillis, lastAt, missed, name, overlap, pausedAt, priority, timeZone } = schedule
  return [
    ["schedule", format.printable(name)],
    ["times", `${format.printable(cron)} (${format.printable(timeZone)})`],
    ...jitterMillis === 0 ? [] : [["jitter", `up to ${format.duration(jitterMillis)} later`] as const],
    ["missed", scheduleText.missed[missed]],
    ["overlap", scheduleText.overlap[overlap]],
    ...priority === 0 ? [] : [["priority", JobPriority.nameOf(priority)] as const],
    ...Option.match(failures, {
      onNone: () => [],
      onSome: (n) => [["failures", `paused after ${format.count(n)} in a row`] as const]
    }),
    ...Option.match(pausedAt, {
      onNone: () => [],
      onSome: (at) => [["state", `${scheduleText.pause(schedule)}, since ${format.time(at)}`] as const]
    }),
    ...Option.match(lastAt, {
      onNone: () => [["last", "never"] as const],
      onSome: (
        at
      ) => [["last", [scheduleText.time(at), howItEnded(last)].filter((part) => part !== "").join(", ")] as const]
    }),
    ...Option.match(last, {
      onNone: () => [],
      onSome: ({ record }) => [
        ["job", record.id] as const,
        ...summary.why(record) === "" ? [] : [["reason", summary.why(record)] as const]
      ]
    })
  ]
}

/** `fanout schedule show` */
export const show = Command.make(
  "show",
  {
    name: scheduleName,
    next: Flag.Int("next").pipe(
      Flag.withMetavar("N"),
      Flag.filter((n) => n >= 0 && n <= 1000, () => "Expected a number from 0 to 1000"),
      Flag.withDescription("How many of its next times to tell (default: 3)"),
      Flag.withDefault(3)
    ),
    json: Settings.json
  },
  ({ json, name, next: count }) =>
    withJobs({ claim: "none" })(whileRead(Effect.gen(function*() {
      const schedule = yield* findSchedule(name)
      const { last, next } = yield* lookedAt(schedule, count)
      if (json) return yield* print(events.line("schedule", events.schedule(schedule, next, last)))
      const work = yield* Effect.promise(() => import("../ui/jobText.ts"))
      const [first = ["schedule", ""], ...others] = fieldsOf(schedule, last)
      const ran = work.field({ name: schedule.job, payload: schedule.payload })
      const times = next.map(({ startsAt }) => ["next", scheduleText.time(startsAt)] as const)
      for (const [field, value] of [first, ran, ...others, ...times]) {
        yield* print(hanging(field.padEnd(10), value, Process.current().stdout))
      }
    })))
).pipe(Command.withDescription("Show one schedule, with its next times, and how it ended the last time"))
