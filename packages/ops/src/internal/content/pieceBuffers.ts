/**
 * Buffers for content that one thread brings and another one uses, at the same time.
 *
 * What a core has just written is in a cache of its own, from where others get it more slowly than from the one that
 * all of them share. Of a piece of some megabytes most has gone there by the time that it is used.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { PieceSize } from "./pieceSize.ts"

/** Of smaller files it saves next to nothing; and where there are many of them, all threads have something to do. */
const leastBytes = 2 ** 27

/** How much is brought at once: it takes longer than to be handed over, wherever calls are quick. */
const pieceBytes = { least: 2 ** 21, most: 2 ** 23 }

/** Two buffers, and how much of them is to be filled at once. */
export interface LargePieces {
  readonly buffers: readonly [Uint8Array, Uint8Array]
  readonly size: PieceSize
}

/** One pair, and not one for each file: of many that are read at the same time, the others need nothing like that. */
let buffers: LargePieces["buffers"] | undefined
let areLent = false

const makeBuffer = (): Uint8Array => Buffer.allocUnsafeSlow(pieceBytes.most)

/** Whether a file of this size gains by them, and nobody has them now. */
export const pay = (sizeBytes: number): boolean => sizeBytes >= leastBytes && !areLent

/** Lends the buffers for a file of this size, until the scope ends; nothing where they don't pay. */
export const borrow = (sizeBytes: number): Effect.Effect<LargePieces | undefined, never, Scope.Scope> =>
  sizeBytes < leastBytes ? Effect.undefined : Effect.acquireRelease(
    Effect.sync(() => {
      if (!pay(sizeBytes)) return undefined
      areLent = true
      return { buffers: buffers ??= [makeBuffer(), makeBuffer()], size: new PieceSize(pieceBytes) }
    }),
    (lent) =>
      Effect.sync(() => {
        if (lent !== undefined) areLent = false
      })
  )
