/**
 * Hashes what is open, and sees whether it stayed the same meanwhile.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import type { HashAlgorithm } from "../../HashAlgorithm.ts"
import * as PieceBuffers from "../content/pieceBuffers.ts"
import { readAhead } from "../content/readAhead.ts"
import { isChanged } from "../files/statComparison.ts"
import * as Hasher from "./hasher.ts"
import * as HugeFileHash from "./hugeFileHash.ts"

/** What a file was hashed to. */
export interface Hashed {
  readonly digest: string
  readonly sizeBytes: number
}

/** Larger pieces are never read at once, wherever calls are quick. */
const pieceBytes = 2 ** 19

/** So many pieces take about a millisecond: then all else on the thread has its turn. */
const piecesBetween = 8

/** What a file is hashed with. */
export interface Tools {
  readonly hasher: Hasher.Hasher
  readonly buffer: Uint8Array
}

/** Tools that are not in use: for a small file it takes longer to make them than to use them. */
const spare = new Map<HashAlgorithm, Array<Tools>>()

export const takeTools = (algorithm: HashAlgorithm): Tools =>
  spare.get(algorithm)?.pop() ?? { hasher: Hasher.make(algorithm), buffer: new Uint8Array(pieceBytes) }

/** Keeps tools for the next file. Those that were stopped on their way are left: they hold what they were given. */
export const keepTools = (algorithm: HashAlgorithm, tools: Tools): void => {
  const own = spare.get(algorithm)
  if (own === undefined) spare.set(algorithm, [tools])
  else own.push(tools)
}

/**
 * Reads a file of about this size to its end, and hashes it: those of the kernel say that they have 0 bytes. What was
 * read is noted piece by piece. Where there is a dispatcher, it is asked for each.
 */
export const hashContent = Effect.fnUntraced(function*(
  file: Files.OpenFile,
  expectedBytes: number,
  algorithm: HashAlgorithm,
  note: (length: number, sizeBytes: number) => void
): Effect.fn.Return<Hashed, FilesError | Interrupter.Interrupted, Scope.Scope> {
  const tools = takeTools(algorithm)
  const { buffer, hasher } = tools
  let sizeBytes = 0
  const take = (piece: Uint8Array): void => {
    hasher.update(piece)
    sizeBytes += piece.length
    note(piece.length, sizeBytes)
  }
  const isDispatched = Option.isSome(yield* TaskDispatcher.Current)
  const large = isDispatched ? undefined : yield* PieceBuffers.borrow(expectedBytes)
  if (large !== undefined) yield* readAhead(file, large, take)
  let isOver = large !== undefined
  for (let pieces = 1; !isOver; pieces++) {
    const part = buffer.subarray(0, yield* TaskDispatcher.pieceBytes(buffer.length))
    if (isDispatched) yield* TaskDispatcher.throttle(Math.min(Math.max(expectedBytes - sizeBytes, 0), part.length))
    const length = yield* file.readAt(part, sizeBytes)
    if (length > 0) take(part.subarray(0, length))
    // A read that does not fill the buffer has met the end, if that is where it should be.
    isOver = length === 0 || (sizeBytes === expectedBytes && length < part.length)
    if (pieces % piecesBetween === 0) yield* Effect.yieldNow
    if (!isOver) yield* Interrupter.check
  }
  const digest = hasher.digest()
  keepTools(algorithm, tools)
  return { digest, sizeBytes }
}, Effect.scoped)

/** Whether a file is what it was when it was opened. Nothing is known of one that the kernel makes up. */
export const isSame = (before: Files.FileStat, after: Files.FileStat, sizeBytes: number): boolean =>
  !isChanged(before, after) && (before.sizeBytes === 0 || before.sizeBytes === sizeBytes)

/** Hashes what is open; gives nothing where it is another one by then. */
export const hashOpen = Effect.fnUntraced(function*(
  file: Files.OpenFile,
  before: Files.FileStat,
  algorithm: HashAlgorithm
): Effect.fn.Return<Hashed | undefined, FilesError | Interrupter.Interrupted> {
  const reporter = yield* Progress.Reporter
  const { minBytes } = yield* HugeFileHash.Limits
  const quick = (counted: number) =>
    hashContent(file, before.sizeBytes, algorithm, (length, sizeBytes) => {
      const fresh = Math.min(length, sizeBytes - counted)
      if (fresh > 0) reporter.addUnsafe("bytes", fresh)
    })
  const hashed = yield* before.sizeBytes < minBytes ? quick(0) : HugeFileHash.hash(file, before, algorithm, quick)
  return isSame(before, yield* file.stat, hashed.sizeBytes) ? hashed : undefined
})
