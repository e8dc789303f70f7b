/**
 * Bounds how many copies are held open until they are flushed: fewer once the process has run out of descriptors, and
 * step by step as many as before where it does not any more. Descriptors are the process's, and so are the bounds.
 */
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"

/** Most of the time all wait for the same flush: more of them would not be faster. */
const batches = 8

/** How many a batch may hold. */
const sizes = { most: 64, least: 4 }

/** How many batches that have met no lack leave more room to the next ones. */
const untilWider = 16

let size = sizes.most
/** How often there was a lack, and how many batches have met none since the room was changed. */
let [lacks, clean] = [0, 0]
const semaphore = Semaphore.makeUnsafe(batches)

/** Leaves more room once enough batches have met no lack. */
const widen: Effect.Effect<void> = Effect.suspend(() => {
  if (size === sizes.most || ++clean < untilWider) return Effect.void
  clean = 0
  size = Math.min(sizes.most, size * 2)
  return size === sizes.most ? semaphore.resize(batches) : Effect.void
})

const runOne = <A, E, R>(run: (size: number) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const before = lacks
    return Effect.tap(run(size), () => lacks === before ? widen : Effect.void)
  })

/** Runs a batch, which may hold so many files open at the same time. */
export const batch = <A, E, R>(run: (size: number) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(
    semaphore.withPermitsIfAvailable(1)(runOne(run)),
    Option.match({
      onSome: Effect.succeed,
      onNone: () => Effect.andThen(TaskDispatcher.waitForOthers(semaphore.withPermits(1)(Effect.void)), batch(run))
    })
  )

/** Leaves less room for now; `false` where there is the least already. */
export const narrow = (): boolean => {
  lacks++
  clean = 0
  if (size === sizes.least) return false
  size = Math.max(sizes.least, size >>> 2)
  Effect.runSync(semaphore.resize(1))
  return true
}
