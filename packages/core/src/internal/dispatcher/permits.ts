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
  /** How many there are. */
  readonly size: number
  /** Takes permits at once where nobody waits and enough are free. */
  readonly tryTakeUnsafe: (weight: number) => boolean
  /** Calls back once permits are taken. Returns how to stop waiting, or to give them back if they were taken. */
  readonly waitUnsafe: (weight: number, priority: Priority, returning: boolean, granted: () => void) => () => void
  /** Waits for permits. */
  readonly take: (weight: number, priority: Priority, returning: boolean) => Effect.Effect<void>
  readonly releaseUnsafe: (weight: number) => void
  /** Changes how many there are, where nobody takes more than one. Those held beyond it are waited for. */
  readonly resizeUnsafe: (size: number) => void
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

class PriorityPermits implements Permits {
  size: number
  private free: number
  private waiters = 0
  private readonly clock: Clock.Clock
  private readonly lines: Record<Priority, Line> = {
    critical: new Line(3),
    high: new Line(2),
    normal: new Line(1),
    low: new Line(0)
  }
  private readonly byRank = Object.values(this.lines)

  constructor(size: number, clock: Clock.Clock) {
    this.size = size
    this.free = size
    this.clock = clock
  }

  /** More than the whole pool could never be had. */
  private clamp(weight: number): number {
    return Math.min(weight, this.size)
  }

  private handOut(): void {
    while (this.waiters > 0 && this.free > 0) {
      const line = best(this.byRank, this.clock.currentTimeMillisUnsafe())
      const head = line?.head
      // A heavy head is not passed over, or it would starve.
      if (line === undefined || head === undefined || head.weight > this.free) return
      line.shift()
      this.waiters--
      this.free -= head.weight
      head.granted()
    }
  }

  tryTakeUnsafe(weight: number): boolean {
    if (this.waiters > 0 || this.free < this.clamp(weight)) return false
    this.free -= this.clamp(weight)
    return true
  }

  waitUnsafe(weight: number, priority: Priority, returning: boolean, granted: () => void): () => void {
    const line = this.lines[priority]
    let waits = true
    const waiter: Waiter = {
      weight: this.clamp(weight),
      since: this.clock.currentTimeMillisUnsafe(),
      granted: () => {
        waits = false
        granted()
      }
    }
    this.waiters++
    line.add(waiter, returning)
    this.handOut()
    return () => {
      if (waits) {
        this.waiters--
        line.remove(waiter)
      } else {
        this.free += waiter.weight
      }
      this.handOut()
    }
  }

  take(weight: number, priority: Priority, returning: boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) =>
      Effect.sync(this.waitUnsafe(weight, priority, returning, () => resume(Effect.void)))
    )
  }

  releaseUnsafe(weight: number): void {
    this.free += this.clamp(weight)
    this.handOut()
  }

  resizeUnsafe(size: number): void {
    this.free += size - this.size
    this.size = size
    this.handOut()
  }
}

export const makePermits = (size: number, clock: Clock.Clock): Permits => new PriorityPermits(size, clock)
