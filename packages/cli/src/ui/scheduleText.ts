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

/** What becomes of ticks that were missed. */
export const missed: Readonly<Record<JobSchedule["missed"], string>> = {
  skip: "not made up for",
  latest: "the latest one is made up for",
  all: "all are made up for"
}

/** What becomes of a tick while the job before is not over. */
export const overlap: Readonly<Record<JobSchedule["overlap"], string>> = {
  start: "runs beside the one before",
  skip: "is left out while the one before is not over",
  queue: "waits until the one before is over",
  cancel: "cancels the one before"
}

const weekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

const names: Readonly<Record<string, string>> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *"
}

/** `1-5` and `1,3` as names of days. */
const daysOf = (field: string): string =>
  field.replaceAll(/[0-7]/g, (day) => weekdays[Number(day)] ?? day).replace("-", " to ").replaceAll(",", ", ")

/** Times of a cron expression in words, where there are short ones; otherwise the expression. */
export const times = (cron: string): string => {
  const [minute = "", hour = "", day = "", month = "", weekday = "", ...more] = (names[cron] ?? cron).split(/\s+/)
  const days = [day, month, weekday].join(" ")
  const every = /^\*\/(\d+)$/
  const isMinute = /^\d{1,2}$/.test(minute)
  if (more.length > 0) return cron
  if (days === "* * *" && hour === "*") {
    const [, step] = every.exec(minute) ?? []
    if (minute === "*" || step !== undefined) return step === undefined ? "every minute" : `every ${step} minutes`
    if (isMinute) return minute === "0" ? "every hour" : `every hour at :${minute.padStart(2, "0")}`
  }
  const [, hours] = every.exec(hour) ?? []
  if (days === "* * *" && hours !== undefined && minute === "0") return `every ${hours} hours`
  if (!isMinute || !/^\d{1,2}$/.test(hour)) return cron
  const at = `at ${hour.padStart(2, "0")}:${minute.padStart(2, "0")}`
  if (days === "* * *") return `every day ${at}`
  if (/^\* \* [0-7]$/.test(days)) return `every ${daysOf(weekday)} ${at}`
  if (/^\* \* ([0-7]-[0-7]|[0-7](,[0-7])+)$/.test(days)) return `${daysOf(weekday)} ${at}`
  return /^\d{1,2} \* \*$/.test(days) ? `on day ${day} of each month ${at}` : cron
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
