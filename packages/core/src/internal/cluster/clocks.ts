/**
 * The clocks of another machine, compared with those of this one.
 */
import type * as Clock from "effect/Clock"
import { nowMillis } from "../task/deadlines.ts"
import type { Times } from "./messages.ts"

export const timesOf = (clock: Clock.Clock): Times => [nowMillis(clock), clock.currentTimeMillisUnsafe()]

/** Most that two clocks drift apart, as a share of time. Quartz clocks differ by a tenth of it. */
const drift = 0.001

/**
 * Bounds from below how far the clocks of another machine are ahead of those of this one.
 *
 * A message tells the times at which it was sent, and arrives later. So each message gives a bound, and the best one is
 * that of the message that travelled shortest. A bound gets worse by what the clocks may have drifted since then.
 */
export class ClockOffset {
  private readonly clock: Clock.Clock
  private offsets: Times = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]
  private notedAt: number

  constructor(clock: Clock.Clock) {
    this.clock = clock
    this.notedAt = nowMillis(clock)
  }

  note([monotonic, wall]: Times): void {
    const [now, wallNow] = timesOf(this.clock)
    const drifted = drift * (now - this.notedAt)
    this.notedAt = now
    this.offsets = [
      Math.max(monotonic - now, this.offsets[0] - drifted),
      Math.max(wall - wallNow, this.offsets[1] - drifted)
    ]
  }

  /** Times of this machine as the other one reads them from its clocks, or earlier. */
  there([monotonic, wall]: Times): Times {
    const drifted = drift * (nowMillis(this.clock) - this.notedAt)
    return [monotonic + this.offsets[0] - drifted, wall + this.offsets[1] - drifted]
  }
}
