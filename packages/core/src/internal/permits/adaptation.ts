/**
 * Keeps a pool at the size that gets most done, by what the pool counts.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { AdaptiveSize } from "../../Pools.ts"
import { Pressure } from "../../Pressure.ts"
import { make, step } from "./adaptiveLimit.ts"
import type { PermitPool } from "./permits.ts"

/** Millis between two samples. */
const sampleMillis = 20

/** Millis for which the first size stays. Threads start and code is compiled, so that any next size seems a gain. */
const warmUpMillis = 300

/** Resizes a pool until the scope closes, while tasks wait for permits. */
export const adapt = (
  pool: Pick<PermitPool, "crowded" | "countsUnsafe" | "resizeUnsafe">,
  size: AdaptiveSize
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const measurePressure = yield* Pressure
    let state = make(size)
    let refused = 0
    pool.resizeUnsafe(state.size)

    const sample = Effect.gen(function*() {
      yield* pool.crowded
      const { completed } = pool.countsUnsafe()
      const since = clock.monotonicTimeNanosUnsafe()
      yield* Effect.sleep(sampleMillis)
      const pressure = yield* measurePressure
      const counts = pool.countsUnsafe()
      // The sleep may have taken longer, where the event loop was busy.
      const millis = Number(clock.monotonicTimeNanosUnsafe() - since) / 1e6
      // Tasks are refused while none waits for a permit, too.
      const more = { completed: counts.completed - completed, refused: counts.refused - refused }
      refused = counts.refused
      const next = step(state, { ...counts, ...more, millis, pressure })
      if (next.size !== state.size) pool.resizeUnsafe(next.size)
      state = next
    })

    yield* Effect.andThen(pool.crowded, Effect.sleep(warmUpMillis)).pipe(
      Effect.andThen(Effect.forever(sample)),
      Effect.catchDefect((defect) =>
        Effect.logError("A pool keeps the size that it has: what it goes by can't be measured", Cause.die(defect))
      ),
      Effect.forkScoped
    )
  })
