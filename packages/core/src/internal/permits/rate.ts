/**
 * Rates: how many tasks begin in a second, and how many bytes are moved.
 *
 * A rate is a single time, `dueMillis`, from which on nothing is owed. Whoever asks is let through while nothing is
 * owed, and the amount asked for is owed afterwards. So an amount of any size goes through, and the rate holds on
 * average. Whoever has to wait is served in order.
 *
 * Effect's `RateLimiter` stays unused: it counts against a store, and a waiter can't leave at a request to stop.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Interrupter } from "../../Interrupter.ts"
import type { Bandwidth } from "../../TaskDispatcher.ts"
import { Chain, type Linked } from "../chain.ts"
import { onFirstRequest } from "../signal.ts"
import { type Deadline, type Deadlines, nowMillis } from "../task/deadlines.ts"
import { waitForOthers } from "../task/slot.ts"

/** How much of the rate can be made up for later, as a time: bytes at any time, tasks only where they had to wait. */
const burstMillis = 100

/** Fewest bytes at once: with fewer, the calls cost more than the even flow is worth. */
const leastPiece = 4096

interface Waiter extends Linked<Waiter> {
  readonly amount: number
  readonly go: () => void
}

export interface Environment {
  readonly clock: Clock.Clock
  readonly deadlines: Deadlines
}

export class Rate {
  /** Amount in a millisecond; `Infinity` is no bound. */
  protected perMilli: number
  private dueMillis: number
  private readonly waiters = new Chain<Waiter>()
  private deadline: Deadline | undefined = undefined
  private readonly environment: Environment

  constructor(environment: Environment, perSecond: number) {
    this.environment = environment
    this.perMilli = perSecond / 1000
    this.dueMillis = this.now
  }

  private get now(): number {
    return nowMillis(this.environment.clock)
  }

  /** Whether nobody waits and nothing is owed. */
  get isDue(): boolean {
    return this.waiters.size === 0 && this.dueMillis <= this.now
  }

  /** Owes an amount; of the time that nobody used, so much counts as not used yet. */
  owe(amount: number, spareMillis = 0): void {
    this.dueMillis = Math.max(this.dueMillis, this.now - spareMillis) + amount / this.perMilli
  }

  /** Calls back when it is the caller's turn, and owes the amount then. Returns how to leave the queue. */
  waitUnsafe(amount: number, go: () => void): () => void {
    const waiter: Waiter = { amount, go, chain: undefined, previous: undefined, next: undefined }
    this.waiters.add(waiter)
    if (this.deadline === undefined) this.schedule()
    return () => this.waiters.delete(waiter)
  }

  protected readonly serve = (): void => {
    for (let { first } = this.waiters; first !== undefined && this.dueMillis <= this.now; first = this.waiters.first) {
      this.waiters.delete(first)
      this.owe(first.amount, burstMillis)
      first.go()
    }
    this.schedule()
  }

  private schedule(): void {
    const { deadlines } = this.environment
    if (this.deadline !== undefined) deadlines.removeUnsafe(this.deadline)
    this.deadline = this.waiters.size === 0
      ? undefined
      : deadlines.addUnsafe(Math.max(1, Math.ceil(this.dueMillis - this.now)), this.serve)
  }

  /** Changes the rate, also for those that wait. The debt in amounts stays, but is paid off within a second. */
  setUnsafe(perSecond: number): void {
    const { now, perMilli } = this
    const owed = perMilli === Number.POSITIVE_INFINITY
      ? 0
      : Math.max(this.dueMillis - now, -burstMillis) * perMilli
    this.perMilli = perSecond / 1000
    this.dueMillis = now + Math.min(owed / this.perMilli, 1000)
    this.serve()
  }
}

/** A rate of bytes as tasks use it. */
export class ByteRate extends Rate implements Bandwidth {
  readonly take = (bytes: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (this.perMilli === Number.POSITIVE_INFINITY) return Effect.void
      if (bytes > 0 && !this.isDue) {
        // The task's permits go to others meanwhile, as they do while a task waits for tasks.
        return Effect.flatMap(Interrupter, (signal) => waitForOthers(this.wait(bytes, signal)))
      }
      this.owe(bytes, burstMillis)
      if (bytes <= 0) this.serve()
      return Effect.void
    })

  /** A task that is asked to stop waits no longer: it goes on to its safe point, and owes the bytes until then. */
  private wait(bytes: number, signal: Interrupter): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      let removeListener = () => {}
      const leave = this.waitUnsafe(bytes, () => {
        removeListener()
        resume(Effect.void)
      })
      removeListener = onFirstRequest(signal, () => {
        leave()
        this.owe(bytes, burstMillis)
        resume(Effect.void)
      })
      return Effect.sync(() => {
        removeListener()
        leave()
      })
    })
  }

  readonly pieceUnsafe = (most: number): number =>
    Math.max(Math.min(most, Math.floor(this.perMilli * burstMillis)), Math.min(most, leastPiece))
}

/** A bandwidth that asks two, the narrower one first. */
export const both = (one: Bandwidth, other: Bandwidth): Bandwidth => ({
  take: (bytes) => Effect.andThen(one.take(bytes), other.take(bytes)),
  pieceUnsafe: (most) => one.pieceUnsafe(other.pieceUnsafe(most))
})
