/**
 * Copies a small file with nothing special about it: the calls that the steps of `copyEach` make, straight one after
 * the other, with nothing in between but what has to be decided.
 *
 * A file is worth some ten calls, which take the kernel a microsecond each. To hand each of them to a function, and to
 * make numbers of all that it tells, took as long.
 */
import type * as FilePath from "../../FilePath.ts"
import { isLost } from "../attributes.ts"
import { userUnsafe } from "../unfinished.ts"
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  flagsOf,
  lastError,
  libc,
  native,
  SEEK_DATA,
  SEEK_HOLE,
  SEEK_SET,
  statMask
} from "./libc.ts"
import { Answer, isSame } from "./stat.ts"
import { type PlainCopy, withoutAttributes } from "./systemCalls.ts"

const word = ({ words }: Answer, index: number): number => words[index] ?? 0

/** Words with the inode, size, time of modification and device of a file. */
const changing = [8, 9, 10, 11, 28, 29, 30, 34, 35]

const [met, after, there] = [new Answer(), new Answer(), new Answer()]

/** Times as `utimensat` takes them: two of 64 bits, of which what `statx` gives has as many in the same order. */
const times = new Uint32Array(8)
const timesBytes = Buffer.from(times.buffer)

const setTimes = (copy: number): boolean => {
  for (let index = 0; index < 3; index++) {
    times[index] = word(met, 16 + index)
    times[4 + index] = word(met, 28 + index)
  }
  return libc.utimensat(copy, null, timesBytes, 0) === 0
}

/** As long as the longest list (linux/limits.h). */
const attributes = Buffer.allocUnsafeSlow(65_536)

/** Whether a file has extended attributes that its copy is to have. */
const keepsAttributes = (source: number, { isAttributeKept }: PlainCopy["copier"]): boolean => {
  const length = libc.flistxattr(source, attributes, attributes.length)
  if (length <= 0) return length < 0 && !withoutAttributes.has(lastError())
  return attributes.toString("latin1", 0, length - 1).split("\0").some(isAttributeKept)
}

/** Passes the next piece through memory, and tells how large it was; less than 0 where that failed. */
const copyPiece = (copy: number, source: number, { buffer, take }: PlainCopy["copier"], most: number): number => {
  const length = libc.read(source, buffer, most)
  if (length > 0) take?.(length === buffer.length ? buffer : buffer.subarray(0, length))
  return length > 0 && libc.write(copy, buffer, length) !== length ? -1 : length
}

/**
 * Copies so much from where both are: what does not fit into the buffer within the kernel, if that does it for these
 * files and nobody is to know what it is.
 */
const copyBytes = (copy: number, source: number, sizeBytes: number, copier: PlainCopy["copier"]): boolean => {
  const { buffer, mayGoOn, take } = copier
  let isByKernel = take === undefined && sizeBytes >= buffer.length
  for (let copied = 0; copied < sizeBytes;) {
    if (copied > 0 && !mayGoOn()) return false
    const most = Math.min(sizeBytes - copied, buffer.length)
    const length = isByKernel
      ? libc.copyFileRange(source, null, copy, null, most, 0)
      : copyPiece(copy, source, copier, most)
    if (length > 0) copied += length
    else if (copied === 0 && isByKernel) isByKernel = false
    else return false
  }
  return true
}

/** Gives whoever is to know the content as many zeros. */
const takeHole = (length: number, { buffer, take }: PlainCopy["copier"]): void => {
  if (take === undefined) return
  buffer.fill(0)
  for (let left = length; left > 0; left -= buffer.length) take(buffer.subarray(0, Math.min(left, buffer.length)))
}

/** Copies stretches of data, and no hole between them. Gives `undefined` where holes are not known of. */
const copyData = (copy: number, source: number, copier: PlainCopy["copier"]): boolean | undefined => {
  const { sizeBytes } = met
  for (let at = 0; at < sizeBytes;) {
    const data = libc.lseek(source, at, SEEK_DATA)
    if (data < 0 && lastError() !== "ENXIO") return at === 0 ? undefined : false
    const start = data < 0 ? sizeBytes : Math.min(data, sizeBytes)
    const end = data < 0 ? sizeBytes : Math.min(libc.lseek(source, start, SEEK_HOLE), sizeBytes)
    takeHole(start - at, copier)
    if (end < start || libc.lseek(source, start, SEEK_SET) < 0 || libc.lseek(copy, start, SEEK_SET) < 0) return false
    if (!copyBytes(copy, source, end - start, copier)) return false
    at = end
  }
  return libc.ftruncate(copy, sizeBytes) === 0
}

