/**
 * The lease of a job as a worker was told it: held until a time on the worker's own clocks.
 */
import type * as Clock from "effect/Clock"
import * as Option from "effect/Option"
import type { JobId } from "../../JobId.ts"
import type { Instant, Lease } from "../../Lease.ts"
import type { Times, ToWorker } from "./messages.ts"

export class HostedLease implements Lease {
  readonly job: Option.Option<JobId>
  readonly token: number
  readonly graceMillis: number
  private until: Instant
  private readonly clock: Clock.Clock

  constructor(told: NonNullable<ToWorker["leases"]>[number], clock: Clock.Clock) {
    this.job = Option.fromNullOr(told.job)
    this.token = told.token
    this.graceMillis = told.graceMillis
    this.clock = clock
    this.until = instantOf(told.heldUntil)
  }

  hold(times: Times): void {
    this.until = instantOf(times)
  }

  isHeldUnsafe(): boolean {
    const { clock, until: { monotonicNanos, wallMillis } } = this
    return clock.monotonicTimeNanosUnsafe() < monotonicNanos && clock.currentTimeMillisUnsafe() < wallMillis
  }

  heldUntilUnsafe(): Option.Option<Instant> {
    return Option.some(this.until)
  }
}

const instantOf = ([monotonic, wall]: Times): Instant => ({
  monotonicNanos: BigInt(Math.trunc(monotonic * 1e6)),
  wallMillis: wall
})
