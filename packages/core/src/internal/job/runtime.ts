/**
 * The state that all parts of one job manager share.
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
import type { LiveCluster } from "../cluster/liveWorkers.ts"
import type { JobRun } from "../fanOut/jobRun.ts"
import type { SuppliedProgram } from "../jobProgram.ts"
import type { StoredRates } from "../permits/storedRates.ts"
import type { LivePool } from "../threads/livePools.ts"
import type { AwakeTime, JobLease } from "./ownership.ts"
import type { Place, Places } from "./places.ts"

/** A job that this job manager can run. */
export interface Runnable {
  readonly job: Job.Any
  readonly program: SuppliedProgram
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
  readonly awake: AwakeTime
  readonly runnables: ReadonlyMap<string, Runnable>
  readonly timing: Timing
  readonly pools: Pools["Service"]
  readonly threads: ReadonlySet<LivePool>
  readonly clusters: ReadonlySet<LiveCluster>
  readonly rates: StoredRates
  /** The stop signals of the current runs of this process. */
  readonly runs: Map<JobId, Interrupter>
  readonly places: Places
  /** Jobs that this process is cleaning up after. */
  readonly cleaning: Set<JobId>
  /** The errors of runs whose end the store did not record, by job. The next claim of the job removes the error. */
  readonly unrecorded: Map<JobId, { readonly token: number; readonly error: JobStoreError }>
  /** The error with which all rounds of claiming have failed since a time, if they fail. */
  readonly claiming: { failure: { readonly error: JobStoreError; readonly since: number } | undefined }
  /** Names of jobs that have waited for a process to run them, and of which a warning need not be logged any more. */
  readonly unclaimed: Set<string>
  /** Notifies when a job may have become claimable, or a run has ended. */
  readonly claimable: Changes
  /** Notifies when this process has changed the state of a job. */
  readonly changed: Changes
  /** While this is on, the two above notify of the changes of other processes, too. */
  readonly hearing: { isOn: boolean }
}

/** One run of a job. */
export interface Run {
  readonly runtime: JobRuntime
  readonly runnable: Runnable
  /** The record at the time of the claim. */
  readonly record: JobRecord
  readonly signal: Interrupter
  readonly lease: JobLease
  readonly place: Place
  /** The name that the program gave when the program paused the job. */
  pausedBy: PausedBy | undefined
  /** Whether the program has got further in this run. */
  hasGoneOn: () => boolean
  /** Whether the deadline of the job has stopped the run. */
  isOverdue: boolean
  /** The error of the store, while the store does not record the work of the run. */
  trouble: JobStoreError | undefined
  /** The first error that a store call of the program met. With such an error the result of the program is invalid. */
  refused: JobStoreError | undefined
  /** Stores unsaved progress, if any, and reads the requests to the job. */
  report: JobRun["Service"]["report"]
  /** Applies the limits and the priority of the job to the tasks of the run. */
  limit: (asked: Pick<Asked, "limits" | "priority">) => void
}

/** The time by which a job must be over. */
export const deadlineOf = ({ state }: JobRecord): number =>
  "deadline" in state ? state.deadline : Number.POSITIVE_INFINITY

/** Writes an error line to the log of a job. A failure to write is ignored. */
export const noted = ({ record, runtime: { clock, store } }: Run, message: string): Effect.Effect<void> =>
  Effect.flatMap(
    clock.currentTimeMillis,
    (at) => Effect.ignore(store.log(record.id, record.token, { at, level: "Error", message }))
  )

/** Wakes fibers that wait for a change. */
export class Changes {
  /** Opens with the next change. A fiber that takes the latch before reading the state misses no change. */
  nextChange = Latch.makeUnsafe(false)

  notifyUnsafe(): void {
    const { nextChange } = this
    this.nextChange = Latch.makeUnsafe(false)
    nextChange.openUnsafe()
  }
}

/** Time after which to look for a change that every process tells of, if it can. */
export const quietMillis = ({ hearing, timing }: JobRuntime): number =>
  hearing.isOn ? Math.max(timing.ttlMillis / 3, timing.pollMillis) : timing.pollMillis

/** Waits for a change, for at most `millis`. */
export const changeWithin = (nextChange: Latch.Latch, millis: number): Effect.Effect<void> =>
  Effect.raceFirst(Effect.sleep(millis), nextChange.await)
