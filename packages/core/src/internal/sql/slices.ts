/**
 * Changes many rows a little at a time: the driver may be synchronous, and nobody else can write meanwhile.
 */
import * as Effect from "effect/Effect"

/** So many rows are changed at once. */
export const slice = 500

/** Repeats a step that tells how much it has done, as long as that is at least so much. Returns how much it was. */
export const inSlices = <E>(step: Effect.Effect<number, E>, least = slice): Effect.Effect<number, E> =>
  Effect.gen(function*() {
    for (let total = 0;;) {
      const done = yield* step
      total += done
      if (done < least) return total
      yield* Effect.yieldNow
    }
  })
