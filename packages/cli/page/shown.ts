/**
 * Writes amounts, times and names as the page shows them, in the language of the browser.
 */
import type { Row } from "./client.ts"

const unsafe = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/gu

/** Text with an escape that can be seen for each character that is none or that turns others around. */
export const printable = (text: string): string =>
  text.replaceAll(unsafe, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** Text of several lines, the ends of which stay. */
export const printableLines = (text: string): string => text.split("\n").map(printable).join("\n")

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 })
const tenths = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 })

/** Whole number with its thousands apart. */
export const count = (amount: number): string => whole.format(amount)

/** Number of things with their noun: `1 job`, `12 jobs`. */
export const counted = (amount: number, noun: string): string => `${count(amount)} ${noun}${amount === 1 ? "" : "s"}`

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]

/** Amount of bytes: `999 B`, `1.5 MiB`. */
const bytes = (amount: number): string => {
  const power = Math.min(units.length - 1, Math.floor(Math.log(Math.max(1, amount)) / Math.log(1024)))
  return `${tenths.format(amount / 1024 ** power)} ${units[power]}`
}

const decimalUnits = ["B", "kB", "MB", "GB", "TB"]

/** Amount of bytes in units in which it has few digits, as somebody has set it: `3 MB`, `1.5 GiB`. */
export const setBytes = (amount: number): string => {
  const power = Math.min(Math.floor(Math.log10(Math.max(1, amount)) / 3), decimalUnits.length - 1)
  const isDecimal = power > 0 && amount % 1024 !== 0 && amount % (1000 ** power / 10) === 0
  return isDecimal ? `${amount / 1000 ** power} ${decimalUnits[power]}` : bytes(amount)
}

/** What moves: bytes, or elements that end. */
export type Unit = "bytes" | "items"

/** Amount of what moves. */
export const amount = (unit: Unit, many: number): string => unit === "bytes" ? bytes(many) : count(many)

/** How much moves in a second. */
export const rate = (unit: Unit, perSecond: number): string =>
  unit === "bytes" ? `${bytes(perSecond)}/s` : `${(perSecond < 10 ? tenths : whole).format(perSecond)}/s`

/** The rate of a job: of bytes where any move, else of elements; empty where nothing moves. */
export const rateOf = ({ rates }: Row["progress"]): string => {
  const { bytes = 0, items = 0 } = rates
  return bytes > 0 ? rate("bytes", bytes) : items > 0 ? rate("items", items) : ""
}

/** Share as whole percents, and 100 only for all. */
export const percent = (share: number): string => `${Math.floor(share * 100)} %`

/** Length of time in its two largest units: `5 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export const duration = (millis: number): string => {
  const seconds = Math.max(0, Math.round(millis / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
  const hours = Math.floor(minutes / 60)
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** Text as one word of a command. */
export const word = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`

/** Length of a time that may be short: `0.1 ms`, `12 ms`, `1.4 s`, and from 10 s on in two units. */
export const span = (millis: number): string => {
  if (millis < 9.95) return `${tenths.format(millis)} ms`
  if (millis < 999.5) return `${whole.format(millis)} ms`
  return millis < 9950 ? `${tenths.format(millis / 1000)} s` : duration(millis)
}

/** How long ago something was, in its largest unit. */
export const ago = (millis: number): string => {
  const seconds = Math.max(0, Math.floor(millis / 1000))
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86_400)} d ago`
}

const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" })
const clocks = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23"
})

/** Moment with its date, in the time of the browser. */
export const moment = (at: number): string => moments.format(at)

/** Time of day: `14:02:11`. */
export const clock = (at: number): string => clocks.format(at)

const days = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", hourCycle: "h23" })

/** Day and hour of a moment. */
export const day = (at: number): string => days.format(at)
