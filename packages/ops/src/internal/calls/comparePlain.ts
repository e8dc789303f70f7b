/**
 * Compares two small files, links or folders: calls straight one after the other, with nothing in between but what has
 * to be decided. They are most of what a small file takes.
 */
import type * as Files from "../../Files.ts"
import { sameBytes } from "../sameBytes.ts"
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, flagsOf, lastError, libc, native, PATH_MAX, statMask } from "./libc.ts"
import { Answer, isSame } from "./stat.ts"
import type { Pair } from "./systemCalls.ts"

/** Words with the inode and device of a file. */
const identifying = [8, 9, 34, 35]
/** With its size and the times of the last change of its content and of all else. */
const changing = [...identifying, 10, 11, 24, 25, 26, 28, 29, 30]
/** With its owner, group, and kind with mode, and the time of the last change of its content. */
const kept = [5, 6, 7, 28, 29, 30]

const [metA, metB, after] = [new Answer(), new Answer(), new Answer()]

const look = (descriptor: number, into: Answer): boolean =>
  libc.statx(descriptor, "", AT_EMPTY_PATH, statMask, into.bytes) === 0

/** Reads so many bytes, and tells whether there were as many. */
const fill = (descriptor: number, buffer: Uint8Array, length: number): boolean => {
  for (let got = 0; got < length;) {
    const more = libc.read(descriptor, got === 0 ? buffer : buffer.subarray(got), length - got)
    if (more <= 0) return false
    got += more
  }
  return true
}

/** How many bytes are the same from the beginning on; nothing where not all of them can be read. */
const compareContent = (a: number, b: number, buffers: Files.Comparer["buffers"]): number | undefined => {
  const sizeBytes = Math.min(metA.sizeBytes, metB.sizeBytes)
  // Files of the kernel say that they have none.
  if (sizeBytes === 0 && (libc.read(a, buffers[0], 1) !== 0 || libc.read(b, buffers[1], 1) !== 0)) return undefined
  for (let offset = 0; offset < sizeBytes;) {
    const length = Math.min(buffers[0].length, sizeBytes - offset)
    if (!fill(a, buffers[0], length) || !fill(b, buffers[1], length)) return undefined
    const same = sameBytes(buffers, length)
    offset += same
    if (same < length) return offset
  }
  return sizeBytes
}

const tell = (comparer: Files.Comparer, same: number): void =>
  comparer.end(same === metA.sizeBytes && same === metB.sizeBytes ? undefined : same, same)

/** Which of them is not what it was; nothing where both are. */
const changedSide = (a: number, b: number): "A" | "B" | undefined => {
  if (!look(a, after) || !isSame(metA, after, changing)) return "A"
  return !look(b, after) || !isSame(metB, after, changing) ? "B" : undefined
}

const compareOpen = (a: number, b: number, comparer: Files.Comparer): void => {
  if (!look(a, metA) || !look(b, metB)) return comparer.leave()
  if (!comparer.begin(metA, metB, isSame(metA, metB, kept))) return
  // Trees that share files, as snapshots by hard links do, have nothing to read.
  if (isSame(metA, metB, identifying)) return comparer.end(undefined, 0)
  const same = metA.kind === "file" && metB.kind === "file" ? compareContent(a, b, comparer.buffers) : undefined
  const side = changedSide(a, b)
  if (side !== undefined) comparer.changed(side)
  else if (same === undefined) comparer.leave()
  else tell(comparer, same)
}

const targets = [Buffer.allocUnsafeSlow(PATH_MAX), Buffer.allocUnsafeSlow(PATH_MAX)] as const

const compareLinks = ({ a, b, comparer }: Pair, name: string | Buffer): void => {
  const isSeen = libc.statx(a, name, AT_SYMLINK_NOFOLLOW, statMask, metA.bytes) === 0 &&
    libc.statx(b, name, AT_SYMLINK_NOFOLLOW, statMask, metB.bytes) === 0
  if (!isSeen || metA.kind !== "link" || metB.kind !== "link") return comparer.leave()
  if (!comparer.begin(metA, metB, isSame(metA, metB, kept))) return
  const lengths = [
    libc.readlinkat(a, name, targets[0], PATH_MAX),
    libc.readlinkat(b, name, targets[1], PATH_MAX)
  ] as const
  const shared = Math.min(...lengths)
  if (shared < 0) return comparer.leave()
  const same = sameBytes(targets, shared)
  comparer.end(same === shared && lengths[0] === lengths[1] ? undefined : same, 0)
}

/** Whether what has the name need not be left unopened. Why something can't be looked at is told by what opens it. */
const mayOpen = (folder: number, name: string | Buffer, { mayOpen }: Files.Comparer): boolean =>
  mayOpen === undefined || libc.statx(folder, name, AT_SYMLINK_NOFOLLOW, statMask, metA.bytes) !== 0 || mayOpen(metA)

const compareNamed = (pair: Pair): void => {
  const { a, b, comparer } = pair
  const name = native(pair.name)
  if (!mayOpen(a, name, comparer) || !mayOpen(b, name, comparer)) return comparer.leave()
  const openA = libc.openat(a, name, flagsOf.read, 0)
  if (openA < 0) return lastError() === "ELOOP" ? compareLinks(pair, name) : comparer.leave()
  const openB = libc.openat(b, name, flagsOf.read, 0)
  if (openB < 0) comparer.leave()
  else {
    compareOpen(openA, openB, comparer)
    libc.close(openB)
  }
  libc.close(openA)
}

/** Compares two, and tells the comparer what they come to, or that they are to be compared another way. */
export const comparePlain = (pair: Pair): void =>
  pair.name === "" ? compareOpen(pair.a, pair.b, pair.comparer) : compareNamed(pair)
