/**
 * A bounded number of permits, handed out by priority with aging.
 *
 * Each priority has one queue; the head with the best score goes next: its priority, raised by one class for every
 * `agingMillis` that it has waited. Those that gave their permits back to wait for others return ahead of their class.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Priority } from "../../Task.ts"

/** How long a waiter waits to be raised by one class. */
const agingMillis = 1000

interface Waiter {
  readonly weight: number
  readonly since: number
  readonly granted: () => void
}

export interface Permits {
  readonly size: number
  /** Takes permits at once where nobody waits and enough are free. */
  readonly tryTakeUnsafe: (weight: number) => boolean
  /** Calls back once permits are taken. Returns how to stop waiting, or to give them back if they were taken. */
  readonly waitUnsafe: (weight: number, priority: Priority, returning: boolean, granted: () => void) => () => void
  /** Waits for permits. */
  readonly take: (weight: number, priority: Priority, returning: boolean) => Effect.Effect<void>
  readonly releaseUnsafe: (weight: number) => void
}

class Line {
  readonly rank: number
  // Those that return come before those that wait for the first time.
  private returning: Array<Waiter> = []
  private waiting: Array<Waiter> = []
  private start = 0

  constructor(rank: number) {
    this.rank = rank
  }
  get head(): Waiter | undefined {
    return this.returning[0] ?? this.waiting[this.start]
  }
  add(waiter: Waiter, returning: boolean): void {
    ;(returning ? this.returning : this.waiting).push(waiter)
  }
  shift(): void {
    if (this.returning.length > 0) {
      this.returning.shift()
    } else if (++this.start > 1024) {
      this.waiting = this.waiting.slice(this.start)
      this.start = 0
    }
  }
  remove(waiter: Waiter): void {
    this.returning = this.returning.filter((_) => _ !== waiter)
    this.waiting = this.waiting.slice(this.start).filter((_) => _ !== waiter)
    this.start = 0
  }
}

/** The line whose head goes next: of equal scores the one that comes first. */
const best = (lines: ReadonlyArray<Line>, now: number): Line | undefined => {
  let found: Line | undefined
  let score = -1
  for (const line of lines) {
    const { head } = line
    if (head === undefined) continue
    const own = line.rank + Math.floor((now - head.since) / agingMillis)
    if (own > score) {
      found = line
      score = own
    }
  }
  return found
}

export const makePermits = (size: number, clock: Clock.Clock): Permits => {
  let free = size
  let waiters = 0
  const lines: Record<Priority, Line> = {
    critical: new Line(3),
    high: new Line(2),
    normal: new Line(1),
    low: new Line(0)
  }
  const byRank = Object.values(lines)
  // More than the whole pool could never be had.
  const clamp = (weight: number) => Math.min(weight, size)

  const handOut = () => {
    while (waiters > 0 && free > 0) {
      const line = best(byRank, clock.currentTimeMillisUnsafe())
      const head = line?.head
      // A heavy head is not passed over, or it would starve.
      if (line === undefined || head === undefined || head.weight > free) return
      line.shift()
      waiters--
      free -= head.weight
      head.granted()
    }
  }

  const waitUnsafe: Permits["waitUnsafe"] = (weight, priority, returning, granted) => {
    const line = lines[priority]
    let waits = true
    const waiter: Waiter = {
      weight: clamp(weight),
      since: clock.currentTimeMillisUnsafe(),
      granted: () => {
        waits = false
        granted()
      }
    }
    waiters++
    line.add(waiter, returning)
    handOut()
    return () => {
      if (waits) {
        waiters--
        line.remove(waiter)
      } else {
        free += waiter.weight
      }
      handOut()
    }
  }

  return {
    size,
    tryTakeUnsafe: (weight) => {
      if (waiters > 0 || free < clamp(weight)) return false
      free -= clamp(weight)
      return true
    },
    waitUnsafe,
    take: (weight, priority, returning) =>
      Effect.callback<void>((resume) =>
        Effect.sync(waitUnsafe(weight, priority, returning, () => resume(Effect.void)))
      ),
    releaseUnsafe: (weight) => {
      free += clamp(weight)
      handOut()
    }
  }
}
