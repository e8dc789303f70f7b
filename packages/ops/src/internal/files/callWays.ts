/**
 * Ways to make calls: later, by a thread of the pool; at once, on a thread that may wait; or at once for as long as
 * they are quick.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import type { Answer, Call } from "../../Calls.ts"

/** How calls are made. */
export interface Way {
  /** Makes a call. A long call may take any time, by its content or its device. */
  readonly make: <A>(call: Call<A>, done: (answer: Answer<A>) => void, isLong?: boolean) => void
  /**
   * Does work that makes many calls, for as long as it may go on; nothing where calls are not made at once, or, unless
   * it has to be done, are slow for now.
   */
  readonly atOnce: <A>(work: (mayGoOn: () => boolean) => A, isNeeded?: boolean) => Effect.Effect<Option.Option<A>>
}

/** The thread pool makes the calls, and other work goes on meanwhile. */
export const later: Way = {
  make: (call, done) => call.later(done),
  atOnce: () => Effect.succeedNone
}

/** The thread waits for each call. */
export const blocking: Way = {
  make: (call, done) => done(call.now()),
  atOnce: (work) => Effect.sync(() => Option.some(work(() => true)))
}

/** Milliseconds that this thread has waited for a processor (sched-stats of Linux); 0 on other systems. */
export const runDelay = (): number => {
  try {
    const [, nanos] = fs.readFileSync("/proc/thread-self/schedstat", "latin1").split(" ")
    return Number(nanos) / 1e6 || 0
  } catch {
    return 0
  }
}

/** A call that takes longer is slow, unless the thread has waited for a processor. */
const slowMillis = 20
/** A routine that takes longer is slow: it ends some time after it is asked to. */
const slowWorkMillis = 100
/** Time without quick calls after the first slow call; each further slow call doubles it. */
const pauseMillis = { first: 200, most: 60_000 }
/** After so many times the last pause without a slow call, the next pause is the first one again. */
const pausesUntilForgotten = 10
/** Most age of the thread's known wait for a processor when a call is made. */
const freshMillis = 50
/** Time for calls in one turn of the event loop. */
const sliceMillis = 8
/** Time for a routine in one turn of the event loop. */
const workMillis = 20

/** Makes calls at once while they are quick, and by the thread pool otherwise. */
export class Quick implements Way {
  private readonly now: () => number
  private readonly runDelay: () => number
  private known = { at: Number.NEGATIVE_INFINITY, delayMillis: 0 }
  private notBefore = 0
  private pauseMillis = pauseMillis.first
  /** Time of the first call in this turn of the event loop. */
  private sliceFrom: number | undefined
  private waiting: Array<() => void> = []

  /** `now` gives milliseconds, and `runDelay` how many of them this thread has waited for a processor. */
  constructor(now: () => number, runDelay: () => number) {
    this.now = now
    this.runDelay = runDelay
  }

  /** Milliseconds that the thread has waited for a processor since the last call of `waited`. */
  private waited(at: number): number {
    const { delayMillis } = this.known
    this.known = { at, delayMillis: this.runDelay() }
    return this.known.delayMillis - delayMillis
  }

  private noteSlow(ended: number): void {
    const quickMillis = ended - this.notBefore
    if (quickMillis > pausesUntilForgotten * this.pauseMillis) this.pauseMillis = pauseMillis.first
    this.notBefore = ended + this.pauseMillis
    this.pauseMillis = Math.min(this.pauseMillis * 2, pauseMillis.most)
  }

  /** Begins the next turn for all calls that wait for it. Together they have the time of one turn. */
  private readonly turn = (): void => {
    const { waiting } = this
    this.waiting = []
    this.sliceFrom = undefined
    for (const goOn of waiting) goOn()
  }

  /** Whether there was more than one slow call, and the pause after it is not over. */
  readonly isSlow = (): boolean => this.pauseMillis > 2 * pauseMillis.first && this.now() < this.notBefore

  /** Runs work in a turn of this thread, and then its continuation. Work that takes longer than `slowAfter` is slow. */
  private inTurn(work: () => () => void, otherwise: () => void, slowAfter: number): void {
    const started = this.now()
    if (started < this.notBefore) return otherwise()
    if (this.sliceFrom === undefined) {
      this.sliceFrom = started
      setImmediate(this.turn)
      if (started - this.known.at > freshMillis) this.waited(started)
    } else if (started - this.sliceFrom > sliceMillis) {
      this.waiting.push(() => this.inTurn(work, otherwise, slowAfter))
      return
    }
    const goOn = work()
    const ended = this.now()
    const millis = ended - started
    if (millis > slowAfter && millis - this.waited(ended) > slowAfter) this.noteSlow(ended)
    goOn()
  }

  readonly make = <A>(call: Call<A>, done: (answer: Answer<A>) => void, isLong = false): void => {
    const later = (): void => call.later(done)
    const now = (): () => void => {
      const answer = call.now()
      return () => done(answer)
    }
    if (isLong) later()
    else this.inTurn(now, later, slowMillis)
  }

  readonly atOnce = <A>(
    work: (mayGoOn: () => boolean) => A,
    isNeeded = false
  ): Effect.Effect<Option.Option<A>> =>
    Effect.callback((resume) => {
      const now = (): () => void => {
        const until = this.now() + workMillis
        try {
          const value = work(() => this.now() < until)
          return () => resume(Effect.succeedSome(value))
        } catch (defect) {
          // Thrown in a later turn it would end the process.
          return () => resume(Effect.die(defect))
        }
      }
      this.inTurn(now, () => isNeeded ? now()() : resume(Effect.succeedNone), slowWorkMillis)
    })
}
