/**
 * How many tasks a worker should have in hand: what it runs at the same time, and what it gets done until it can have
 * the next ones.
 */

/** For so long a worker should be busy with what waits there. A slow network or a busy owner takes no longer. */
const aheadMillis = 100
/** Rates are taken over at least so long. */
const measureMillis = 50
/** A worker that had nothing for so long was idle. After a shorter time it has waited for its owner. */
const idleMillis = 20

/** The tasks that a worker has in hand in one of its pools. */
export class Workload {
  /** Tasks that the worker runs at the same time. */
  readonly size: number
  inHand = 0
  private perMilli = 0
  private ended = 0
  private since = 0
  private emptyAt = 0

  constructor(size: number) {
    this.size = size
  }

  get window(): number {
    return this.size + Math.ceil(this.perMilli * aheadMillis)
  }

  get perSecond(): number {
    return this.inHand === 0 ? 0 : this.perMilli * 1000
  }

  get room(): number {
    return this.window - this.inHand
  }

  /** Notes that a task was given to the worker. */
  add(now: number): void {
    // While a worker is idle, its rate says nothing.
    if (this.inHand === 0 && now - this.emptyAt > idleMillis) this.restart(now)
    this.inHand++
  }

  /** Notes that a task has ended. A rate grows until the worker is always busy. */
  remove(now: number): void {
    this.inHand--
    this.ended++
    if (this.inHand === 0) this.emptyAt = now
    const millis = now - this.since
    if (millis < measureMillis) return
    this.perMilli += (this.ended / millis - this.perMilli) / 2
    this.restart(now)
  }

  private restart(now: number): void {
    this.since = now
    this.ended = 0
  }
}
