/**
 * Reads a large file ahead: the kernel copies the next piece on another thread, while this one is at the one before.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Effect from "effect/Effect"
import type * as Files from "../Files.ts"
import type { FilesError } from "../FilesError.ts"

/** Of smaller files it saves next to nothing; and where there are many of them, all threads have something to do. */
const leastBytes = 2 ** 27

/** Such pieces are read by another thread wherever calls are quick, and take longer than to be handed over. */
const pieceBytes = 2 ** 21

const makeBuffer = (): Uint8Array => Buffer.allocUnsafeSlow(pieceBytes)

/** One pair, and not one for each file: of many that are read at the same time, the others need nothing like that. */
let buffers: readonly [Uint8Array, Uint8Array] | undefined
let isInUse = false

/** Whether a file of this size gains by it now. */
export const pays = (sizeBytes: number): boolean => sizeBytes >= leastBytes && !isInUse

/** Reads a file from its start to its end, and gives each piece, which may change once `use` has returned. */
export const readAhead = (
  file: Files.OpenFile,
  use: (piece: Uint8Array) => void
): Effect.Effect<void, FilesError | Interrupter.Interrupted> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      isInUse = true
      return buffers ??= [makeBuffer(), makeBuffer()]
    }),
    Effect.fnUntraced(function*([first, second]) {
      let [present, next] = [first, second]
      let length = yield* file.readAt(present, 0)
      for (let at = length; length > 0; at += length) {
        const piece = present.subarray(0, length)
        const used = Effect.sync(() => use(piece))
        ;[length] = yield* Effect.all([file.readAt(next, at), used], { concurrency: 2 })
        ;[present, next] = [next, present]
        yield* Interrupter.check
      }
    }),
    () =>
      Effect.sync(() => {
        isInUse = false
      })
  )
