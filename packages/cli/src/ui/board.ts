/**
 * Lays out the board of jobs: two lines for each, and a line of keys. Pure: jobs go in, lines come out.
 */
import type { JobHistory } from "@fanout/core/JobHistory"
import type { JobId } from "@fanout/core/JobId"
import type * as JobState from "@fanout/core/JobState"
import type { JobOverview } from "@fanout/core/JobStatus"
import type { StateCounts } from "@fanout/core/JobStore"
import * as CliOutput from "effect/cli/CliOutput"
import * as Process from "../host/Process.ts"
import * as colour from "./colour.ts"
import * as format from "./format.ts"
import { counted, left, rate, shareDone } from "./progressLine.ts"
import * as summary from "./summary.ts"
import { fit } from "./table.ts"

/** A job of the board. */
export interface BoardJob extends JobOverview {
  readonly title: string
  readonly history: JobHistory
}

/** What the board shows. */
export interface Board {
  readonly jobs: ReadonlyArray<BoardJob>
  readonly counts: StateCounts
  readonly selected: JobId | undefined
  /** What was asked last, or went wrong. */
  readonly said: string
  readonly now: number
}

/** Room on the terminal, in cells. */
export interface Room {
  readonly columns: number
  readonly rows: number
}

/** Signs of the states, which say the same as the colours. */
const signs: Readonly<Record<JobState.Tag, string>> = {
  Queued: "○",
  Running: "●",
  Paused: "‖",
  Completed: "✓",
  CompletedWithErrors: "!",
  Failed: "!",
  Cancelled: "✕"
}

const steps = "▁▂▃▄▅▆▇█"

/** How fast the last samples of a history followed each other, the fastest as the highest: `▁▃█▆`. */
export const sparkline = ({ at, bytes, items }: JobHistory, cells: number): string => {
  const amounts = (bytes.at(-1) ?? 0) > 0 ? bytes : items
  const rates = amounts.flatMap((amount, n) => {
    const millis = (at[n] ?? 0) - (at[n - 1] ?? 0)
    return n === 0 || millis <= 0 ? [] : [Math.max(0, amount - (amounts[n - 1] ?? 0)) / millis]
  }).slice(-Math.max(0, cells))
  const most = Math.max(...rates)
  return rates.map((rate) => steps[most === 0 ? 0 : Math.round((rate / most) * (steps.length - 1))]).join("")
}

/** Bar that is filled to a share between 0 and 1. */
const bar = (share: number, cells: number): string => {
  const filled = Math.round(share * cells)
  return "█".repeat(filled) + "░".repeat(cells - filled)
}

/** Puts text at the left and at the right end of a line. The left one gives way. */
const spread = (left: string, right: string, columns: number): string => {
  const room = columns - CliOutput.displayWidth(right) - (right === "" ? 0 : 1)
  const text = fit(left, Math.max(0, room))
  return fit(text + " ".repeat(Math.max(0, columns - CliOutput.displayWidth(text + right))) + right, columns)
}

/** The parts that fit, of which the last ones are left out first. */
const fitting = (parts: ReadonlyArray<string>, columns: number): string => {
  const text = parts.filter((part) => part !== "").join("  ")
  return CliOutput.displayWidth(text) <= columns || parts.length === 0 ? text : fitting(parts.slice(0, -1), columns)
}

const linesOf = (
  { history, isOwnerDead, progress, record, title }: BoardJob,
  isSelected: boolean,
  columns: number
): ReadonlyArray<string> => {
  const isRunning = record.state._tag === "Running" && !isOwnerDead
  const share = shareDone(progress)
  const remaining = isRunning ? left(progress) : ""
  const state = isRunning
    ? fitting([remaining === "" ? "" : `${remaining} left`, rate(progress)], Math.floor(columns / 3))
    : summary.shortState(record, isOwnerDead)
  const sign = colour.paint(
    colour.ofState(record.state._tag, isOwnerDead),
    signs[record.state._tag],
    Process.current().stdout
  )
  const first = spread(title, state, columns - 4)
  const parts = [
    share === undefined ? "" : `${bar(share, Math.min(20, Math.floor(columns / 4)))} ${Math.floor(share * 100)} %`,
    summary.isScheduled(record) ? "" : counted(progress),
    isRunning ? sparkline(history, 20) : "",
    record.id
  ]
  return [`${isSelected ? "▸" : " "} ${sign} ${first}`, `    ${fitting(parts, columns - 4)}`]
}

const headOf = ({ counts, now }: Board, columns: number): string => {
  const { Paused = 0, Queued = 0, Running = 0 } = counts
  const words = [[Running, "running"], [Paused, "paused"], [Queued, "queued"]] as const
  const some = words.flatMap(([count, word]) => count > 0 ? [`${format.count(count)} ${word}`] : [])
  return spread(some.length === 0 ? "Nothing runs" : some.join(", "), format.time(now).slice(11), columns)
}

/** Keys, and what each one asks for the selected job. A capital stands for what can't be undone. */
const keys = "j k choose · p pause · r resume · C cancel · q quit"

/** The same for a narrow terminal. */
const shortKeys = "j k · p pause · r resume · C cancel · q"

/** Lines of the board, as many as there is room for. The selected job is among them. */
export const board = (board: Board, { columns, rows }: Room): ReadonlyArray<string> => {
  const { jobs, said, selected } = board
  const shown = Math.max(1, Math.floor((rows - 4) / 2))
  const index = Math.max(0, jobs.findIndex(({ record }) => record.id === selected))
  const first = Math.max(0, Math.min(index - Math.floor(shown / 2), jobs.length - shown))
  const some = jobs.slice(first, first + shown)
  const more = jobs.length - some.length
  const empty = "No job is waiting, running or paused. `fanout copy SRC DEST` starts one."
  return [
    headOf(board, columns),
    "",
    ...jobs.length === 0 ? [fit(empty, columns)] : [],
    ...some.flatMap((job) => linesOf(job, job.record.id === selected, columns)),
    fit(said !== "" ? said : more > 0 ? `and ${format.counted(more, "other job")}` : "", columns),
    fit(keys.length <= columns ? keys : shortKeys, columns)
  ]
}
