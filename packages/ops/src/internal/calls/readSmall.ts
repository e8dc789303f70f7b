/**
 * Reads small files in as few steps as can be: between the calls for one, everything else takes longer than they do.
 */
import type * as FilePath from "../../FilePath.ts"
import type { ContentReader, Done, SystemCalls } from "./systemCalls.ts"

/** Opens files to read from them, and leaves all else to those who read step by step. */
export const leaving =
  (open: (folder: number, name: FilePath.FilePath, done: Done<number>) => void): SystemCalls["readSmall"] =>
  (folder, name, _, done) =>
    open(folder, name, (code, descriptor) => done(code, code === undefined ? descriptor : "open"))

/** Calls of the C library. They give -1 where they fail. */
interface Native {
  readonly open: (folder: number, name: FilePath.FilePath) => number
  /** Fills in what the mask tells of a `struct statx`. */
  readonly stat: (descriptor: number, mask: number, into: Uint32Array) => number
  readonly read: (descriptor: number, into: Uint8Array) => number
  readonly close: (descriptor: number) => void
  /** Name of the error that the last call has failed with. */
  readonly lastError: () => string
}

/** Where in a `struct statx` (linux/stat.h) things are, in words of 32 bits. */
const words = { all: 64, mode: 7, sizeLow: 10, sizeHigh: 11, seconds: 28, secondsHigh: 29, nanos: 30 } as const
const STATX_TYPE_SIZE_MTIME = 0x1 | 0x200 | 0x40
const compared = [words.sizeLow, words.sizeHigh, words.seconds, words.secondsHigh, words.nanos] as const
const typeMask = 0o170000
const regular = 0o100000

const at = (stat: Uint32Array, word: number): number => stat[word] ?? 0

/** Whether nobody has written to a file in between. */
const isSame = (before: Uint32Array, after: Uint32Array): boolean =>
  compared.every((word) => before[word] === after[word])

/** Reads at once what fits into the buffer. What is larger is left, and so are files of the kernel, which say 0. */
export const make = (native: Native): SystemCalls["readSmall"] => {
  /** Gives what a call gives, or the name of its error, and makes it again where a signal came in between. */
  const tried = (call: () => number): number | string => {
    for (;;) {
      const value = call()
      if (value >= 0) return value
      const code = native.lastError()
      if (code !== "EINTR") return code
    }
  }
  const look = (descriptor: number, into: Uint32Array) =>
    tried(() => native.stat(descriptor, STATX_TYPE_SIZE_MTIME, into))
  const before = new Uint32Array(words.all)
  const after = new Uint32Array(words.all)

  /** Reads to the end, or until more came than is to be there. Gives the name of the error where a read fails. */
  const content = (descriptor: number, sizeBytes: number, reader: ContentReader): string | undefined => {
    for (let sum = 0; sum < sizeBytes;) {
      const length = tried(() => native.read(descriptor, reader.buffer))
      if (typeof length === "string") return length
      if (length === 0) break
      reader.piece(reader.buffer.subarray(0, length))
      sum += length
    }
    return undefined
  }

  return (folder, name, reader, done) => {
    const descriptor = tried(() => native.open(folder, name))
    if (typeof descriptor === "string") return done(descriptor, "open")
    const isFile = look(descriptor, before) === 0 && (at(before, words.mode) & typeMask) === regular
    const sizeBytes = at(before, words.sizeLow) + 2 ** 32 * at(before, words.sizeHigh)
    if (!isFile || sizeBytes === 0 || sizeBytes >= reader.buffer.length) return done(undefined, descriptor)
    if (!reader.begin({ kind: "file", sizeBytes })) {
      native.close(descriptor)
      return done(undefined, -1)
    }
    const unread = content(descriptor, sizeBytes, reader)
    const unseen = unread === undefined ? look(descriptor, after) : 0
    native.close(descriptor)
    if (unread !== undefined) return done(unread, "read")
    if (typeof unseen === "string") return done(unseen, "fstat")
    reader.end(isSame(before, after))
    done(undefined, -1)
  }
}
