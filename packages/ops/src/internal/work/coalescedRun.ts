/**
 * Runs something once for all who have asked for it before it began.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

/**
 * Returns once a run has ended well that began after this was asked for: one at a time, each for all who wait by then.
 * Who asks while something is waited for before that is one of them.
 */
export const oneForAll = <E, R>(
  run: Effect.Effect<void, E, R>,
  before: Effect.Effect<void> = Effect.void
): Effect.Effect<void, E, R> => {
  const semaphore = Semaphore.makeUnsafe(1)
  let [asked, covered] = [0, 0]
  const runForAll = Effect.gen(function*() {
    yield* before
    const upTo = asked
    yield* run
    covered = upTo
  })
  return Effect.suspend(() => {
    const own = ++asked
    return semaphore.withPermits(1)(Effect.suspend(() => covered >= own ? Effect.void : runForAll))
  })
}
