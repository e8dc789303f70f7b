/**
 * A pool of permits, handed out to shares by priority with aging, and fairly between the shares of one priority.
 *
 * The class with the best score goes next: its rank, raised by one for every `agingMillis` in which it got nothing
 * although somebody waits in it. Within a class the share that holds the fewest permits goes next; of equals the one
 * that was served longest ago; of one share the more urgent task, then the older. Those that gave their permits back to
 * wait for others return ahead of their class.
 */
import type * as Clock from "effect/Clock"
import type * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { Priority } from "../../Task.ts"
import { Chain, type Linked } from "../chain.ts"
import { nowMillis } from "../task/deadlines.ts"

/** How long a class waits for a permit to be raised by one. */
export const agingMillis = 1000

/** Priorities, the most urgent first, with their ranks. */
export const ranks: Readonly<Record<Priority, number>> = { critical: 3, high: 2, normal: 1, low: 0 }
const byUrgency: ReadonlyArray<Priority> = ["critical", "high", "normal", "low"]

/** Whom permits are handed out to: a job, a part of one with limits of its own, or an application that has no job. */
export interface Share {
  /** Shares of one root are served as one. */
  readonly root: Share
  /** What a priority of its tasks comes to among those of others. It may change at any time. */
  readonly rankOf: (priority: Priority) => number
}

/** Permits of a pool as one share takes them. */
export interface Permits {
  /** Takes permits at once where nobody waits and enough are free. */
  readonly tryTakeUnsafe: (weight: number) => boolean
  /** Calls back once permits are taken. Returns how to stop waiting, or to give them back if they were taken. */
  readonly waitUnsafe: (weight: number, priority: Priority, returning: boolean, granted: () => void) => () => void
  readonly releaseUnsafe: (weight: number) => void
  /** Counts what was got done with permits of the pool, in pieces of about the same cost. */
  readonly noteUnsafe: (pieces: number) => void
}

/** What is seen of a pool. What weighs more than all of it runs alone in it. */
export interface PermitPool {
  /** How many permits there are. */
  readonly size: number
  /** How many there may be at most, unless somebody resizes it. */
  readonly most: number
  /** How many are taken; more than there are while it is smaller than it was, or something heavier runs alone. */
  readonly held: number
  /** Tasks that wait for permits. */
  readonly waiting: number
  /** Pieces of work that were got done. */
  readonly completed: number
  /** Completes as soon as anybody waits. */
  readonly crowded: Effect.Effect<void>
  readonly of: (share: Share) => Permits
  /** Changes how many there are. Those held beyond it are waited for. */
  readonly resizeUnsafe: (size: number) => void
}

interface Waiter extends Linked<Waiter> {
  readonly weight: number
  readonly since: number
  readonly granted: () => void
}

/** Those of one share that wait with one priority. */
class Line {
  readonly returning = new Chain<Waiter>()
  readonly waiting = new Chain<Waiter>()

  get head(): Waiter | undefined {
    return this.returning.first ?? this.waiting.first
  }

  remove(waiter: Waiter): void {
    this.returning.delete(waiter)
    this.waiting.delete(waiter)
  }
}

/** What all shares of one root hold together. */
interface Holding {
  held: number
  /** When it was served last, counted in permits that the pool has handed out. */
  served: number
}

class SharePermits implements Permits {
  readonly share: Share
  readonly holding: Holding
  readonly lines: Record<Priority, Line> = {
    critical: new Line(),
    high: new Line(),
    normal: new Line(),
    low: new Line()
  }
  waiting = 0
  private readonly pool: PriorityPool

  constructor(pool: PriorityPool, share: Share, holding: Holding) {
    this.pool = pool
    this.share = share
    this.holding = holding
  }

  tryTakeUnsafe(weight: number): boolean {
    const { pool } = this
    if (pool.waiting > 0 || !pool.hasRoom(weight)) return false
    pool.held += weight
    this.holding.held += weight
    return true
  }

  waitUnsafe(weight: number, priority: Priority, returning: boolean, granted: () => void): () => void {
    const { pool } = this
    const line = this.lines[priority]
    let waits = true
    const waiter: Waiter = {
      weight,
      since: nowMillis(pool.clock),
      granted: () => {
        waits = false
        granted()
      },
      chain: undefined,
      previous: undefined,
      next: undefined
    }
    ;(returning ? line.returning : line.waiting).add(waiter)
    pool.noteWaiting(this, 1)
    pool.handOut()
    return () => {
      if (!waits) return this.releaseUnsafe(weight)
      line.remove(waiter)
      pool.noteWaiting(this, -1)
      pool.handOut()
    }
  }

  noteUnsafe(pieces: number): void {
    this.pool.completed += pieces
  }

  releaseUnsafe(weight: number): void {
    this.pool.held -= weight
    this.holding.held -= weight
    this.pool.handOut()
  }
}

