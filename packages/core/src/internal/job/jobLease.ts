/**
 * An owner's view of a lease. The owner holds the lease for half of the time to live, and other processes take the job
 * over after the whole time.
 *
 * The owner measures the age of the lease on two clocks, because a monotonic clock may stand still while the machine
 * sleeps, and a wall clock may be set. The higher age counts. A lost lease stays lost.
 */
import type * as Clock from "effect/Clock"
import * as Option from "effect/Option"
import type { JobId } from "../../JobId.ts"
import type { Instant, Lease } from "../../Lease.ts"

export const instantUnsafe = (clock: Clock.Clock): Instant => ({
  monotonicNanos: clock.monotonicTimeNanosUnsafe(),
  wallMillis: clock.currentTimeMillisUnsafe()
})

interface Options {
  readonly job: JobId
  readonly token: number
  readonly clock: Clock.Clock
  readonly ttlMillis: number
  /** The time before the claim request to the store. */
  readonly since: Instant
  readonly onLost: () => void
}

export class JobLease implements Lease {
  readonly job: Option.Option<JobId>
  readonly token: number
  private readonly options: Options
  private renewed: Instant
  private lost = false

  constructor(options: Options) {
    this.job = Option.some(options.job)
    this.token = options.token
    this.options = options
    this.renewed = options.since
  }

  /** Milliseconds since the start of the last renewal. */
  private ageUnsafe(): number {
    const now = instantUnsafe(this.options.clock)
    return Math.max(
      Number(now.monotonicNanos - this.renewed.monotonicNanos) / 1e6,
      now.wallMillis - this.renewed.wallMillis
    )
  }

  isDueUnsafe(): boolean {
    return this.ageUnsafe() >= this.options.ttlMillis / 3
  }

  /** Milliseconds until the lease is lost without a renewal, at least 1: a loop that sleeps so long makes progress. */
  remainingUnsafe(): number {
    return Math.max(1, this.options.ttlMillis / 2 - this.ageUnsafe())
  }

  isHeldUnsafe(): boolean {
    if (!this.lost && this.ageUnsafe() >= this.options.ttlMillis / 2) this.loseUnsafe()
    return !this.lost
  }

  heldUntilUnsafe(): Option.Option<Instant> {
    const halfMillis = this.lost ? 0 : this.options.ttlMillis / 2
    return Option.some({
      monotonicNanos: this.renewed.monotonicNanos + BigInt(Math.trunc(halfMillis * 1e6)),
      wallMillis: this.renewed.wallMillis + halfMillis
    })
  }

  renewUnsafe(since: Instant): void {
    this.renewed = since
  }

  loseUnsafe(): void {
    if (this.lost) return
    this.lost = true
    this.options.onLost()
  }
}
