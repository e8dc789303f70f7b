/**
 * Says how long the tasks of a job waited and ran. Pure: times go in, lines come out.
 */
import type * as Api from "../api/Api.ts"
import * as format from "./format.ts"
import { table } from "./table.ts"

/** How many kinds of tasks are shown, those with the most attempts. */
const shown = 8

const longest = (times: Api.TaskTimes): number => times.upperMillis.at(-1) ?? 0

/** Most time of a share of all attempts. */
const atMost = (millis: number | null, times: Api.TaskTimes): string =>
  millis === null
    ? `> ${format.duration(longest(times))}`
    : `≤ ${millis < 9.95 ? `${millis.toFixed(1)} ms` : format.duration(millis)}`

const header = ["", "ATTEMPTS", "WAITED", "95 %", "RAN", "95 %", "TASK"]

/** Columns that a narrow terminal does without, the first ones first. */
const expendable = ["95 %", "ATTEMPTS", "WAITED"]

/** Lines of a table: of each kind the median and what 95 % took at most, waiting and running. */
export const lines = (times: Api.TaskTimes, columns: number): ReadonlyArray<string> => {
  const kinds = times.kinds.toSorted((left, right) => right.attempts - left.attempts)
  if (kinds.length === 0) return []
  const rows = kinds.slice(0, shown).map(({ attempts, name, running, waiting }, index) => [
    index === 0 ? "tasks   " : "",
    format.count(attempts),
    atMost(waiting.p50, times),
    atMost(waiting.p95, times),
    atMost(running.p50, times),
    atMost(running.p95, times),
    name.replace(/^@fanout\/ops\//, "")
  ])
  const more = kinds.length - shown
  return [
    ...table(header, rows, columns, expendable),
    ...more > 0 ? [`          and ${format.counted(more, "more kind")}: --json has them all`] : []
  ]
}
