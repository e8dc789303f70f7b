/**
 * A pool of permits. It hands them out by priority with aging, and fairly between the shares of one priority.
 *
 * 1. Each share has a line of waiting tasks for each priority. Lines of one urgency (`rankOf`) are a class.
 * 2. The class with the best score goes next. The score is the urgency, and 1 more for every `agingMillis` in which
 *    the class got nothing although a task waits in it.
 * 3. Within a class goes first: a task that gave its permits back to wait for others; then the job that holds the
 *    fewest permits; then the job that was served longest ago; of one share the more urgent task; the older task.
 *
 * Effect's `Semaphore` is not enough: it serves in order of arrival, without priorities, shares and a count of waiters.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { Priority } from "../../Task.ts"
import { Chain, type Linked } from "../chain.ts"
import { nowMillis } from "../task/deadlines.ts"
import type { Sample } from "./adaptiveLimit.ts"

/** For so long a class waits for a permit until its score is raised by one. */
export const agingMillis = 1000

export const ranks: Readonly<Record<Priority, number>> = { critical: 3, high: 2, normal: 1, low: 0 }

/** Who takes permits: a job, a part of a job with limits of its own, or an application without a job. */
export interface Share {
  /** Shares of one root are served as one. */
  readonly root: Share
  /** Urgency of a priority of the share's tasks, compared with those of other shares. It may change at any time. */
  readonly rankOf: (priority: Priority) => number
}

/** Permits of a pool as one share takes them. */
export interface Permits {
  /** The rate at which tasks with these permits begin. */
  readonly rate?: Permits | undefined
  /** Takes permits at once, where nobody waits and enough are free. */
  readonly tryTakeUnsafe: (weight: number) => boolean
  /** Calls back once permits are taken. Returns how to stop waiting, or to give the permits back once taken. */
  readonly waitUnsafe: (weight: number, priority: Priority, returning: boolean, granted: () => void) => () => void
  readonly releaseUnsafe: (weight: number) => void
  /** Counts work that was done with permits of the pool, in pieces of about the same cost. */
  readonly noteUnsafe: (pieces: number) => void
  /** Notes that the service behind the pool was too busy for a task, and asks to be left alone for so long. */
  readonly refuseUnsafe: (millis: number) => void
}

interface Waiter extends Linked<Waiter> {
  readonly weight: number
  readonly since: number
  readonly granted: () => void
}

/** Tasks of one share that wait with one priority. */
class Line {
  readonly of: SharePermits
  readonly priority: Priority
  /** Tasks that had permits, and gave them back to wait for others. */
  readonly returning = new Chain<Waiter>()
  readonly waiting = new Chain<Waiter>()

  constructor(of: SharePermits, priority: Priority) {
    this.of = of
    this.priority = priority
  }

  get head(): Waiter | undefined {
    return this.returning.first ?? this.waiting.first
  }

  get rank(): number {
    return this.of.share.rankOf(this.priority)
  }

  /** Whether this line goes before another one of its class. */
  goesBefore(other: Line): boolean {
    const returns = Number(this.returning.size > 0) - Number(other.returning.size > 0)
    if (returns !== 0) return returns > 0
    if (this.of === other.of) return ranks[this.priority] > ranks[other.priority]
    const [root, others] = [this.of.root, other.of.root]
    if (root === others) return (this.head?.since ?? 0) < (other.head?.since ?? 0)
    return root.held === others.held ? root.served < others.served : root.held < others.held
  }
}

class SharePermits implements Permits {
  readonly share: Share
  readonly root: SharePermits
  /** Permits that all shares of this root hold together. */
  held = 0
  /** When this root was served last, counted in permits that the pool has handed out. */
  served = 0
  private readonly pool: PermitPool
  private readonly lines: Readonly<Record<Priority, Line>> = {
    critical: new Line(this, "critical"),
    high: new Line(this, "high"),
    normal: new Line(this, "normal"),
    low: new Line(this, "low")
  }

  constructor(pool: PermitPool, share: Share) {
    this.pool = pool
    this.share = share
    this.root = share.root === share ? this : pool.of(share.root)
  }

  tryTakeUnsafe(weight: number): boolean {
    const { pool } = this
    if (pool.waiting > 0 || !pool.hasRoom(weight)) return false
    pool.take(this.root, weight)
    return true
  }

  waitUnsafe(weight: number, priority: Priority, returning: boolean, granted: () => void): () => void {
    const { pool } = this
    const line = this.lines[priority]
    const since = nowMillis(pool.clock)
    const waiter: Waiter = { weight, since, granted, chain: undefined, previous: undefined, next: undefined }
    pool.enter(line, waiter, returning)
    pool.handOut()
    return () => {
      // A waiter that has left its line was granted the permits.
      if (waiter.chain === undefined) return this.releaseUnsafe(weight)
      pool.leave(line, waiter)
      pool.handOut()
    }
  }

  noteUnsafe(pieces: number): void {
    this.pool.completed += pieces
  }

  refuseUnsafe(millis: number): void {
    this.pool.refuse(millis)
  }

  releaseUnsafe(weight: number): void {
    this.pool.take(this.root, -weight)
    this.pool.handOut()
  }
}

