/**
 * Makes rates of the samples of a history: pure, samples in, rates out.
 */
import type { History } from "./client.ts"
import type { Unit } from "./shown.ts"

/** Rate between a sample and the one `before` it. `isFirst` where nobody ran the job right before that. */
export interface Point {
  readonly before: number
  readonly at: number
  readonly moved: number
  readonly perSecond: number
  readonly tasks: number
  readonly isFirst: boolean
}

/** So many distances of samples lie between those of two runs. */
const gap = 2.5

/** What a history shows: bytes where any moved. */
export const unitOf = (history: History | undefined): Unit => (history?.bytes.at(-1) ?? 0) > 0 ? "bytes" : "items"

/** Rates between samples of one run each. */
export const pointsOf = (history: History, unit: Unit): ReadonlyArray<Point> => {
  let isFirst = true
  return history.at.slice(1).flatMap((at, index) => {
    const before = history.at[index] ?? at
    const isGap = at - before > gap * history.everyMillis
    const moved = Math.max(0, (history[unit][index + 1] ?? 0) - (history[unit][index] ?? 0))
    const point = {
      before,
      at,
      moved,
      perSecond: moved / (at - before) * 1000,
      tasks: history.tasks[index + 1] ?? 0,
      isFirst
    }
    // The last sample of a run can be right behind the one before: that is no time to measure.
    if (!isGap && at - before < history.everyMillis / 4) return []
    isFirst = isGap
    return isGap ? [] : [point]
  })
}

/** The mean rate while the job ran, and how long that was. */
export const meanOf = (
  points: ReadonlyArray<Point>
): { readonly perSecond: number; readonly millis: number } | undefined => {
  const millis = points.reduce((sum, { at, before }) => sum + at - before, 0)
  const moved = points.reduce((sum, point) => sum + point.moved, 0)
  return millis === 0 ? undefined : { perSecond: moved / millis * 1000, millis }
}
