/**
 * Reads into a buffer what a store opens.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ObjectStore } from "../../ObjectStore.ts"

/** Reads with the call that opens an object. */
export const readByGet = (get: ObjectStore["get"]): ObjectStore["read"] =>
  Effect.fnUntraced(function*(key, buffer, options) {
    const { bytes, info } = yield* get(key, options)
    let length = 0
    yield* Stream.runForEachWhile(bytes, (piece) =>
      Effect.sync(() => {
        if (length + piece.length <= buffer.length) buffer.set(piece, length)
        length += piece.length
        return length <= buffer.length
      }))
    return { info, length: length > buffer.length ? Option.none() : Option.some(length) }
  }, Effect.scoped)
