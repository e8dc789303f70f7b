/**
 * Copies a file of up to 8 MiB, most of them in one piece.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import type { CopyOptions } from "../../CopyOptions.ts"
import type * as Files from "../../Files.ts"
import { isChanged } from "../files/statComparison.ts"
import * as Place from "../path/place.ts"
import { CopyError, Reason } from "../steps/copyError.ts"
import { onDestination, onSource } from "../steps/sideErrors.ts"
import type { ContentWay, CopiedContent, Copying } from "./contentCopy.ts"
import * as PartialFile from "./partialFile.ts"

/** Size of the largest files that are copied in this way. */
export const maxSizeBytes = 8 * 2 ** 20

// One byte more than the file has, so that the first read meets the end. No less than a file is likely to have that
// says it has nothing; no more than 64 copies at the same time may need.
const bufferBytes = (sizeBytes: number): number => Math.min(Math.max(sizeBytes + 1, 16_384), 2 ** 20)

/**
 * Copies all there is up to the end of the file, whatever its size was said to be: files in `/proc` say 0. One that
 * grows is given up at once, since it might do so for ever. A read that gives less than was asked for, and exactly up
 * to that size, has met the end.
 */
const pump = Effect.fnUntraced(function*(
  { count, from, request: { source }, stat, take, to: { file } }: Copying
): Effect.fn.Return<CopiedContent, CopyError | Interrupter.Interrupted> {
  // Not cleared first: only what was read into it is written.
  const buffer = Buffer.allocUnsafeSlow(bufferBytes(stat.sizeBytes))
  for (let sizeBytes = 0;;) {
    yield* TaskDispatcher.throttle(Math.min(Math.max(stat.sizeBytes - sizeBytes, 0), buffer.length))
    const length = yield* onSource(from.read(buffer))
    if (length === 0) return { strategy: "whole", sizeBytes }
    const piece = length === buffer.length ? buffer : buffer.subarray(0, length)
    take?.(piece)
    yield* onDestination(file.write(piece))
    sizeBytes += length
    yield* count(sizeBytes)
    if (length < buffer.length && sizeBytes === stat.sizeBytes) return { strategy: "whole", sizeBytes }
    if (sizeBytes > stat.sizeBytes && isChanged(stat, yield* onSource(from.stat))) {
      return yield* new CopyError({ reason: Reason.cases.Changed.make({ path: Place.path(source) }) })
    }
    yield* Interrupter.check
  }
})

/** Whether a file is copied in a moment, and has no holes that are to be kept. */
export const isFor = ({ allocatedBytes, sizeBytes }: Files.FileStat, { keeps }: CopyOptions): boolean =>
  sizeBytes <= maxSizeBytes && !(keeps.has("sparse") && allocatedBytes < sizeBytes)

/** The way for files that are copied in a moment. */
export const way: ContentWay = { isLong: false, open: PartialFile.create, copy: pump }
