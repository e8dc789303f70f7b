/**
 * Keeps the size of a pool at what is best, by what it counts.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { AdaptiveSize } from "../../Pools.ts"
import { Pressure } from "../../Pressure.ts"
import { make, type Sample, step } from "./adaptiveLimit.ts"

/** What can be kept at its best size. */
export interface Adaptable {
  /** Completes as soon as anybody waits for permits. */
  readonly crowded: Effect.Effect<void>
  /** What there is now; `completed` so far: tasks, and of long ones what they have got through. */
  readonly countsUnsafe: () => Pick<Sample, "completed" | "inUse" | "waiting">
  /** Changes how many permits there are. More may be held for a while. */
  readonly resizeUnsafe: (size: number) => void
}

/** Millis between two samples. .NET's thread pool takes one in 10 to 200 ms. */
const sampleMillis = 20

/** Millis for which the first size stays: threads start and code is compiled, so what is tried next seems a gain. */
const warmUpMillis = 300

/** Resizes a pool until the scope closes. While nobody waits for permits it does nothing. */
export const adapt = (pool: Adaptable, size: AdaptiveSize): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const measurePressure = yield* Pressure
    let state = make(size)
    pool.resizeUnsafe(state.size)

    const sample = Effect.gen(function*() {
      yield* pool.crowded
      const { completed } = pool.countsUnsafe()
      const since = clock.monotonicTimeNanosUnsafe()
      yield* Effect.sleep(sampleMillis)
      const pressure = yield* measurePressure
      const counts = pool.countsUnsafe()
      // The event loop may have been busy: it took as long as it took.
      const millis = Number(clock.monotonicTimeNanosUnsafe() - since) / 1e6
      const next = step(state, { ...counts, completed: counts.completed - completed, millis, pressure })
      if (next.size !== state.size) pool.resizeUnsafe(next.size)
      state = next
    })

    const warmUp = Effect.andThen(pool.crowded, Effect.sleep(warmUpMillis))
    const adapting = Effect.catchDefect(
      Effect.andThen(warmUp, Effect.forever(sample)),
      (defect) =>
        Effect.logError("A pool keeps the size that it has: what it goes by can't be measured", Cause.die(defect))
    )
    yield* Effect.forkScoped(adapting)
  })
