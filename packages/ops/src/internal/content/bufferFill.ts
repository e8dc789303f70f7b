/**
 * Fills a buffer with what stands from an offset of a file on, and gives how much of it there was.
 */
import * as Effect from "effect/Effect"

export const fill = Effect.fnUntraced(function*<E, R>(
  buffer: Uint8Array,
  offset: number,
  readAt: (buffer: Uint8Array, offset: number) => Effect.Effect<number, E, R>
) {
  let at = 0
  while (at < buffer.length) {
    const got = yield* readAt(buffer.subarray(at), offset + at)
    if (got === 0) break
    at += got
  }
  return at
})
