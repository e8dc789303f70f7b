/**
 * Reads into memory what a store opens.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ObjectStore } from "../../ObjectStore.ts"

/** Reads with the call that opens an object. */
export const readByGet = (get: ObjectStore["get"]): ObjectStore["read"] =>
  Effect.fnUntraced(function*(key, mostBytes, options) {
    const { bytes, info } = yield* get(key, options)
    const length = options?.range === undefined ? info.sizeBytes : options.range.end - options.range.start
    if (length > mostBytes) return { info, bytes: Option.none() }
    return { info, bytes: Option.some(Buffer.concat(yield* Stream.runCollect(bytes))) }
  }, Effect.scoped)
