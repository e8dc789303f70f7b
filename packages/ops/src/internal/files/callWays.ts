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
  /** Makes a call. One that is long may take any time: its content, or the device, says how much. */
  readonly make: <A>(call: Call<A>, done: (answer: Answer<A>) => void, isLong?: boolean) => void
  /**
   * Does work that makes many calls, for as long as it may go on; nothing where calls are not made at once, or, unless
   * it has to be done, are slow for now.
   */
  readonly atOnce: <A>(work: (mayGoOn: () => boolean) => A, isNeeded?: boolean) => Effect.Effect<Option.Option<A>>
}

/** Others make them, and other work goes on meanwhile. */
export const later: Way = {
  make: (call, done) => call.later(done),
  atOnce: () => Effect.succeedNone
}

/** The thread waits for each. */
export const blocking: Way = {
  make: (call, done) => done(call.now()),
  atOnce: (work) => Effect.sync(() => Option.some(work(() => true)))
}

/** Milliseconds that this thread was ready to run while others did (sched-stats of Linux); 0 where nothing says so. */
export const runDelay = (): number => {
  try {
    const [, nanos] = fs.readFileSync("/proc/thread-self/schedstat", "latin1").split(" ")
    return Number(nanos) / 1e6 || 0
  } catch {
    return 0
  }
}

/** One call that takes longer is the sign that others will, unless other work had the processors. */
const slowMillis = 20
/** Work of many calls ends some time after it is asked to. */
const slowWorkMillis = 100
/** As long no call is made at once after the first slow one, and twice as long after each that follows. */
const pauseMillis = { first: 200, most: 60_000 }
/** Calls that were quick for so many times the last pause are like those before the first slow one. */
const pausesUntilForgotten = 10
/** As old what is known of the thread's waiting for a processor may be when a call is made. */
const freshMillis = 50
/** As long calls are made one after the other; then others have the thread. */
const sliceMillis = 8
/** As long work of many calls may go on, once it has the thread. */
const workMillis = 20

/** Makes calls at once for as long as they are quick, and hands them on otherwise. */
export class Quick implements Way {
  private readonly now: () => number
  private readonly runDelay: () => number
  private known = { at: Number.NEGATIVE_INFINITY, delayMillis: 0 }
  private notBefore = 0
  private pauseMillis = pauseMillis.first
  /** When the first call was made in this turn of the event loop; nothing before there was one. */
  private sliceFrom: number | undefined
  private waiting: Array<() => void> = []

  /** `now` tells milliseconds, and `runDelay` how many of them this thread was ready to run while others did. */
  constructor(now: () => number, runDelay: () => number) {
    this.now = now
    this.runDelay = runDelay
  }

  /** Milliseconds that the thread has waited for a processor since this was asked before. */
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

  /** Lets those go on that wait for the next turn. Together they have no longer than one would have. */
  private readonly turn = (): void => {
    const { waiting } = this
    this.waiting = []
    this.sliceFrom = undefined
    for (const goOn of waiting) goOn()
  }

  /** Whether calls are handed on for longer than after a single slow one. */
  readonly isSlow = (): boolean => this.pauseMillis > 2 * pauseMillis.first && this.now() < this.notBefore

  /** Does this in a turn of this thread, and then what it gives. What takes longer than so much is slow. */
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
          // In a later turn it would be nobody's, and end the process.
          return () => resume(Effect.die(defect))
        }
      }
      this.inTurn(now, () => isNeeded ? now()() : resume(Effect.succeedNone), slowWorkMillis)
    })
}
