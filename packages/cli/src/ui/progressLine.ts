/**
 * Writes the line that shows how far a job is. Pure: progress goes in, text comes out.
 */
import type { Progress } from "@fanout/core/Progress"
import * as format from "./format.ts"
import { fit } from "./table.ts"

/** What was recorded at one time. */
export interface Sample {
  readonly at: number
  readonly bytes: number
  readonly items: number
}

/** Sample of a progress. */
export const sample = (at: number, progress: Progress): Sample => ({
  at,
  bytes: progress.units["bytes"] ?? 0,
  items: ended(progress)
})

/** Samples of the last ten seconds, the new one behind them. */
export const remember = (samples: ReadonlyArray<Sample>, next: Sample): ReadonlyArray<Sample> => [
  ...samples.filter(({ at }) => next.at - at <= 10_000),
  next
]

const ended = (progress: Progress): number => {
  const { done, failed, skipped } = progress.tally
  return done + failed + skipped
}

const perSecond = (samples: ReadonlyArray<Sample>, of: (sample: Sample) => number): number => {
  const [first, last] = [samples[0], samples.at(-1)]
  if (first === undefined || last === undefined || last.at - first.at < 500) return 0
  return (of(last) - of(first)) / ((last.at - first.at) / 1000)
}

/** Line of one progress, cut to the width of the terminal. */
export const progressLine = (progress: Progress, samples: ReadonlyArray<Sample>, columns: number): string => {
  const items = ended(progress)
  const total = progress.totals["items"]
  const { failed } = progress.tally
  const bytes = progress.units["bytes"] ?? 0
  const totalBytes = progress.totals["bytes"]
  const known = total !== undefined && total >= items
  const { FolderEnded: ends = 0, FolderMade: folders = 0 } = progress.tally.tags
  const parts = [format.counted(Math.max(0, items - folders - ends), "file")]
  if (failed > 0) parts.push(`${format.count(failed)} failed`)
  if (bytes > 0) {
    parts.push(
      totalBytes === undefined || totalBytes < bytes
        ? format.bytes(bytes)
        : `${format.bytes(bytes)} of ${format.bytes(totalBytes)}`
    )
    parts.push(`${format.bytes(perSecond(samples, (at) => at.bytes))}/s`)
  }
  if (known) parts.push(...remaining(items, total, bytes, totalBytes, samples))
  return fit(parts.join(" · "), columns - 1)
}

const remaining = (
  items: number,
  total: number,
  bytes: number,
  totalBytes: number | undefined,
  samples: ReadonlyArray<Sample>
): ReadonlyArray<string> => {
  const byBytes = totalBytes !== undefined && totalBytes > 0
  const [now, all] = byBytes ? [Math.min(bytes, totalBytes), totalBytes] : [items, total]
  if (all === 0) return []
  const rate = perSecond(samples, (at) => byBytes ? at.bytes : at.items)
  const parts = [`${Math.floor((now / all) * 100)} %`]
  if (rate > 0 && now < all) parts.push(`${format.duration(((all - now) / rate) * 1000)} left`)
  return parts
}
