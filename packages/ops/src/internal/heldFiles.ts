/**
 * Bounds how many copies are held open until they are flushed: fewer, once the process has run out of descriptors.
 */
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"

/** Most of the time all wait for the same flush: more of them would not be faster. */
const batches = 8

/** How many a batch may hold. */
const sizes = { most: 64, least: 4 }

let size = sizes.most
const semaphore = Semaphore.makeUnsafe(batches)

/** Runs a batch, which may hold so many files open at the same time. */
export const batch = <A, E, R>(run: (size: number) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(
    semaphore.withPermitsIfAvailable(1)(Effect.suspend(() => run(size))),
    Option.match({
      onSome: Effect.succeed,
      onNone: () => Effect.andThen(TaskDispatcher.waitForOthers(semaphore.withPermits(1)(Effect.void)), batch(run))
    })
  )

/** Leaves less room from now on; `false` where there is the least already. */
export const narrow = (): boolean => {
  if (size === sizes.least) return false
  size = Math.max(sizes.least, size >>> 2)
  Effect.runSync(semaphore.resize(1))
  return true
}
