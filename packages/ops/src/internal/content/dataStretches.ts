/**
 * Finds the data of files, which may have holes before and between them.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Files from "../../Files.ts"

/** The next stretch of data within this size, an empty one if there is none; all of it where holes are not known of. */
export const dataFrom = (file: Files.OpenFile, at: number, sizeBytes: number): Effect.Effect<Files.Stretch> =>
  Effect.match(file.dataFrom(at), {
    onFailure: () => ({ start: at, end: sizeBytes }),
    onSuccess: Option.match({
      onNone: () => ({ start: sizeBytes, end: sizeBytes }),
      onSome: ({ end, start }) => ({ start: Math.min(start, sizeBytes), end: Math.min(end, sizeBytes) })
    })
  })
