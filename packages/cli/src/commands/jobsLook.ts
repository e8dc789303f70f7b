/**
 * The subcommands of `fanout jobs` that only look.
 */
import { JobManager } from "@fanout/core/JobManager"
import * as JobState from "@fanout/core/JobState"
import type { JobOverview, JobStatus } from "@fanout/core/JobStatus"
import type { JobRecord, ListFilter, OutcomeRow } from "@fanout/core/JobStore"
import type { Progress } from "@fanout/core/Progress"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Struct from "effect/Struct"
import * as ApiTimes from "../api/ApiTimes.ts"
import * as ExitCode from "../exit/ExitCode.ts"
import * as Signals from "../exit/Signals.ts"
import * as Stop from "../exit/Stop.ts"
import * as Process from "../host/Process.ts"
import * as Settings from "../options/Settings.ts"
import { find, hasCode, withJobs } from "../run/JobRuntime.ts"
import * as RunJob from "../run/RunJob.ts"
import * as colour from "../ui/colour.ts"
import * as events from "../ui/events.ts"
import * as format from "../ui/format.ts"
import * as jobTree from "../ui/jobTree.ts"
import { left, rate, share } from "../ui/progressLine.ts"
import * as summary from "../ui/summary.ts"
import { table } from "../ui/table.ts"
import * as timesText from "../ui/timesText.ts"
import { columns, hanging, itemLine, type Options, print, tell, whileRead } from "../ui/View.ts"
import * as workerText from "../ui/workerText.ts"
import * as JobBoard from "./jobBoard.ts"
import * as jobChildren from "./jobChildren.ts"
import { tellOfAll } from "./jobsAsk.ts"

/** Words for states, each for those that it stands for. */
const tagsOf = {
  queued: ["Queued"],
  running: ["Running"],
  paused: ["Paused"],
  done: ["Completed"],
  failed: ["CompletedWithErrors", "Failed"],
  cancelled: ["Cancelled"]
} as const satisfies Record<string, ReadonlyArray<JobState.Tag>>

const header = ["ID", "STATE", "DONE", "LEFT", "RATE", "AGE", "COUNTED", "WHAT"]

/** Columns that a narrow terminal does without, the first ones first. */
const expendable = ["COUNTED", "AGE", "RATE", "DONE", "LEFT"]

/** With fewer columns, how much is done is told behind the state. */
const narrow = 52

const row = (
  { isNarrow, now }: { readonly isNarrow: boolean; readonly now: number },
  { isOwnerDead, progress, record }: JobOverview,
  what: string
): ReadonlyArray<string> => {
  const state = summary.shortState(record, isOwnerDead)
  const done = JobState.isActive(record.state) ? share(progress) : ""
  return [
    record.id,
    isNarrow && done !== "" ? `${state} ${done}` : state,
    isNarrow ? "" : done,
    ...record.state._tag === "Running" && !isOwnerDead ? [left(progress), rate(progress)] : ["", ""],
    format.age(now - record.createdAt),
    summary.countsOf(record, progress),
    what
  ]
}

/** `fanout jobs list` */
export const list = Command.make(
  "list",
  {
    limit: Flag.Int("limit").pipe(
      Flag.withMetavar("N"),
      Flag.filter((n) => n >= 1, () => "Expected a number from 1 on"),
      Flag.withDescription("How many jobs to show, the newest first (default: 50)"),
      Flag.withDefault(50)
    ),
    state: Flag.Literals("state", Struct.keys(tagsOf)).pipe(
      Flag.withDescription("Only jobs in this state; can be given more than once"),
      Flag.atLeast(0)
    ),
    name: Flag.String("name").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Only jobs of this type, such as copy; can be given more than once"),
      Flag.atLeast(0)
    ),
    since: Flag.String("since").pipe(
      Flag.withMetavar("DURATION"),
      Flag.filterMap(format.parseDuration, () => "Expected a duration like 30d, 12h or 45m"),
      Flag.withDescription("Only jobs that were started at most so long ago, such as 12h or 7d"),
      Flag.optional
    ),
    parent: Flag.String("parent").pipe(
      Flag.withMetavar("ID"),
      Flag.withDescription("Only jobs that this job has started"),
      Flag.optional
    ),
    schedule: Flag.String("schedule").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Only jobs that this schedule has started"),
      Flag.optional
    ),
    ids: Settings.toggle("ids", "Print ids alone, one on each line"),
    json: Settings.json
  },
  ({ ids, json, limit, name, parent, schedule, since, state }) =>
    withJobs({ claim: "none" })(whileRead(Effect.gen(function*() {
      const manager = yield* JobManager
      const now = yield* Clock.currentTimeMillis
      const filter: Partial<ListFilter> = {
        limit,
        states: state.length === 0 ? undefined : state.flatMap((word) => tagsOf[word]),
        names: name.length === 0 ? undefined : name,
        since: Option.getOrUndefined(Option.map(since, (millis) => now - millis)),
        parent: Option.isNone(parent) ? undefined : (yield* find(parent.value)).id,
        schedule: Option.getOrUndefined(schedule)
      }
      if (ids) {
        return yield* Effect.forEach(yield* manager.list(filter), ({ id }) => print(id), { discard: true })
      }
      const listed = yield* manager.overview(filter)
      const unreadable = yield* manager.unreadable(filter)
      if (json) {
        for (const { isOwnerDead, progress, record } of listed) {
          yield* print(events.line("job", { ...events.job(record), ...events.progress(progress), isOwnerDead }))
        }
      } else if (listed.length + unreadable.length === 0) {
        yield* tell(
          Object.entries(filter).some(([field, value]) => field !== "limit" && value !== undefined)
            ? "There are no such jobs. `fanout jobs list` shows all there are."
            : "There are no jobs yet. `fanout copy SRC DEST` starts one."
        )
      } else if (listed.length > 0) {
        const work = yield* Effect.promise(() => import("../ui/jobText.ts"))
        const tree = jobTree.asTree(listed)
        const room = { now, isNarrow: columns(Process.current().stdout) < narrow }
        const rows = tree.map(({ depth, job }) => row(room, job, jobTree.indented(depth, work.title(job.record))))
        const lines = table(header, rows, columns(Process.current().stdout), expendable)
        for (const [n, line] of lines.entries()) {
          const one = tree[n - 1]
          yield* print(one === undefined ? line : jobTree.tinted(line, one.job))
        }
      }
      for (const { id, why } of unreadable) {
        yield* print(
          json
            ? events.line("unreadable", { id, why })
            : `${format.printable(id)}  can't be read: ${format.printable(why)}`
        )
      }
    })))
).pipe(Command.withDescription("List jobs, the newest first"), Command.withAlias("ls"))

