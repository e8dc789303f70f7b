/**
 * Chooses where the axes of a plot have their lines: pure, bounds in, places out.
 */
import type { Unit } from "./shown.ts"

const secondsSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400]

/** Places of about so many round moments between two. */
export const momentsOf = (from: number, to: number, many: number): ReadonlyArray<number> => {
  const rough = (to - from) / 1000 / Math.max(1, many)
  const step = 1000 * (secondsSteps.find((one) => one >= rough) ?? 86_400 * Math.ceil(rough / 86_400))
  // Hours and days begin where they do on the clock of the browser.
  const offset = new Date(from).getTimezoneOffset() * 60_000
  const first = Math.ceil((from - offset) / step) * step + offset
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, index) => first + index * step)
}

/** Round amounts from 0 to above the largest one: bytes by powers of two, all else by ones, twos and fives. */
export const amountsOf = (unit: Unit, largest: number): ReadonlyArray<number> => {
  const rough = Math.max(unit === "bytes" ? 1 : 0.1, largest) / 4
  const base = unit === "bytes" ? 2 : 10
  const power = base ** Math.floor(Math.log(rough) / Math.log(base))
  const step = power * ((unit === "bytes" ? [1, 2] : [1, 2, 5, 10]).find((by) => power * by >= rough) ?? base)
  return Array.from({ length: Math.ceil(Math.max(largest, step) / step) + 1 }, (_, index) => index * step)
}
