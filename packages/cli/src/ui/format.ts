/**
 * Writes amounts, times and names for people.
 */
import * as FilePath from "@fanout/ops/FilePath"
import * as ByteSize from "effect/ByteSize"
import * as Option from "effect/Option"

/** Amount of bytes: `999 B`, `1.5 MiB`. */
export const bytes = (amount: number): string =>
  ByteSize.format(ByteSize.bytes(BigInt(Math.max(0, Math.round(amount)))), { precision: 1 })

/** Length of time in its two largest units: `340 ms`, `5.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export const duration = (millis: number): string => {
  const time = Math.max(0, millis)
  if (time < 999.5) return `${Math.round(time)} ms`
  if (time < 9_950) return `${(time / 1000).toFixed(1)} s`
  const seconds = Math.round(time / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
  const hours = Math.floor(minutes / 60)
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** Reads an amount of bytes like `20MB`, `1.5 GiB`, `512K` or `4096`, up to 2^53. */
export const parseBytes = (text: string): Option.Option<number> => {
  const [, amount, prefix = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?b)?|b)?$/i.exec(text.trim()) ?? []
  const power = ["", "k", "m", "g", "t"].indexOf(prefix.toLowerCase())
  const base = unit.toLowerCase() === "b" ? 1000 : 1024
  return Option.filter(Option.some(Number(amount) * base ** power), (bytes) => bytes <= 2 ** 53)
}

/** Moment as the clock on the wall shows it here: `2026-11-28 17:27:43`. */
export const time = (at: number): string => new Date(at).toLocaleString("sv-SE")

const decimalUnits = ["B", "kB", "MB", "GB", "TB"]

/** Rate of bytes in units in which it has few digits, as somebody has set it: `3 MB/s`, `1.5 GiB/s`. */
export const setRate = (perSecond: number): string => {
  const power = Math.min(Math.floor(Math.log10(perSecond) / 3), decimalUnits.length - 1)
  const isDecimal = power > 0 && perSecond % 1024 !== 0 && perSecond % (1000 ** power / 10) === 0
  return `${isDecimal ? `${perSecond / 1000 ** power} ${decimalUnits[power]}` : bytes(perSecond)}/s`
}

/** How long ago something was, in its largest unit: `12s`, `5m`, `3h`, `2d`. */
export const age = (millis: number): string => {
  const seconds = Math.max(0, Math.floor(millis / 1000))
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`
}

/** Whole number with its thousands apart: `12,345`. */
export const count = (amount: number): string => String(amount).replaceAll(/\B(?=(\d{3})+$)/g, ",")

/** Number of things with their noun: `1 file`, `2 files`. */
export const counted = (amount: number, noun: string, plural = `${noun}s`): string =>
  `${count(amount)} ${amount === 1 ? noun : plural}`

/** Number of files that did not have to be read: `12 from the cache`. */
export const cached = (amount: number): string => `${count(amount)} from the cache`

/** Text on one line, with nothing in it that a terminal would obey. */
export const printable: (text: string) => string = FilePath.printable

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** Milliseconds that lead from today to no time that a `Date` can't hold. */
const mostMillis = 8e15

/** Reads a duration like `30d`, `12h`, `45m`, `90s` or `2w` in milliseconds. */
export const parseDuration = (text: string): Option.Option<number> => {
  const match = /^(\d+(?:\.\d+)?)\s*([smhdw])$/.exec(text.trim())
  const millis = Number(match?.[1]) * (unitSeconds[match?.[2] ?? ""] ?? Number.NaN) * 1000
  return Option.filter(Option.some(millis), (millis) => millis <= mostMillis)
}
