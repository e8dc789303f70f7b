/**
 * What all parts of one job manager share.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { Interrupter } from "../../Interrupter.ts"
import type * as Job from "../../Job.ts"
import type { JobId } from "../../JobId.ts"
import type { Asked, JobRecord } from "../../JobRecord.ts"
import type { PausedBy } from "../../JobState.ts"
import type { JobStore } from "../../JobStore.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import type { OwnerLiveness } from "../../OwnerLiveness.ts"
import type { Pools } from "../../Pools.ts"
import type { JobRun } from "../fanOut/jobRun.ts"
import type { Program } from "../jobProgram.ts"
import type { JobLease } from "./jobLease.ts"
import type { Place, Places } from "./places.ts"

/** A job that this manager can run. */
export interface Runnable {
  readonly job: Job.Any
  readonly program: Program
}

interface Timing {
  readonly ttlMillis: number
  readonly pollMillis: number
  readonly graceMillis: number
  readonly deadlineMillis: number
}

export interface JobRuntime {
  readonly store: JobStore["Service"]
  readonly liveness: OwnerLiveness["Service"]
  readonly clock: Clock.Clock
  readonly runnables: ReadonlyMap<string, Runnable>
  readonly timing: Timing
  readonly pools: Pools["Service"]
  /** Signals of the runs of this process, until they have ended. */
  readonly runs: Map<JobId, Interrupter>
  readonly places: Places
  /** Jobs that this process cleans up after. */
  readonly cleaning: Set<JobId>
  /** Why the store did not take what runs of this process came to, by job, until this process claims that again. */
  readonly unrecorded: Map<JobId, { readonly token: number; readonly error: JobStoreError }>
  /** Tells when something may be claimed, or a run has ended. */
  readonly claimable: Changes
  /** Tells when the state of a job was changed from here. */
  readonly changed: Changes
}

/** What one run of a job is made of. */
export interface Run {
  readonly runtime: JobRuntime
  readonly runnable: Runnable
  /** As it was claimed. */
  readonly record: JobRecord
  readonly signal: Interrupter
  readonly lease: JobLease
  readonly place: Place
  /** Why the job has paused itself. */
  pausedBy: PausedBy | undefined
  /** Why the store does not take what the run records. */
  trouble: JobStoreError | undefined
  /** What the store did not do for the program, which may go on all the same: what that comes to does not count. */
  refused: JobStoreError | undefined
  /** Stores what the program has reported, where there is such, and reads what is asked of the job. */
  report: JobRun["Service"]["report"]
  /** Holds what runs to how much the job may use, and makes it as urgent as the job is. */
  limit: (asked: Pick<Asked, "limits" | "priority">) => void
}

/** Writes to the log of a job that something is wrong with it, which goes on where it can't be written. */
export const noted = ({ record, runtime: { clock, store } }: Run, message: string): Effect.Effect<void> =>
  Effect.flatMap(
    clock.currentTimeMillis,
    (at) => Effect.ignore(store.log(record.id, record.token, { at, level: "Error", message }))
  )

/** Wakes those that wait for a change, besides what they poll. */
export class Changes {
  /** Opens with the next change: who takes it before they look at what may change miss none. */
  nextChange = Latch.makeUnsafe(false)

  notifyUnsafe(): void {
    const { nextChange } = this
    this.nextChange = Latch.makeUnsafe(false)
    nextChange.openUnsafe()
  }
}

/** Waits for a change, or until the time is over. */
export const changeWithin = (nextChange: Latch.Latch, millis: number): Effect.Effect<void> =>
  Effect.raceFirst(Effect.sleep(millis), nextChange.await)
