/**
 * Tells pages that something was stored. All pages together look at the store once, and only while there is one.
 */
import { JobManager } from "@fanout/core/JobManager"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as RcRef from "effect/RcRef"
import * as Stream from "effect/Stream"

/** Milliseconds by a clock that nobody sets. */
const passedMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

/** Milliseconds between two looks, which cost next to nothing. */
const everyMillis = 100

/** Milliseconds between two events of a store that changes all the time: each one has pages read again. */
const leastMillis = 200

/** Milliseconds without an event after which there is one: that a process has died is stored by nobody. */
const mostMillis = 10_000

/** Makes the stream of changes, which begins with an event. Who reads slowly gets the latest one only. */
export const make = Effect.gen(function*() {
  const { version } = yield* JobManager
  const changes = yield* PubSub.sliding<{ readonly at: number }>(1)
  const look = Effect.gen(function*() {
    let seen: string | undefined
    let toldAt = yield* passedMillis
    while (true) {
      // While the store does not answer, who reads from it is told so, and nothing has to be told here.
      const found = yield* Effect.orElseSucceed(version, () => seen)
      const now = yield* passedMillis
      const isNews = (seen !== undefined && found !== seen) || now - toldAt >= mostMillis
      seen = found
      if (isNews) {
        toldAt = now
        yield* PubSub.publish(changes, { at: yield* Clock.currentTimeMillis })
      }
      yield* Effect.sleep(isNews ? leastMillis : everyMillis)
    }
  })
  const looking = yield* RcRef.make({ acquire: Effect.forkScoped(look) })
  return Stream.unwrap(Effect.gen(function*() {
    const later = yield* PubSub.subscribe(changes)
    yield* RcRef.get(looking)
    const first = { at: yield* Clock.currentTimeMillis }
    return Stream.concat(Stream.succeed(first), Stream.fromSubscription(later))
  }))
})