/** Copies all of the content. */
const copyContent = (copy: number, source: number, copier: PlainCopy["copier"]): boolean => {
  const { allocatedBytes, sizeBytes } = met
  const isCopied = copier.keepsHoles && allocatedBytes < sizeBytes ? copyData(copy, source, copier) : undefined
  return isCopied ?? copyBytes(copy, source, sizeBytes, copier)
}

/**
 * Gives a copy the mode that it was made with, where it has not got it: by the mask of this process, or by what the
 * folder has its files inherit. Both are the same for the next file.
 */
const setMode = (copy: number, modes: PlainCopy["modes"]): boolean => {
  const { mode } = met
  let isGiven = modes.get(mode)
  if (isGiven === undefined) {
    isGiven = libc.statx(copy, "", AT_EMPTY_PATH, statMask, there.bytes) === 0 && there.mode === mode
    modes.set(mode, isGiven)
  }
  return isGiven || libc.fchmod(copy, mode) === 0
}

/** Gives a copy its owner, or at least its group, where it may have that. */
const setOwner = (copy: number, { keepsOwner, ownerLost }: PlainCopy["copier"]): boolean => {
  if (!keepsOwner || libc.fchownat(copy, "", met.owner, met.group, AT_EMPTY_PATH) === 0) return true
  if (!isLost(lastError())) return false
  libc.fchownat(copy, "", userUnsafe(), met.group, AT_EMPTY_PATH)
  ownerLost()
  return true
}

/** Fills a copy and gives it a name, if it is to have one yet and all is as it is to be. */
const fill = (copy: number, source: number, name: string | Buffer, { copier, hold, modes, to }: PlainCopy): boolean => {
  const { isOwn } = copier
  return copyContent(copy, source, copier) &&
    libc.statx(source, "", AT_EMPTY_PATH, statMask, after.bytes) === 0 && isSame(met, after, changing) &&
    setOwner(copy, copier) && setMode(copy, modes) && setTimes(copy) &&
    // Whoever must stop, or owns the job no more, gives nothing its name.
    (isOwn || hold !== undefined || (copier.mayGoOn() &&
      libc.linkat(AT_FDCWD, `/proc/self/fd/${copy}`, to, name, AT_SYMLINK_FOLLOW) === 0))
}

const takeBack = (name: string | Buffer, { copier, to }: PlainCopy): void => {
  if (libc.unlinkat(to, name, 0) !== 0 && lastError() !== "ENOENT") copier.spoiled()
}

/** Makes a copy of an open file by this name, or leaves nothing. */
const copyOpen = (source: number, name: string | Buffer, plain: PlainCopy): boolean => {
  const { copier, hold, to } = plain
  const { isOwn } = copier
  if (keepsAttributes(source, copier)) return false
  const copy = libc.openat(to, isOwn ? name : ".", isOwn ? flagsOf.create : flagsOf.unnamed, met.mode)
  if (copy < 0) return false
  const isFilled = fill(copy, source, name, plain)
  if (isFilled && hold !== undefined) {
    hold(copy, met.sizeBytes)
    return true
  }
  // What could not be written may only be noticed now.
  const isWhole = libc.close(copy) === 0 && isFilled
  const isNamed = isOwn || isFilled
  if (!isWhole && isNamed) takeBack(name, plain)
  return isWhole
}

/** Has a copy that is whole, and closed, take the place of what is there, or leaves nothing of it. */
const replace = (aside: string | Buffer, name: string | Buffer, plain: PlainCopy): boolean => {
  const { copier, to } = plain
  if (copier.mayGoOn() && libc.renameat(to, aside, to, name) === 0) return true
  takeBack(aside, plain)
  return false
}

/** Copies a file, if that takes no more than this, or leaves it alone. Else it gives `false`, and nothing was done. */
export const copyPlain = (plain: PlainCopy): boolean => {
  const { copier, from, to } = plain
  const name = native(plain.name)
  if (libc.statx(from, name, AT_SYMLINK_NOFOLLOW, statMask, met.bytes) !== 0) return false
  // Of what is not a file there is more to ask.
  if (met.kind !== "file") return false
  if (!copier.begin(met)) return true
  let aside: FilePath.FilePath | undefined
  if (!copier.isFree && !copier.isOwn) {
    if (libc.statx(to, name, AT_SYMLINK_NOFOLLOW, statMask, there.bytes) === 0) {
      aside = copier.found(there)
      if (aside === undefined) return true
    } else if (lastError() !== "ENOENT") return false
  }
  const source = libc.openat(from, name, flagsOf.read, 0)
  if (source < 0) return false
  const isMade = copyOpen(source, aside ?? name, plain)
  libc.close(source)
  const isCopied = isMade && (aside === undefined || replace(aside, name, plain))
  if (isCopied && plain.hold === undefined) copier.copied(met.sizeBytes)
  return isCopied
}
