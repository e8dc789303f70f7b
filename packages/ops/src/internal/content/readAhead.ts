/**
 * Reads a large file ahead: the kernel copies the next piece on another thread, while this one is at the one before.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Effect from "effect/Effect"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import type { LargePieces } from "./pieceBuffers.ts"

/** Reads a file from its start to its end, and gives each piece, which may change once `use` has returned. */
export const readAhead = Effect.fnUntraced(function*(
  file: Files.OpenFile,
  { buffers: [first, second], size }: LargePieces,
  use: (piece: Uint8Array) => void
): Effect.fn.Return<void, FilesError | Interrupter.Interrupted> {
  const readAt = (buffer: Uint8Array, at: number) => size.timed(file.readAt(buffer.subarray(0, size.bytes), at))
  let [present, next] = [first, second]
  let length = yield* readAt(present, 0)
  for (let at = length; length > 0; at += length) {
    const piece = present.subarray(0, length)
    const used = Effect.sync(() => use(piece))
    ;[length] = yield* Effect.all([readAt(next, at), used], { concurrency: 2 })
    ;[present, next] = [next, present]
    yield* Interrupter.check
  }
})
