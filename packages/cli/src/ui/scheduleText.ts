/**
 * Says when schedules run, and what. Pure: schedules go in, texts come out.
 */
import type { JobSchedule, Tick } from "@fanout/core/JobSchedule"
import * as Option from "effect/Option"
import * as format from "./format.ts"

/** Moment without its seconds, if they are zero: `2026-11-28 03:00`. */
export const time = (at: number): string => format.time(at).replace(/:00$/, "")

/** Why a schedule is paused, in a few words; empty if it is not. */
export const pause = ({ failures, pausedBy }: JobSchedule): string =>
  Option.match(pausedBy, {
    onNone: () => "",
    onSome: (by) =>
      by === "person" ? "paused" : `paused: ${format.counted(Option.getOrElse(failures, () => 1), "failure")}`
  })

/** When a schedule runs next, for a list. */
export const next = (schedule: JobSchedule, [first]: ReadonlyArray<Tick>, now: number): string => {
  if (Option.isSome(schedule.pausedAt)) return pause(schedule)
  if (schedule.waiting.length > 0) return "waits for its job"
  if (schedule.nextAt + schedule.jitterMillis <= now) return "due now"
  return first === undefined ? "never" : time(first.startsAt)
}

/** Sentence about the next time. */
export const nextSentence = (schedule: JobSchedule, [first]: ReadonlyArray<Tick>): string => {
  const { name } = schedule
  if (Option.isSome(schedule.pausedAt)) {
    return `It is ${pause(schedule)}; \`fanout schedule resume ${format.printable(name)}\` has it go on.`
  }
  return first === undefined
    ? "It never runs again."
    : `It runs next at ${time(first.startsAt)}, if \`fanout serve\` or \`fanout jobs work\` runs then.`
}

/** How many characters have to be changed, left out or put in to make one text of another. */
const distance = (from: string, to: string): number => {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (let i = 1; i <= from.length; i++) {
    const last = row
    row = [i]
    for (let j = 1; j <= to.length; j++) {
      const changed = (last[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      row.push(Math.min(changed, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
  }
  return row[to.length] ?? 0
}

/** The name that was most likely meant, if one is like it. */
export const alike = (text: string, names: ReadonlyArray<string>): string | undefined => {
  const isAlike = (name: string) => name.startsWith(text) || distance(text, name) <= Math.max(1, name.length / 3)
  return names.filter(isAlike).toSorted((a, b) => distance(text, a) - distance(text, b))[0]
}

/** Arguments as they are written in a shell. */
export const command = (args: ReadonlyArray<string>): string =>
  args.map((arg) => format.printable(/^[\w@%+=:,./~-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`)).join(
    " "
  )
