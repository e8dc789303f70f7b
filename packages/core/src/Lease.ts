/**
 * Tells a task whether its process still owns the job.
 *
 * The store refuses writes of a former owner, but nothing else does: a process that was stopped for a minute may wake
 * up in the middle of a task that another process has finished. A task yields `check` right before each step that
 * others can see. On a thread, the same check reads memory that is shared with the owner.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Interrupted } from "./Interrupter.ts"
import type { JobId } from "./JobId.ts"

/**
 * Moment on two clocks. A monotonic clock may stand still while the machine sleeps, and a wall clock may be set.
 *
 * @category models
 */
export interface Instant {
  readonly monotonicNanos: bigint
  readonly wallMillis: number
}

/**
 * Ownership of the job that runs now.
 *
 * @category models
 */
export interface Lease {
  /** The job; `None` outside of a job. */
  readonly job: Option.Option<JobId>

  /** Number that every new owner of a job raises. Names of temporary things contain the number. */
  readonly token: number

  /** Whether this process surely still owns the job. */
  readonly isHeldUnsafe: () => boolean

  /** What to wait for where a renewal may show that the process still owns the job. Only the owner can wait. */
  readonly untilKnownUnsafe?: () => Effect.Effect<void> | undefined

  /** Moment until which the lease surely holds without renewal, by the first of both clocks. `None` means for ever. */
  readonly heldUntilUnsafe: () => Option.Option<Instant>
}

/**
 * Reference to the ownership of the job that runs now. Outside of a job, the lease is always held.
 *
 * @category services
 */
export const Lease: Context.Reference<Lease> = Context.Reference<Lease>("@fanout/core/Lease", {
  defaultValue: () => ({ job: Option.none(), token: 0, isHeldUnsafe: () => true, heldUntilUnsafe: Option.none })
})

/**
 * Succeeds while this process surely owns the job, else fails with `LeaseLost`. An owner that was stopped for a while
 * first asks the store.
 *
 * @category accessors
 */
export const check: Effect.Effect<void, Interrupted> = Effect.withFiber((fiber) => {
  const lease = Context.get(fiber.context, Lease)
  const known = lease.untilKnownUnsafe?.()
  if (known !== undefined) return Effect.andThen(known, check)
  return lease.isHeldUnsafe() ? Effect.void : Effect.fail(new Interrupted({ reason: "LeaseLost" }))
})
