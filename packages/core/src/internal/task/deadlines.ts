/**
 * Calls functions at points in time. One sleeping fiber serves all deadlines.
 *
 * Most deadlines are removed before they are due, so `addUnsafe` and `removeUnsafe` are cheap: only a deadline that is
 * earlier than all others wakes the fiber.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { Chain, type Linked } from "../chain.ts"
import { logDefectUnsafe } from "../defect.ts"

/** The monotonic time in milliseconds. */
export const nowMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

export interface Deadline extends Linked<Deadline> {
  readonly atMillis: number
  readonly meet: () => void
}

export interface Deadlines {
  readonly addUnsafe: (inMillis: number, meet: () => void) => Deadline
  readonly removeUnsafe: (deadline: Deadline) => void
  /** Waits for deadlines and calls their functions, for ever. */
  readonly watch: Effect.Effect<never>
}

export const makeDeadlines = (clock: Clock.Clock): Deadlines => {
  const deadlines = new Chain<Deadline>()
  const earlier = Latch.makeUnsafe(false)
  let wakesAt = Number.POSITIVE_INFINITY

  const meetDue = Effect.sync(() => {
    const now = nowMillis(clock)
    wakesAt = Number.POSITIVE_INFINITY
    for (const deadline of deadlines.toArray()) {
      // An earlier function may have removed the deadline.
      if (deadline.atMillis <= now && deadlines.has(deadline)) {
        deadlines.delete(deadline)
        try {
          deadline.meet()
        } catch (defect) {
          logDefectUnsafe("The function of a deadline has died", defect)
        }
      }
    }
    for (const { atMillis } of deadlines.toArray()) wakesAt = Math.min(wakesAt, atMillis)
    earlier.closeUnsafe()
    return Math.ceil(wakesAt - now)
  })

  const sleep = (millis: number) =>
    millis === Number.POSITIVE_INFINITY ? earlier.await : Effect.asVoid(Effect.timeoutOption(earlier.await, millis))

  return {
    addUnsafe: (inMillis, meet) => {
      const atMillis = nowMillis(clock) + inMillis
      const deadline: Deadline = { atMillis, meet, chain: undefined, previous: undefined, next: undefined }
      deadlines.add(deadline)
      if (deadline.atMillis < wakesAt) {
        wakesAt = deadline.atMillis
        earlier.openUnsafe()
      }
      return deadline
    },
    removeUnsafe: (deadline) => {
      deadlines.delete(deadline)
    },
    watch: Effect.forever(Effect.flatMap(meetDue, sleep))
  }
}