/** Who may go next: the head of one line. */
interface Candidate {
  readonly of: SharePermits
  readonly line: Line
  readonly head: Waiter
}

class PriorityPool implements PermitPool {
  size: number
  readonly most: number
  held = 0
  waiting = 0
  completed = 0
  readonly clock: Clock.Clock
  private readonly crowd = Latch.makeUnsafe(false)
  private readonly shares = new WeakMap<Share, SharePermits>()
  private readonly holdings = new WeakMap<Share, Holding>()
  /** Shares that have somebody waiting. */
  private readonly lined = new Set<SharePermits>()
  private handed = 0
  private isHandingOut = false
  /** When each class got something last. */
  private readonly servedAt = byUrgency.map(() => Number.NEGATIVE_INFINITY)

  constructor(size: number, clock: Clock.Clock, most: number) {
    this.size = size
    this.most = most
    this.clock = clock
  }

  of(share: Share): SharePermits {
    const known = this.shares.get(share)
    if (known !== undefined) return known
    const holding = this.holdings.get(share.root) ?? { held: 0, served: 0 }
    this.holdings.set(share.root, holding)
    const permits = new SharePermits(this, share, holding)
    this.shares.set(share, permits)
    return permits
  }

  get crowded(): Effect.Effect<void> {
    return this.crowd.await
  }

  hasRoom(weight: number): boolean {
    return this.held + weight <= this.size || this.held === 0
  }

  noteWaiting(share: SharePermits, change: 1 | -1): void {
    this.waiting += change
    if (this.waiting === 0) this.crowd.closeUnsafe()
    else if (this.waiting === 1 && change === 1) this.crowd.openUnsafe()
    share.waiting += change
    if (share.waiting === 0) this.lined.delete(share)
    else this.lined.add(share)
  }

  /** Hands out what is free. Who is granted may be over at once and give back: the loop that runs sees that, too. */
  handOut(): void {
    if (this.isHandingOut) return
    this.isHandingOut = true
    try {
      this.handOutAll()
    } finally {
      this.isHandingOut = false
    }
  }

  private handOutAll(): void {
    while (this.waiting > 0 && this.held < this.size) {
      const now = nowMillis(this.clock)
      const rank = this.bestClass(now)
      const next = this.nextOf(rank)
      // A heavy one is not passed over, or it would starve.
      if (next === undefined || !this.hasRoom(next.head.weight)) return
      const { head, line, of } = next
      line.remove(head)
      this.noteWaiting(of, -1)
      this.held += head.weight
      of.holding.held += head.weight
      of.holding.served = ++this.handed
      this.servedAt[rank] = now
      head.granted()
    }
  }

  /** The rank of the class that goes next; of equal scores the more urgent one. */
  private bestClass(now: number): number {
    const oldest = byUrgency.map(() => Number.POSITIVE_INFINITY)
    for (const { lines, share } of this.lined) {
      for (const priority of byUrgency) {
        const { head } = lines[priority]
        if (head === undefined) continue
        const rank = share.rankOf(priority)
        oldest[rank] = Math.min(oldest[rank] ?? now, head.since)
      }
    }
    let best = 0
    let score = -1
    for (let rank = byUrgency.length - 1; rank >= 0; rank--) {
      const since = oldest[rank] ?? Number.POSITIVE_INFINITY
      if (since === Number.POSITIVE_INFINITY) continue
      const waited = now - Math.max(since, this.servedAt[rank] ?? since)
      const own = rank + Math.floor(waited / agingMillis)
      if (own > score) {
        best = rank
        score = own
      }
    }
    return best
  }

  private nextOf(rank: number): Candidate | undefined {
    let next: Candidate | undefined
    for (const of of this.lined) {
      for (const priority of byUrgency) {
        const line = of.lines[priority]
        const { head } = line
        if (head === undefined || of.share.rankOf(priority) !== rank) continue
        const candidate = { of, line, head }
        if (next === undefined || goesBefore(candidate, next)) next = candidate
      }
    }
    return next
  }

  readonly resizeUnsafe = (size: number): void => {
    this.size = size
    this.handOut()
  }
}

/** Whether one of a class goes before another; of one share the more urgent one, which comes first, stays before. */
const goesBefore = (one: Candidate, other: Candidate): boolean => {
  const returns = Number(one.line.returning.size > 0) - Number(other.line.returning.size > 0)
  if (returns !== 0) return returns > 0
  const { holding } = one.of
  const { holding: others } = other.of
  if (holding === others) return one.of !== other.of && one.head.since < other.head.since
  return holding.held === others.held ? holding.served < others.served : holding.held < others.held
}

export const makePermits = (size: number, clock: Clock.Clock, most = size): PermitPool =>
  new PriorityPool(size, clock, most)