type Field = readonly [name: string, value: string]

const moments = ({ createdAt, finishedAt, updatedAt }: JobRecord, now: number) => {
  const ago = (at: number) => `${format.time(at)} (${format.duration(now - at)} ago)`
  return [
    ["started", ago(createdAt)] as const,
    Option.match(finishedAt, {
      onNone: () => ["changed", ago(updatedAt)] as const,
      onSome: (at) => ["ended", `${format.time(at)}, after ${format.duration(at - createdAt)}`] as const
    })
  ]
}

/** So many failed items are named, if nobody asks for more. */
const shownFailures = 20

/** Examples of causes are looked for among so many that failed last: as many as are read in a moment. */
const readFailures = 1000

/** Says why items failed where more of them did than are named. */
const causeLines = (progress: Progress, rows: ReadonlyArray<OutcomeRow>): ReadonlyArray<Field> =>
  summary.causes(progress, rows).map(({ code, count, example }) => {
    const such = example === "" ? "" : `, such as: ${example}`
    return ["cause", `${format.count(count)}: ${format.printable(code)}${such}`] as const
  })

/** Says why items were skipped. */
const reasonLines = ({ tally: { reasons = {} } }: Progress): ReadonlyArray<Field> =>
  Object.entries(reasons).toSorted(([, a], [, b]) => b - a).map(([reason, count]) =>
    ["skipped", `${format.count(count)}: ${format.printable(reason)}`] as const
  )

/** How much of a job that is not over is done, and of one that runs, how fast it is and how long it takes. */
const doneOf = ({ isOwnerDead, progress, record }: JobStatus): string => {
  if (!JobState.isActive(record.state)) return ""
  const isRunning = record.state._tag === "Running" && !isOwnerDead
  const remaining = isRunning ? left(progress) : ""
  return [share(progress), isRunning ? rate(progress) : "", remaining === "" ? "" : `${remaining} left`]
    .filter((part) => part !== "").join(" · ")
}

/** What is said of a job, whatever it has failed at or skipped. */
const fieldsOf = (
  status: JobStatus,
  work: Field,
  now: number
): ReadonlyArray<Field> => {
  const { children, isOwnerDead, progress, record } = status
  const stateColour = colour.ofState(record.state._tag, isOwnerDead)
  const given = (name: string, value: string): ReadonlyArray<Field> => value === "" ? [] : [[name, value]]
  return [
    ["job", record.id],
    ["name", format.printable(record.name)],
    work,
    ...Option.match(record.scheduled, {
      onNone: () => [],
      onSome: ({ at, schedule }) => [["schedule", `${format.printable(schedule)}, ${format.time(at)}`] as const]
    }),
    ["state", colour.paint(stateColour, summary.state(record, isOwnerDead), Process.current().stdout)],
    ...summary.settings(record).map((setting) => ["set", setting] as const),
    ...given("reason", summary.why(record)),
    ...given("progress", summary.countsOf(record, progress)),
    ...given("done", doneOf(status)),
    ...given("ways", summary.ways(progress)),
    ...summary.warnings(progress).map((warning) => ["warning", warning] as const),
    ...moments(record, now),
    ...given("children", jobTree.counted(children))
  ]
}

