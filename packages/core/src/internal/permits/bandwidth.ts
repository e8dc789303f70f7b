/**
 * A token bucket that may go into debt: who asks is let through while nothing is owed, and what it takes is owed then.
 * So an amount of any size goes through, and the rate holds on average. Who waits is served in order.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Interrupter } from "../../Interrupter.ts"
import type { Bandwidth } from "../../TaskDispatcher.ts"
import { Chain, type Linked } from "../chain.ts"
import { onFirstRequest } from "../signal.ts"
import { type Deadline, type Deadlines, nowMillis } from "../task/deadlines.ts"
import { waitForOthers } from "../task/slot.ts"

/** What may be moved at once, as a time at the rate. */
const burstMillis = 100

/** Less at once costs more calls than it is worth. */
const leastPiece = 4096

interface Waiter extends Linked<Waiter> {
  readonly bytes: number
  readonly go: () => void
}

export interface Environment {
  readonly clock: Clock.Clock
  readonly deadlines: Deadlines
}

export class TokenBucket implements Bandwidth {
  private perMilli: number
  /** What may be taken; below 0 what is owed. */
  private balance: number
  private atMillis: number
  private readonly waiters = new Chain<Waiter>()
  private deadline: Deadline | undefined = undefined
  private readonly environment: Environment

  /** Holds a rate in bytes a second; `Infinity` is none. */
  constructor(environment: Environment, bytesPerSecond: number) {
    this.environment = environment
    this.perMilli = bytesPerSecond / 1000
    this.balance = 0
    this.atMillis = nowMillis(environment.clock)
  }

  readonly take = (bytes: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (this.perMilli === Number.POSITIVE_INFINITY) return Effect.void
      this.settle()
      if (bytes <= 0) {
        this.balance -= bytes
        this.serve()
        return Effect.void
      }
      if (this.waiters.size === 0 && this.balance >= 0) {
        this.balance -= bytes
        return Effect.void
      }
      // Others may have the permits meanwhile, as while a task waits for tasks.
      return Effect.flatMap(Interrupter, (signal) => waitForOthers(this.wait(bytes, signal)))
    })

  /** Waits for its turn. Who is to stop need not: it comes to its safe point, and owes what it moves until then. */
  private wait(bytes: number, signal: Interrupter): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      let removeListener = () => {}
      const waiter: Waiter = {
        bytes,
        go: () => {
          removeListener()
          resume(Effect.void)
        },
        chain: undefined,
        previous: undefined,
        next: undefined
      }
      const leave = () => this.waiters.delete(waiter)
      this.waiters.add(waiter)
      removeListener = onFirstRequest(signal, () => {
        leave()
        this.balance -= bytes
        resume(Effect.void)
      })
      this.schedule()
      return Effect.sync(() => {
        removeListener()
        leave()
      })
    })
  }

  readonly pieceUnsafe = (most: number): number =>
    Math.max(Math.min(most, Math.floor(this.perMilli * burstMillis)), Math.min(most, leastPiece))

  /** Changes the rate, also for those that wait. */
  setUnsafe(bytesPerSecond: number): void {
    this.settle()
    this.perMilli = bytesPerSecond / 1000
    // What is owed was owed to another rate: it is no more than a second of this one.
    this.balance = Math.max(this.balance, -bytesPerSecond)
    this.serve()
  }

  /** Credits what the time since the last call has brought. */
  private settle(): void {
    const now = nowMillis(this.environment.clock)
    if (this.perMilli === Number.POSITIVE_INFINITY) this.balance = 0
    else this.balance = Math.min(this.balance + (now - this.atMillis) * this.perMilli, burstMillis * this.perMilli)
    this.atMillis = now
  }

  private readonly serve = (): void => {
    this.settle()
    for (let { first } = this.waiters; first !== undefined && this.balance >= 0; first = this.waiters.first) {
      this.waiters.delete(first)
      if (this.perMilli !== Number.POSITIVE_INFINITY) this.balance -= first.bytes
      first.go()
    }
    this.schedule()
  }

  private schedule(): void {
    const { deadlines } = this.environment
    if (this.deadline !== undefined) deadlines.removeUnsafe(this.deadline)
    this.deadline = this.waiters.size === 0
      ? undefined
      : deadlines.addUnsafe(Math.max(1, Math.ceil(-this.balance / this.perMilli)), this.serve)
  }
}

/** One that asks several, the narrowest first. */
export const both = (one: Bandwidth, other: Bandwidth): Bandwidth => ({
  take: (bytes) => Effect.andThen(one.take(bytes), other.take(bytes)),
  pieceUnsafe: (most) => one.pieceUnsafe(other.pieceUnsafe(most))
})
