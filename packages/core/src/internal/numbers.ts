/**
 * Checks numbers that come from outside: options, and amounts that programs report. `NaN` compares as false with any
 * number, and a store keeps it as `null`, so that it does its harm far from its origin.
 *
 * Each check returns the number, or throws an error that names the option, what the option takes, and the given value.
 */
import * as Duration from "effect/Duration"

const refuse = (what: string, takes: string, given: unknown): never => {
  throw new Error(`${what} has to be ${takes}; it was given ${String(given)}`)
}

const checking = (takes: string, fits: (given: number) => boolean) => (what: string, given: number): number =>
  fits(given) ? given : refuse(what, takes, given)

const isWhole = Number.isSafeInteger

/** A whole number, such as a bound of a range. */
export const whole = checking("a whole number up to 2^53", isWhole)

/** How many there are of something. */
export const natural = checking("a whole number, 0 or more", (given) => isWhole(given) && given >= 0)

/** How many there are of something that has to be there. */
export const count = checking("a whole number, at least 1", (given) => isWhole(given) && given >= 1)

/** A port that others know. */
export const port = checking("a port from 1 to 65535", (given) => isWhole(given) && given >= 1 && given <= 65_535)

/** Most things at once. */
export const limit = checking(
  "a whole number, at least 1, or Infinity",
  (given) => given === Number.POSITIVE_INFINITY || (isWhole(given) && given >= 1)
)

/** Most times that something may happen. */
export const times = checking(
  "a whole number, 0 or more, or Infinity",
  (given) => given === Number.POSITIVE_INFINITY || (isWhole(given) && given >= 0)
)

/** Any number that can be compared, such as a time before or behind all others. */
export const bound = checking("a number", (given) => !Number.isNaN(given))

/** An amount that is added to others. The bound keeps sums of amounts finite. */
export const amount = checking("a number between -2^53 and 2^53", (given) => Math.abs(given) <= 2 ** 53)

/** The size of something, such as a weight in permits. */
export const size = checking("a number from 0 to 2^53", (given) => given >= 0 && given <= 2 ** 53)

/** How much may pass in a second. */
export const rate = checking("a number above 0", (given) => given > 0)

/** Milliseconds of a duration, which may be infinite. */
export const millis = (what: string, given: Duration.Input): number => {
  const found = Number.isNaN(given) ? undefined : Duration.fromInput(given)
  const millis = found?._tag === "Some" ? Duration.toMillis(found.value) : Number.NaN
  return millis >= 0 ? millis : refuse(what, "a duration, 0 or more", given)
}

/** Milliseconds of a duration after which something goes on. */
export const finiteMillis = (what: string, given: Duration.Input): number => {
  const found = millis(what, given)
  return Number.isFinite(found) ? found : refuse(what, "a duration that ends", given)
}

/** Milliseconds since the epoch of a time. */
export const instant = (what: string, given: Date | number): number => {
  const found = Number(given)
  return Math.abs(found) <= 8.64e15 ? found : refuse(what, "a time that a Date can hold", given)
}
