/**
 * Makes rates of the samples of a history: pure, samples in, rates out.
 */
import type { History } from "./client.ts"
import type { Unit } from "./shown.ts"

/** So long the rates of a plot are taken over: what moves by leaps would be a saw. */
export const windowMillis = 5000

/** A running job has a new sample each second. */
export const sampleMillis = 1000

/** Rate at a sample, and what moved since the one `before` it. `isFirst` where nobody ran the job right before that. */
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

/** Rates at the samples of each run, but for its first one. */
export const pointsOf = ({ at, everyMillis, tasks, ...amounts }: History, unit: Unit): ReadonlyArray<Point> => {
  const amount = amounts[unit]
  const long = Math.max(windowMillis, gap * everyMillis)
  const points: Array<Point> = []
  let first = 0
  let from = 0
  for (let index = 1; index < at.length; index++) {
    const [now = 0, before = 0] = [at[index], at[index - 1]]
    if (now - before > gap * everyMillis) {
      first = index
      from = index
      continue
    }
    while (now - (at[from] ?? 0) > long) from++
    const millis = Math.max(1, now - (at[from] ?? 0))
    points.push({
      before,
      at: now,
      moved: Math.max(0, (amount[index] ?? 0) - (amount[index - 1] ?? 0)),
      perSecond: Math.max(0, (amount[index] ?? 0) - (amount[from] ?? 0)) / millis * 1000,
      tasks: tasks[index] ?? 0,
      isFirst: index === first + 1
    })
  }
  return points
}

/** The mean rate while the job ran, and how long that was. */
export const meanOf = (
  points: ReadonlyArray<Point>
): { readonly perSecond: number; readonly millis: number } | undefined => {
  const millis = points.reduce((sum, { at, before }) => sum + at - before, 0)
  const moved = points.reduce((sum, point) => sum + point.moved, 0)
  return millis === 0 ? undefined : { perSecond: moved / millis * 1000, millis }
}
