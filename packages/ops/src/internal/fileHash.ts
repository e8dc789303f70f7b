/**
 * Hashes what is open, and sees whether it stayed the same meanwhile.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Files from "../Files.ts"
import type { FilesError } from "../FilesError.ts"
import type { HashAlgorithm } from "../HashAlgorithm.ts"
import * as Hasher from "../Hasher.ts"
import * as HugeContent from "./hugeContent.ts"
import * as LargePieces from "./largePieces.ts"
import { readAhead } from "./readAhead.ts"

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
 * Reads a file to its end, whatever its size is said to be: those of the kernel say 0. There are as few steps as can
 * be: of a small file they are most of what it takes. Of its bytes, so many as were counted before are not counted.
 * Where there is a dispatcher, it is asked for each piece.
 */
const hashContent = (
  file: Files.OpenFile,
  stat: Files.FileStat,
  name: HashAlgorithm,
  counted = 0
): Effect.Effect<Hashed, FilesError | Interrupter.Interrupted> =>
  Effect.withFiber((fiber) => {
    const reporter = Context.get(fiber.context, Progress.Reporter)
    const manners = Effect.andThen(Effect.yieldNow, Interrupter.check)
    const tools = takeTools(name)
    const { buffer: into, hasher } = tools
    let sizeBytes = 0
    let pieces = 0
    const take = (piece: Uint8Array): void => {
      hasher.update(piece)
      sizeBytes += piece.length
      const fresh = Math.min(piece.length, sizeBytes - counted)
      if (fresh > 0) reporter.addUnsafe("bytes", fresh)
    }
    const end = (): Hashed => {
      const digest = hasher.digest()
      keepTools(name, tools)
      return { digest, sizeBytes }
    }
    const readInto = (part: Uint8Array): Effect.Effect<Hashed, FilesError | Interrupter.Interrupted> =>
      Effect.flatMap(file.read(part), (length) => {
        if (length > 0) take(length === part.length ? part : part.subarray(0, length))
        // A read that does not fill the buffer has met the end, if that is where it should be.
        const isOver = length === 0 || (sizeBytes === stat.sizeBytes && length < part.length)
        if (!isOver) return Effect.flatMap(++pieces % piecesBetween === 0 ? manners : Interrupter.check, read)
        return Effect.sync(end)
      })
    const dispatcher = Option.getOrUndefined(Context.get(fiber.context, TaskDispatcher.Current))
    const read = dispatcher === undefined ?
      () => readInto(into) :
      () => {
        const part = into.subarray(0, dispatcher.bandwidth.pieceUnsafe(into.length))
        const expected = Math.min(Math.max(stat.sizeBytes - sizeBytes, 0), part.length)
        return Effect.flatMap(TaskDispatcher.throttle(expected), () => readInto(part))
      }
    return dispatcher === undefined && LargePieces.pay(stat.sizeBytes)
      ? Effect.scoped(Effect.flatMap(LargePieces.borrow(stat.sizeBytes), (pieces) =>
        pieces === undefined ? read() : Effect.map(readAhead(file, pieces, take), end)))
      : read()
  })

/** Hashes what is open, in a way that suits its size. */
const hashAny = (file: Files.OpenFile, stat: Files.FileStat, algorithm: HashAlgorithm) =>
  Effect.flatMap(HugeContent.Limits, ({ minBytes }) =>
    stat.sizeBytes < minBytes
      ? hashContent(file, stat, algorithm)
      : HugeContent.hash(file, stat, algorithm, (counted) => hashContent(file, stat, algorithm, counted)))

/** Whether a file is what it was when it was opened. Nothing is known of one that the kernel makes up. */
export const isSame = (before: Files.FileStat, after: Files.FileStat, sizeBytes: number): boolean =>
  before.modifiedNanos === after.modifiedNanos && before.sizeBytes === after.sizeBytes &&
  (before.sizeBytes === 0 || before.sizeBytes === sizeBytes)

/** What was hashed, and what the file was then; without a hash where it was another one by then. */
export interface Result {
  readonly hashed: Hashed | undefined
  readonly after: Files.FileStat
}

/** Hashes what is open. */
export const hashOpen = (
  file: Files.OpenFile,
  before: Files.FileStat,
  algorithm: HashAlgorithm
): Effect.Effect<Result, FilesError | Interrupter.Interrupted> =>
  Effect.flatMap(hashAny(file, before, algorithm), (hashed) =>
    Effect.map(
      file.stat,
      (after) => ({ hashed: isSame(before, after, hashed.sizeBytes) ? hashed : undefined, after })
    ))
