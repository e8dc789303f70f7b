/**
 * Wakes what waits for a change when another process has made one, if the store can tell.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { JobRuntime } from "./runtime.ts"

/**
 * However often others make changes, a process looks at most 5 times a second for long, as it does without hearing of
 * changes. So that answers come soon when there is little to hear, it may look ten times more in between.
 */
const pace = { quickMillis: 20, millis: 200, most: 10 }

/** Listens again after this time. */
const again = Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("5 seconds")]).pipe(Schedule.jittered)

/** Hears of changes for as long as the store tells of any. */
export const hearChanges = Effect.fnUntraced(function*(runtime: JobRuntime) {
  const { changed, claimable, clock, hearing, store } = runtime
  const wake = (isOn: boolean) => {
    hearing.isOn = isOn
    changed.notifyUnsafe()
    claimable.notifyUnsafe()
  }
  let looks = pace.most
  let since = clock.monotonicTimeNanosUnsafe()
  const heard = Effect.suspend(() => {
    const now = clock.monotonicTimeNanosUnsafe()
    looks = Math.min(looks + Number(now - since) / 1e6 / pace.millis, pace.most) - 1
    since = now
    wake(true)
    return Effect.sleep(looks < 1 ? pace.millis : pace.quickMillis)
  })
  yield* Stream.runForEach(store.changes, () => heard).pipe(
    Effect.tapError(({ message }) =>
      hearing.isOn ? Effect.logWarning(`Changes of other processes are looked for again: ${message}`) : Effect.void
    ),
    // Whoever waits for a change looks now, and then as often as if nothing were told.
    Effect.ensuring(Effect.sync(() => hearing.isOn && wake(false))),
    Effect.retry(again)
  )
})
