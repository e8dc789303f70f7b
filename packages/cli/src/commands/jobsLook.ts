/**
 * The subcommands of `fanout jobs` that only look.
 */
import { JobManager } from "@fanout/core/JobManager"
import type { JobRecord } from "@fanout/core/JobStore"
import type { Progress } from "@fanout/core/Progress"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Settings from "../options/Settings.ts"
import { find, hasCode, withJobs } from "../run/JobRuntime.ts"
import * as RunJob from "../run/RunJob.ts"
import * as events from "../ui/events.ts"
import * as format from "../ui/format.ts"
import * as summary from "../ui/summary.ts"
import { table } from "../ui/table.ts"
import { columns, print, whileRead } from "../ui/View.ts"

const row = (now: number) => (record: JobRecord, progress: Progress): ReadonlyArray<string> => [
  record.id,
  format.printable(record.name),
  summary.state(record),
  format.age(now - record.createdAt),
  summary.counts(progress)
]

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
    json: Settings.json
  },
  ({ json, limit }) =>
    withJobs({ claim: "none" })(whileRead(Effect.gen(function*() {
      const manager = yield* JobManager
      const now = yield* Clock.currentTimeMillis
      const records = yield* manager.list({ limit })
      const pairs = yield* Effect.forEach(records, (record) =>
        Effect.map(manager.progress(record.id), (progress) => ({ record, progress })))
      const unreadable = yield* manager.unreadable({ limit })
      if (json) {
        for (const { progress, record } of pairs) {
          yield* print(events.line("job", { ...events.job(record), ...events.progress(progress) }))
        }
      } else if (pairs.length + unreadable.length === 0) {
        yield* print("There are no jobs yet. `fanout copy SRC DEST` starts one.")
      } else if (pairs.length > 0) {
        const rows = pairs.map(({ progress, record }) =>
          row(now)(record, progress)
        )
        const lines = table(["ID", "NAME", "STATE", "AGE", "PROGRESS"], rows, columns(process.stdout))
        for (const line of lines) yield* print(line)
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

const times = ({ createdAt, finishedAt, updatedAt }: JobRecord) =>
  ([["started", createdAt], ["changed", updatedAt], ["ended", Option.getOrUndefined(finishedAt)]] as const)
    .flatMap(([name, at]) => at === undefined ? [] : [[name, new Date(at).toISOString()] as const])

/** `fanout jobs show` */
export const show = Command.make(
  "show",
  {
    id: Settings.jobId,
    all: Settings.toggle("all", "List skipped items as well"),
    json: Settings.json
  },
  ({ all, id, json }) =>
    withJobs({ claim: "none" })(whileRead(Effect.gen(function*() {
      const manager = yield* JobManager
      const record = yield* find(id)
      const progress = yield* manager.progress(record.id)
      const gone = yield* RunJob.vanishedOf(record, progress)
      const vanished = summary.skippedIn(gone)
      if (json) {
        yield* print(events.line("job", {
          ...events.job(record),
          ...events.progress(progress),
          vanished,
          warnings: summary.warnings(progress),
          payload: record.payload
        }))
      } else {
        const work = yield* Effect.promise(() => import("../ui/jobText.ts"))
        const fields: ReadonlyArray<readonly [string, string]> = [
          ["job", record.id],
          ["name", format.printable(record.name)],
          work.field(record),
          ["state", summary.state(record)],
          ...summary.settings(record).map((setting) => ["limit", setting] as const),
          ...(summary.why(record) === "" ? [] : [["reason", summary.why(record)] as const]),
          ["progress", summary.counts(progress, { vanished })],
          ...(summary.ways(progress) === "" ? [] : [["ways", summary.ways(progress)] as const]),
          ...summary.warnings(progress).map((warning) => ["warning", warning] as const),
          ...times(record)
        ]
        for (const [name, value] of fields) yield* print(`${name.padEnd(8)}  ${value}`)
      }
      const items = all
        ? manager.outcomes(record.id, ["Failed", "Skipped"])
        : Stream.concat(manager.outcomes(record.id, ["Failed"]), Stream.fromIterable(gone))
      yield* items.pipe(
        Stream.runForEach((row) =>
          print(json ? events.line("item", { id: record.id, ...events.item(row) }) : summary.item(row))
        )
      )
      const next = summary.next(record, yield* hasCode(record))
      if (!json && next !== "") yield* print(next)
    })))
).pipe(Command.withDescription("Show one job, with what failed, why, and what vanished"))

/** `fanout jobs watch` */
export const watch = Command.make(
  "watch",
  { id: Settings.jobId, json: Settings.json, quiet: Settings.quiet },
  ({ id, ...options }) =>
    withJobs({ claim: "none" })(whileRead(Effect.flatMap(find(id), (record) => RunJob.follow(record.id, options))))
).pipe(Command.withDescription("Follow a job until it is over or paused, wherever it runs"))

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
              : `${new Date(entry.at).toISOString()}  ${entry.level.padEnd(7)}  ${format.printable(entry.message)}`
          )
        )
      )
    })))
).pipe(Command.withDescription("Print what happened to a job"))
