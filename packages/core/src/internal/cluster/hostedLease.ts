/**
 * The lease of a job as a worker was told it: held until a time on the worker's own clocks.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import type { JobId } from "../../JobId.ts"
import { type Instant, Lease } from "../../Lease.ts"
import type { Times, ToWorker } from "./messages.ts"

export class HostedLease implements Lease {
  readonly job: Option.Option<JobId>
  readonly token: number
  readonly graceMillis: number
  /** How often somebody has found the lease over. A task must not go on after that, even if the lease is held again. */
  losses = 0
  private isOver = false
  /** What handlers find in their contexts, by the contexts that these come from. */
  private readonly contexts = new Map<Context.Context<never>, Context.Context<never>>()
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
    this.isOver = false
  }

  /** A context with the lease in it. It is the same for all tasks of a kind. */
  contextOf(context: Context.Context<never>): Context.Context<never> {
    const known = this.contexts.get(context)
    if (known !== undefined) return known
    const made = Context.makeUnsafe(new Map(Context.add(context, Lease, this).mapUnsafe))
    this.contexts.set(context, made)
    return made
  }

  isHeldUnsafe(): boolean {
    const { clock, until: { monotonicNanos, wallMillis } } = this
    const isHeld = clock.monotonicTimeNanosUnsafe() < monotonicNanos && clock.currentTimeMillisUnsafe() < wallMillis
    if (!isHeld && !this.isOver) {
      this.isOver = true
      this.losses++
    }
    return isHeld
  }

  heldUntilUnsafe(): Option.Option<Instant> {
    return Option.some(this.until)
  }
}

const instantOf = ([monotonic, wall]: Times): Instant => ({
  monotonicNanos: BigInt(Math.trunc(monotonic * 1e6)),
  wallMillis: wall
})
