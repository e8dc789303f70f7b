/**
 * Writes the line that shows how far a job is. Pure: progress goes in, text comes out.
 */
import type { Progress } from "@fanout/core/Progress"
import { largeUnits, removedUnits } from "@fanout/ops/ProgressUnits"
import * as CliOutput from "effect/cli/CliOutput"
import * as format from "./format.ts"
import { doneOf } from "./summary.ts"
import { fit } from "./table.ts"

/** Parts that a narrow terminal does without, the first ones first. */
const expendable = ["id", "elapsed", "rate", "cached", "bytes", "left"] as const

/** What is told beside a progress: the id of its job, and how long that has run by now. */
interface Beside {
  readonly id?: string
  readonly now?: number
}

/** Line of one progress that fits the width of the terminal. */
export const progressLine = (progress: Progress, columns: number, { id = "", now }: Beside = {}): string => {
  const millis = now === undefined ? 0 : now - (progress.startedAt ?? now)
  const elapsed = millis < 1000 ? "" : `${format.duration(millis)} so far`
  const parts = { ...partsOf(progress), elapsed, id }
  const without = (omitted: ReadonlyArray<string>) =>
    Object.entries(parts).filter(([name, text]) => text !== "" && !omitted.includes(name)).map(([, text]) => text)
      .join(" · ")
  const lines = Array.from({ length: expendable.length + 1 }, (_, count) => without(expendable.slice(0, count)))
  return fit(lines.find((line) => CliOutput.displayWidth(line) < columns) ?? lines.at(-1) ?? "", columns - 1)
}

/** How many files there are, and how many of them failed. */
export const counted = (progress: Progress): string => {
  const { failed, files } = partsOf(progress)
  return failed === "" ? files : `${files} · ${failed}`
}

const partsOf = (progress: Progress) => {
  const { failed, skipped } = progress.tally
  const { bytes = 0, cached = 0, [largeUnits.begun]: begun = 0 } = progress.units
  // A file that is all there is has a size.
  const totalBytes = progress.totals["bytes"] ?? (progress.totals["items"] === 1 && begun > 0 ? begun : undefined)
  const remaining = left(progress)
  const ofAll = totalBytes === undefined || totalBytes < bytes ? "" : ` of ${format.bytes(totalBytes)}`
  return {
    files: format.counted(doneOf(progress).done + failed + skipped, "file"),
    cached: cached > 0 ? format.cached(cached) : "",
    failed: failed > 0 ? `${format.count(failed)} failed` : "",
    bytes: bytes > 0 ? `${format.bytes(bytes)}${ofAll}` : "",
    rate: rate(progress),
    share: share(progress),
    left: remaining === "" ? "" : `${remaining} left`
  }
}

/** How much is done of how much, and how much more in a second. */
interface Measured {
  readonly now: number
  readonly all: number
  readonly rate: number
}

/** How much is done of how much, by what says most; nothing where it is not known how much there is. */
const measured = (progress: Progress): Measured | undefined => {
  const { items, rates = {}, totals, units } = progress
  const { bytes = 0, [largeUnits.begun]: begun = 0, [largeUnits.copied]: copied = 0 } = units
  const { bytes: allBytes = 0, items: all } = totals
  const removed = (amounts: Readonly<Record<string, number>>) =>
    (amounts[removedUnits.files] ?? 0) + (amounts[removedUnits.folders] ?? 0)
  const byItems = { now: items, all: all ?? 0, rate: rates["items"] ?? 0 }
  const byBytes = (all: number) => ({ now: Math.min(bytes, all), all, rate: rates["bytes"] ?? 0 })
  if (removed(totals) > 0) {
    return { now: Math.min(removed(units), removed(totals)), all: removed(totals), rate: removed(rates) }
  }
  // What failed or was skipped has bytes that nobody reads.
  if (allBytes > 0) return items === all ? byItems : byBytes(allBytes)
  if (all === undefined || all < items) return undefined
  if (begun === 0 || items === all) return byItems
  const left = Math.max(0, begun - copied)
  // What was not begun is taken for as large as what has ended, but for large files.
  const mean = items === 0 ? 0 : Math.max(0, bytes - copied) / items
  return byBytes(bytes + left + mean * (all - items - (left > 0 ? 1 : 0)))
}

/** How much of all is done, from 0 to 1, where it is known how much there is. */
export const shareDone = (progress: Progress): number | undefined => {
  const { all = 0, now = 0 } = measured(progress) ?? {}
  return all === 0 ? undefined : now / all
}

/** How much of all is done: `42 %`; empty where it is not known how much there is. */
export const share = (progress: Progress): string => {
  const done = shareDone(progress)
  return done === undefined ? "" : `${Math.floor(done * 100)} %`
}

/** How long it takes at the present rate until all is done, where that is known. */
export const leftMillis = (progress: Progress): number | undefined => {
  const found = measured(progress)
  if (found === undefined) return undefined
  const { all, now, rate } = found
  return rate > 0 && now < all ? ((all - now) / rate) * 1000 : undefined
}

/** How long it takes at the present rate until all is done: `2.5 s`; empty where that is not known. */
export const left = (progress: Progress): string => {
  const millis = leftMillis(progress)
  return millis === undefined ? "" : format.duration(millis)
}

/** How much moves in a second: bytes, where any do; empty where nothing moves. */
export const rate = ({ rates: { bytes = 0 } = {} }: Progress): string => bytes > 0 ? `${format.bytes(bytes)}/s` : ""
