/**
 * An owner's own view of its lease: held for half of the time that others grant it, on two clocks.
 *
 * A monotonic clock may stand still while the machine sleeps, and a wall clock may be set: the lease is held
 * only while both say so. Once lost it stays lost.
 */
import type * as Clock from "effect/Clock"
import * as Option from "effect/Option"
import type { JobId } from "../../JobId.ts"
import type { Instant, Lease } from "../../Lease.ts"

export const instantUnsafe = (clock: Clock.Clock): Instant => ({
  monotonicNanos: clock.monotonicTimeNanosUnsafe(),
  wallMillis: clock.currentTimeMillisUnsafe()
})

export class JobLease implements Lease {
  readonly job: Option.Option<JobId>
  readonly token: number
  private readonly clock: Clock.Clock
  private readonly ttlMillis: number
  private readonly onLost: () => void
  private renewed: Instant
  private lost = false

  constructor(options: {
    readonly job: JobId
    readonly token: number
    readonly clock: Clock.Clock
    readonly ttlMillis: number
    /** Before the claim was asked of the store. */
    readonly since: Instant
    readonly onLost: () => void
  }) {
    this.job = Option.some(options.job)
    this.token = options.token
    this.clock = options.clock
    this.ttlMillis = options.ttlMillis
    this.renewed = options.since
    this.onLost = options.onLost
  }

  /** Milliseconds since the last renewal began, by the clock that says more. */
  private ageUnsafe(): number {
    const now = instantUnsafe(this.clock)
    return Math.max(
      Number(now.monotonicNanos - this.renewed.monotonicNanos) / 1e6,
      now.wallMillis - this.renewed.wallMillis
    )
  }

  isDueUnsafe(): boolean {
    return this.ageUnsafe() >= this.ttlMillis / 3
  }

  /** Milliseconds that it is held without another renewal; never 0, so that who waits for it gets on. */
  remainingUnsafe(): number {
    return Math.max(1, this.ttlMillis / 2 - this.ageUnsafe())
  }

  isHeldUnsafe(): boolean {
    if (!this.lost && this.ageUnsafe() >= this.ttlMillis / 2) this.loseUnsafe()
    return !this.lost
  }

  heldUntilUnsafe(): Option.Option<Instant> {
    const halfMillis = this.lost ? 0 : this.ttlMillis / 2
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
    this.onLost()
  }
}