/** `fanout jobs show` */
export const show = Command.make(
  "show",
  {
    id: Settings.jobId,
    all: Settings.toggle("all", "Name all failed items, and skipped ones as well"),
    limit: Flag.Int("limit").pipe(
      Flag.withMetavar("N"),
      Flag.filter((n) => n >= 0, () => "Expected a number from 0 on"),
      Flag.withDescription(`How many failed items to name, the newest first (default: ${shownFailures})`),
      Flag.optional
    ),
    json: Settings.json
  },
  ({ all, id, json, limit }) =>
    withJobs({ claim: "none" })(whileRead(Effect.gen(function*() {
      const manager = yield* JobManager
      const now = yield* Clock.currentTimeMillis
      const status = yield* manager.status((yield* find(id)).id)
      const { children, isOwnerDead, progress, record } = status
      const times = ApiTimes.tasks(status, yield* manager.tasks(record.id))
      const { failed } = progress.tally
      const most = Option.getOrElse(limit, () => shownFailures)
      const tags = ["Failed"] as const
      const countsCauses = json || (failed > most && !all)
      const limited = Math.max(most, countsCauses ? readFailures : 0)
      const newest = yield* manager.newestOutcomes(record.id, { tags, limit: limited })
      if (json) {
        yield* print(events.line("job", {
          ...events.job(record),
          ...events.progress(progress),
          isOwnerDead,
          causes: summary.causes(progress, newest),
          children,
          tasks: times,
          warnings: summary.warnings(progress),
          payload: record.payload
        }))
      } else {
        const work = yield* Effect.promise(() => import("../ui/jobText.ts"))
        const fields = [
          ...fieldsOf(status, work.field(record), now),
          ...countsCauses ? causeLines(progress, newest) : [],
          ...all ? [] : reasonLines(progress)
        ]
        for (const [name, value] of fields) yield* print(hanging(name.padEnd(10), value, Process.current().stdout))
        for (const line of timesText.lines(times, columns(Process.current().stdout))) yield* print(line)
        for (const line of workerText.lines(times.workers, columns(Process.current().stdout))) yield* print(line)
        for (
          const line of yield* jobChildren.lines(status, work.title, columns(Process.current().stdout))
        ) yield* print(line)
      }
      // What reads lines has always had them all, the oldest first.
      const failures = json && Option.isNone(limit)
        ? manager.outcomes(record.id, tags)
        : Stream.fromIterable(newest.slice(0, most))
      const items = all
        ? manager.outcomes(record.id, ["Failed", "Skipped"])
        : failures
      yield* items.pipe(
        Stream.runForEach((row) =>
          print(
            json
              ? events.line("item", { id: record.id, ...events.item(row) })
              : itemLine(record, row, Process.current().stdout)
          )
        )
      )
      const more = failed - Math.min(most, newest.length)
      if (json) return
      const naming = `\`fanout jobs show --all ${record.id}\` names`
      if (!all && more > 0) yield* tell(`and ${format.count(more)} more: ${naming} them all`)
      else if (!all && progress.tally.skipped > 0) yield* tell(`${naming} what was skipped, too.`)
      const next = summary.next(record, yield* hasCode(record), isOwnerDead)
      if (next !== "") yield* tell(next)
    })))
).pipe(Command.withDescription("Show one job, with what failed, and why"))

/** Shows all jobs, on a terminal as a board. */
const watchAll = Effect.fnUntraced(function*(options: Options) {
  if (!options.json && !options.quiet && JobBoard.isPossible()) return yield* JobBoard.show
  const signal = yield* Signals.listen
  const stoppedBy = yield* Effect.raceFirst(signal, tellOfAll(options))
  return yield* Stop.withCode(ExitCode.ofSignal(stoppedBy))
}, Effect.scoped)

/** `fanout jobs watch` */
export const watch = Command.make(
  "watch",
  { id: Argument.optional(Settings.jobId), json: Settings.json, quiet: Settings.quiet },
  ({ id, ...options }) =>
    withJobs({ claim: "none" })(whileRead(Option.match(id, {
      onNone: () => watchAll(options),
      onSome: (id) => Effect.flatMap(find(id), (record) => RunJob.follow(record.id, options))
    })))
).pipe(
  Command.withDescription(
    "Follow a job until it is over or paused, wherever it runs. Without an ID, show all jobs that are not over, on a " +
      "terminal as a table that takes keys."
  ),
  Command.withShortDescription("Follow a job, or all of them")
)

/** `fanout jobs logs` */
export const logs = Command.make(
  "logs",
  { id: Settings.jobId, json: Settings.json },
  ({ id, json }) =>
    withJobs({ claim: "none" })(whileRead(Effect.gen(function*() {
      const manager = yield* JobManager
      const record = yield* find(id)
      yield* manager.logs(record.id).pipe(
        Stream.runForEach((entry) =>
          print(
            json
              ? events.line("log", { id: record.id, ...events.log(entry) })
              : hanging(
                `${format.time(entry.at)}  ${entry.level.padEnd(7)}  `,
                format.printable(entry.message),
                Process.current().stdout
              )
          )
        )
      )
    })))
).pipe(Command.withDescription("Print what happened to a job"))
