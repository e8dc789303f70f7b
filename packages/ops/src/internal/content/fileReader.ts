/**
 * Reads files of folders, one after the other: between the calls for a small file everything else takes longer than
 * they do.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Calls, type Code, code, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { Call, FilesError } from "../../FilesError.ts"
import { failure, isName } from "../files/openHandle.ts"
import { isChanged } from "../files/statComparison.ts"

/** What files are read into. */
export interface Reader {
  /** Where their content comes to lie, piece by piece. */
  readonly buffer: Uint8Array
  /** Whether it goes on. It is asked between the pieces of a file. */
  readonly mayGoOn: () => boolean
  /** Whether a file may be opened, where some must not be. Then each is looked at before, and no more is told of it. */
  readonly mayOpen?: ((stat: Files.FileStat) => boolean) | undefined
  /** Takes what the next file is, and tells whether it is to be read. */
  readonly begin: (stat: Files.FileStat) => boolean
  /** Takes what was read; it is only there until this returns. */
  readonly piece: (bytes: Uint8Array) => void
  /** Takes, once all of the file was read, whether it is what it was when it was opened. */
  readonly end: (isSame: boolean) => void
  /** Takes why a file, or the folder that it is in, could not be opened, or the file not be read to its end. */
  readonly fail: (error: FilesError) => void
}

/** Why a file was not read to its end. */
interface Unread {
  readonly call: Call
  readonly code: Code
}

/** Reads all of a file that is open; gives `"stopped"` where it may not go on. */
const readAll = (calls: Calls, file: number, stat: Files.FileStat, reader: Reader): Unread | "stopped" | undefined => {
  const { buffer } = reader
  for (let sizeBytes = 0;;) {
    const length = calls.read(file, buffer, null).now()
    if (isCode(length)) return { call: "read", code: length }
    if (length > 0) reader.piece(length === buffer.length ? buffer : buffer.subarray(0, length))
    sizeBytes += length
    // A read that does not fill the buffer has met the end, if that is where it should be.
    if (length === 0 || (sizeBytes === stat.sizeBytes && length < buffer.length)) break
    if (!reader.mayGoOn()) return "stopped"
  }
  const after = calls.stat(file).now()
  if (isCode(after)) return { call: "fstat", code: after }
  reader.end(!isChanged(stat, after))
  return undefined
}

/** Whether what has the name need not be left unopened. Why something can't be looked at is told by what opens it. */
export const mayBeOpened = (
  calls: Calls,
  folder: number,
  name: FilePath.FilePath,
  { mayOpen }: Pick<Reader, "mayOpen">
): boolean => {
  if (mayOpen === undefined) return true
  const stat = calls.lstat(folder, name).now()
  return isCode(stat) || mayOpen(stat)
}

const readNamed = (
  calls: Calls,
  folder: number,
  name: FilePath.FilePath,
  reader: Reader
): Unread | "stopped" | undefined => {
  if (!isName(name)) return { call: "open", code: code("EINVAL") }
  if (!mayBeOpened(calls, folder, name, reader)) return undefined
  const file = calls.open(folder, name, "read").now()
  if (isCode(file)) return { call: "open", code: file }
  const stat = calls.stat(file).now()
  const unread = isCode(stat)
    ? { call: "fstat" as const, code: stat }
    : reader.begin(stat)
    ? readAll(calls, file, stat, reader)
    : undefined
  calls.closeNow(file)
  return unread
}

/**
 * Reads files. Gives how many of them were dealt with: fewer than there are where it may not go on; of the next a part
 * was read where the reader has said so.
 */
export const readFiles = (
  calls: Calls,
  folders: ReadonlyArray<Files.FilesIn>,
  reader: Reader,
  mayGoOn: () => boolean
): number => {
  let count = 0
  for (const { names, path } of folders) {
    const folder = calls.openPath(path, "folder").now()
    if (isCode(folder)) {
      for (const _ of names) reader.fail(failure("open", path, folder.name))
      count += names.length
      continue
    }
    for (const name of names) {
      const unread = count > 0 && !mayGoOn() ? "stopped" : readNamed(calls, folder, name, reader)
      if (unread === "stopped") {
        calls.closeNow(folder)
        return count
      }
      if (unread !== undefined) reader.fail(failure(unread.call, FilePath.join(path, name), unread.code.name))
      count++
    }
    calls.closeNow(folder)
  }
  return count
}

/** Folders with the files that are left of them after so many. */
const behind = (folders: ReadonlyArray<Files.FilesIn>, count: number): ReadonlyArray<Files.FilesIn> => {
  let passed = 0
  return folders.flatMap(({ names, path }) => {
    const left = names.slice(Math.max(count - passed, 0))
    passed += names.length
    return left.length === 0 ? [] : [{ path, names: left }]
  })
}

/**
 * Deals with files for one turn after the other, and tells how many bytes they had. Gives the folders with the files
 * that are left: all, where calls are not made at once.
 */
export const inTurns = Effect.fnUntraced(function*(
  folders: ReadonlyArray<Files.FilesIn>,
  /** Deals with some, and gives how many. */
  turn: (calls: Calls, left: ReadonlyArray<Files.FilesIn>, mayGoOn: () => boolean) => number,
  all: { readonly bytes: number }
) {
  const { atOnce } = yield* Files.Files
  const next = (left: ReadonlyArray<Files.FilesIn>) => atOnce((calls, mayGoOn) => turn(calls, left, mayGoOn))
  let left = folders
  while (left.length > 0) {
    const { bytes } = all
    const count = yield* next(left)
    if (Option.isNone(count)) break
    yield* Progress.add("bytes", all.bytes - bytes)
    yield* Interrupter.check
    left = behind(left, count.value)
  }
  return left
})
