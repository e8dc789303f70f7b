/**
 * Tells pages that something was stored. All pages together look at the store once, and only while there is one.
 */
import { JobManager } from "@fanout/core/JobManager"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
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

interface Change {
  readonly at: number
}

/** Makes the stream of changes, which begins with an event. Who reads slowly gets the latest one only. */
export const make = Effect.gen(function*() {
  const { version } = yield* JobManager
  const readers = new Set<Queue.Queue<Change>>()
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
        const change = { at: yield* Clock.currentTimeMillis }
        for (const reader of readers) Queue.offerUnsafe(reader, change)
      }
      yield* Effect.sleep(isNews ? leastMillis : everyMillis)
    }
  })
  const looking = yield* RcRef.make({ acquire: Effect.forkScoped(look) })
  const join = Effect.tap(Queue.sliding<Change>(1), (reader) => Effect.sync(() => readers.add(reader)))
  const leave = (reader: Queue.Queue<Change>) => Effect.sync(() => readers.delete(reader))
  return Stream.unwrap(Effect.gen(function*() {
    const reader = yield* Effect.acquireRelease(join, leave)
    yield* RcRef.get(looking)
    Queue.offerUnsafe(reader, { at: yield* Clock.currentTimeMillis })
    return Stream.fromQueue(reader)
  }))
})
