/**
 * Tells how much two files are alike, by what is known of them without reading.
 */
import * as Files from "../../Files.ts"

/** To the microsecond: where times are set through a double, the last digits of the nanoseconds are lost. */
export const isSameTime = (a: bigint, b: bigint): boolean => a - b < 1000n && b - a < 1000n

/** Whether two have the same kind, size and time of modification. */
export const isAlike = (source: Files.FileStat, there: Files.FileStat): boolean =>
  source.kind === there.kind && source.sizeBytes === there.sizeBytes &&
  isSameTime(source.modifiedNanos, there.modifiedNanos)

/**
 * Whether two names are of one file, as in snapshots that share files by hard links: then there is nothing to read.
 * Inodes alone don't tell, as some file systems in user space make them up by hashes.
 */
export const isShared = (a: Files.FileStat, b: Files.FileStat): boolean =>
  !isChanged(a, b) && a.links === b.links && a.bornNanos === b.bornNanos

/**
 * Tells a file, and what is in it, from all that it was before. Whoever writes can set the time of modification back,
 * and nobody the time of change. That changes with mode, owner, attributes and names, too: such a file is read again.
 */
export const edition = ({ changedNanos, device, inode, modifiedNanos, sizeBytes }: Files.FileStat): string =>
  [device, inode, sizeBytes, modifiedNanos, changedNanos].join(" ")

/**
 * Whether a file has another edition by now: what was read of it may never have been there together. It is asked of
 * each small file, so no text is made.
 */
export const isChanged = (before: Files.FileStat, after: Files.FileStat): boolean =>
  before.changedNanos !== after.changedNanos || before.modifiedNanos !== after.modifiedNanos ||
  before.sizeBytes !== after.sizeBytes || !Files.isSameInode(before, after)
