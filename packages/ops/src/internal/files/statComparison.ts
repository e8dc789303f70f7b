/**
 * Tells how much two files are alike, by what is known of them without reading.
 */
import type * as Files from "../../Files.ts"

/** To the microsecond: where times are set through a double, the last digits of the nanoseconds are lost. */
export const isSameTime = (a: bigint, b: bigint): boolean => a - b < 1000n && b - a < 1000n

/** Whether two have the same kind, size and time of modification. */
export const isAlike = (source: Files.FileStat, there: Files.FileStat): boolean =>
  source.kind === there.kind && source.sizeBytes === there.sizeBytes &&
  isSameTime(source.modifiedNanos, there.modifiedNanos)

/** Whether a file was written to while it was read, as far as its size and time tell. */
export const isChanged = (before: Files.FileStat, after: Files.FileStat): boolean =>
  before.modifiedNanos !== after.modifiedNanos || before.sizeBytes !== after.sizeBytes