export class PermitPool {
  size: number
  /** The largest size, unless somebody resizes the pool. */
  readonly most: number
  /** Permits that are taken: more than `size` after the pool was made smaller, or where a heavier task runs alone. */
  held = 0
  /** Tasks that wait for permits. */
  waiting = 0
  /** Pieces of work that were done. */
  completed = 0
  /** Tasks for which the service behind the pool was too busy. */
  refused = 0
  readonly clock: Clock.Clock
  private readonly areTurns: boolean
  /** Open while anybody waits, and after a refusal that is not counted yet. */
  private readonly crowd = Latch.makeUnsafe(false)
  /** Waits until there is something to learn: the pool is open, and tasks wait for permits or were refused. */
  readonly crowded = Effect.suspend(() => Effect.andThen(this.opening.await, this.crowd.await))
  /** Whether the pool hands out nothing, and until when. */
  private isClosed = false
  private closedUntil = Number.NEGATIVE_INFINITY
  private readonly closing = Latch.makeUnsafe(false)
  private readonly opening = Latch.makeUnsafe(true)
  private canClose = false
  private readonly shares = new WeakMap<Share, SharePermits>()
  /** Lines in which somebody waits. */
  private readonly lines = new Set<Line>()
  private handed = 0
  private isHandingOut = false
  /** When each class got something last, by its rank. */
  private readonly servedAt: Array<number> = Object.values(ranks).map(() => Number.NEGATIVE_INFINITY)

  constructor(size: number, clock: Clock.Clock, most: number, areTurns = false) {
    this.size = size
    this.most = most
    this.clock = clock
    this.areTurns = areTurns
  }

  of(share: Share): SharePermits {
    const permits = this.shares.get(share) ?? new SharePermits(this, share)
    this.shares.set(share, permits)
    return permits
  }

  countsUnsafe(): Pick<Sample, "completed" | "refused" | "inUse" | "waiting"> {
    if (this.waiting === 0) this.crowd.closeUnsafe()
    return { completed: this.completed, refused: this.refused, inUse: this.held, waiting: this.waiting > 0 }
  }

  /** Counts a refusal, and hands out nothing for so long if somebody runs `reopen`. */
  refuse(millis: number): void {
    this.refused++
    this.crowd.openUnsafe()
    if (!this.canClose || millis <= 0) return
    this.closedUntil = Math.max(this.closedUntil, nowMillis(this.clock) + millis)
    this.isClosed = true
    this.opening.closeUnsafe()
    this.closing.openUnsafe()
  }

  /** Opens the pool again each time that it was closed for long enough. */
  readonly reopen: Effect.Effect<never> = Effect.suspend(() => {
    this.canClose = true
    return Effect.forever(Effect.andThen(this.closing.await, this.whenDue))
  })

  /** Waits until the pool is to be opened. It may be closed for longer meanwhile. */
  private readonly whenDue = Effect.suspend(() => {
    const left = this.closedUntil - nowMillis(this.clock)
    if (left > 0) return Effect.sleep(left)
    this.isClosed = false
    this.closing.closeUnsafe()
    this.opening.openUnsafe()
    this.handOut()
    return Effect.void
  })

  /** Changes how many permits there are. Nobody loses a permit by that. */
  readonly resizeUnsafe = (size: number): void => {
    this.size = size
    this.handOut()
  }

  /** Takes permits for a root, or gives them back. A turn is used up by that. */
  take(root: SharePermits, weight: number): void {
    if (this.areTurns) this.size -= weight
    else {
      this.held += weight
      root.held += weight
    }
  }

  /** Whether so many permits are free. A task that weighs more than the whole pool runs alone. */
  hasRoom(weight: number): boolean {
    return !this.isClosed && (this.held + weight <= this.size || (this.held === 0 && this.size > 0))
  }

  enter(line: Line, waiter: Waiter, returning: boolean): void {
    ;(returning ? line.returning : line.waiting).add(waiter)
    this.lines.add(line)
    this.waiting++
    this.crowd.openUnsafe()
  }

  leave(line: Line, waiter: Waiter): void {
    line.returning.delete(waiter)
    line.waiting.delete(waiter)
    if (line.head === undefined) this.lines.delete(line)
    this.waiting--
    if (this.waiting === 0) this.crowd.closeUnsafe()
  }

  /** Hands out the free permits. A task may give its permits back while it is granted them: the same loop sees that. */
  handOut(): void {
    if (this.isHandingOut) return
    this.isHandingOut = true
    try {
      while (this.waiting > 0 && this.held < this.size && this.handOutOne());
    } finally {
      this.isHandingOut = false
    }
  }

  /** Serves the task that is next, where there is room for it. A heavy task is not passed over, or it would starve. */
  private handOutOne(): boolean {
    const now = nowMillis(this.clock)
    const rank = this.nextClass(now)
    const line = this.nextLine(rank)
    const head = line?.head
    if (line === undefined || head === undefined || !this.hasRoom(head.weight)) return false
    this.leave(line, head)
    const { root } = line.of
    this.take(root, head.weight)
    root.served = ++this.handed
    this.servedAt[rank] = now
    head.granted()
    return true
  }

  /** Rank of the class with the best score; of equal scores the more urgent class. */
  private nextClass(now: number): number {
    let [best, bestScore] = [0, Number.NEGATIVE_INFINITY]
    for (const { head, rank } of this.lines) {
      const waited = now - Math.max(head?.since ?? now, this.servedAt[rank] ?? now)
      const score = rank + Math.floor(waited / agingMillis)
      if (score < bestScore || (score === bestScore && rank <= best)) continue
      best = rank
      bestScore = score
    }
    return best
  }

  private nextLine(rank: number): Line | undefined {
    let next: Line | undefined
    for (const line of this.lines) {
      if (line.rank === rank && (next === undefined || line.goesBefore(next))) next = line
    }
    return next
  }
}

export const makePermits = (size: number, clock: Clock.Clock, most = size): PermitPool =>
  new PermitPool(size, clock, most)

/** A pool of turns at a rate: `size` of them are due, and a task uses one up. */
export const makeTurns = (clock: Clock.Clock): PermitPool => new PermitPool(0, clock, 0, true)
