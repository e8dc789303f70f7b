/**
 * Keeps jobs, their checkpoints and what their items came to, behind a replaceable backend.
 *
 * The contract is small on purpose: one compare-and-set for everything that decides a
 * job's life (`put`), one fenced transaction for everything that its owner learns
 * (`flush`), and reads. What a change means is decided above it, by `JobState`.
 *
 * A job that can't be read holds back no others: reads of several leave it out, those of what there is to do with a
 * warning, once for each process.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { JobId } from "./JobId.ts"
import type { Asked, JobRecord, LogEntry, OutcomeRow, Pulse } from "./JobRecord.ts"
import type { JobSchedule } from "./JobSchedule.ts"
import type * as JobState from "./JobState.ts"
import type * as Errors from "./JobStoreError.ts"
import type { Outcome } from "./Outcome.ts"
import type * as Progress from "./Progress.ts"

export * from "./JobRecord.ts"

/**
 * What an owner records of one fan-out, all or nothing.
 *
 * **Details**
 *
 * Rows named in `cleared` are removed (a failed element that a retry has done), then `rows` replace rows of the
 * same fan-out and cursor, as new ones behind all others. `checkpoint` replaces the one stored under this
 * fan-out's name. A flush that has rows, clears some or changes the checkpoint sets `ownersLost` to 0, and raises
 * `revision` if that was another number.
 *
 * @category models
 * @since 0.1.0
 */
export interface Flush {
  readonly token: number
  readonly fanOut: string
  readonly checkpoint: string
  readonly rows: ReadonlyArray<OutcomeRow>
  readonly cleared: ReadonlyArray<string>
  readonly progress: Progress.Progress
}

/**
 * Name and version of jobs, which tell whether a process has a program for them.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = Pick<JobRecord, "name" | "version">

/**
 * What of a running job tells whether its owner is still there.
 *
 * @category models
 * @since 0.1.0
 */
export type Held = Pick<JobRecord, "id" | "name" | "version" | "lease" | "parent"> & Pick<Pulse, "beat">

/**
 * What there may be to do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Look {
  /** Who runs the jobs that run, in the order in which these were stored. */
  readonly held: ReadonlyArray<Held>
  /** Kinds of the jobs that are queued, due or not. */
  readonly kinds: ReadonlyArray<Kind>
  /** Whether any child is active. */
  readonly hasChildren: boolean
  /** Whether any job is queued that is asked to cancel. */
  readonly hasJobsToCancel: boolean
  /** Whether the next tick of any schedule is not after the time of the look. */
  readonly hasDueSchedules: boolean
}

/**
 * Which jobs to list: those in some states, with some names, the children of a `parent`, and no more than `limit`.
 * `before` is the last job of the page before this one.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListFilter {
  readonly states?: ReadonlyArray<JobState.Tag> | undefined
  readonly names?: ReadonlyArray<string> | undefined
  readonly parent?: JobId | undefined
  readonly limit: number
  readonly before?: Pick<JobRecord, "createdAt" | "id"> | undefined
}

/**
 * Job whose row can't be read, and why. Something else has written it, or damaged it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Unreadable {
  /** As it is stored. */
  readonly id: string
  readonly why: string
}

/**
 * Child that is out of step with its parent, and what that asks of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Astray extends Pick<JobRecord, "id"> {
  readonly wish: "Run" | "Pause" | "Cancel"
}

/**
 * Service that keeps jobs.
 *
 * @category services
 * @since 0.1.0
 */
export class JobStore extends Context.Service<JobStore, {
  /**
   * Stores a new job (revision 0), unless an active one of the same name has its idempotency key or
   * its exclusive key: then returns that one and stores nothing. Compare ids to tell which.
   * Fails with `JobConflict` where the job is not new, or its id is taken.
   *
   * Inside the caller's own transaction on the same database the job commits or vanishes with it.
   */
  readonly insert: (record: JobRecord) => Effect.Effect<JobRecord, Errors.JobStoreError>

  /**
   * Stores a new job (revision 0) that has a parent, unless that has a child of that name already, which is not
   * cancelled, or another active one has the new job's exclusive key: then returns that one and stores nothing. Fails
   * with `Fenced` when the token is not that of the parent's owner, and with `JobConflict` like `insert`. A job that
   * has got a child has got on: its `ownersLost` is set to 0 as by `flush`.
   */
  readonly insertChild: (record: JobRecord, token: number) => Effect.Effect<JobRecord, Errors.JobStoreError>

  /** Reads the child that has a name in its parent; of a cancelled one and the one in its place, the latter. */
  readonly child: (parent: JobId, name: string) => Effect.Effect<Option.Option<JobRecord>, Errors.JobStoreError>

  /** Reads in which states the children of a job are, each state once. Cheap, however many there are. */
  readonly childTags: (parent: JobId) => Effect.Effect<ReadonlyArray<JobState.Tag>, Errors.JobStoreError>

  /**
   * Reads children that are out of step with their parents, at most 100, and what they should do. `Cancel`:
   * those that are active, of a parent that is over, gone, or asked to cancel. `Pause`: those that are queued, or run
   * and are asked nothing, of a parent that is paused or asked to pause. `Run`: those that are paused by their parent,
   * or run and are asked to pause with it, of any other parent. A child that is asked to cancel is never out of step.
   */
  readonly astray: Effect.Effect<ReadonlyArray<Astray>, Errors.JobStoreError>

  /** Reads all schedules, by their names. */
  readonly schedules: Effect.Effect<ReadonlyArray<JobSchedule>, Errors.JobStoreError>

  /** Reads one schedule. */
  readonly schedule: (name: string) => Effect.Effect<Option.Option<JobSchedule>, Errors.JobStoreError>

  /** Reads schedules whose next tick is not after `now`, of some jobs or of all, by that tick; at most `limit`. */
  readonly dueSchedules: (filter: {
    readonly now: number
    readonly jobs?: ReadonlyArray<string> | undefined
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<JobSchedule>, Errors.JobStoreError>

  /**
   * Stores a schedule if nobody has since it was read (revision 0: if there is none of its name), raises its revision,
   * and stores new jobs as `insert` does, all in one transaction. Tells whether it has; else nothing is stored. With
   * `dueAt` it has to be due at that time, too: one that was removed and made anew meanwhile can have its revision.
   */
  readonly putSchedule: (
    schedule: JobSchedule,
    jobs: ReadonlyArray<JobRecord>,
    dueAt?: number
  ) => Effect.Effect<boolean, Errors.JobStoreError>

  /** Removes a schedule; tells whether there was one. */
  readonly removeSchedule: (name: string) => Effect.Effect<boolean, Errors.JobStoreError>

  /** Reads one job; fails with `JobNotFound`. */
  readonly get: (id: JobId) => Effect.Effect<JobRecord, Errors.JobStoreError>

  /** Reads heartbeat and progress of one job; fails with `JobNotFound`. */
  readonly pulse: (id: JobId) => Effect.Effect<Pulse, Errors.JobStoreError>

  /** Reads jobs, the newest first, and of those created at one time the one that came last. */
  readonly list: (filter: ListFilter) => Effect.Effect<ReadonlyArray<JobRecord>, Errors.JobStoreError>

  /**
   * Reads which jobs `list` leaves out, with the same filter, because they can't be read: those between the jobs that
   * it gives, and, where no `states` are given, those whose state nobody knows.
   */
  readonly unreadable: (filter: ListFilter) => Effect.Effect<ReadonlyArray<Unreadable>, Errors.JobStoreError>

  /** Looks what there may be to do. Cheap, however many jobs there are. */
  readonly look: (now: number) => Effect.Effect<Look, Errors.JobStoreError>

  /**
   * Reads queued jobs of some kinds that may be run at `now`; of these only those with some `ids`, or the children of
   * some `parents`, where such are given, none of `except`, and none that is asked to cancel. The more urgent come
   * first, then the older, and of those created at one time the one that came first; at most `limit`.
   */
  readonly due: (filter: {
    readonly kinds: ReadonlyArray<Kind>
    readonly ids?: Iterable<JobId> | undefined
    readonly parents?: Iterable<JobId> | undefined
    readonly except: Iterable<JobId>
    readonly now: number
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<JobRecord>, Errors.JobStoreError>

  /**
   * Reads queued jobs that are asked to cancel, for who can clean up after them: those of some names, those with some
   * ids, and children of some names, but none of `except`. In the order of `due`; at most `limit`.
   */
  readonly toCancel: (filter: {
    readonly names: ReadonlyArray<string>
    readonly ids: Iterable<JobId>
    readonly children: ReadonlyArray<string>
    readonly except: Iterable<JobId>
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<JobRecord>, Errors.JobStoreError>

  /**
   * Replaces a job if nobody has since it was read, raises its revision and writes the line to its log, as of
   * `updatedAt`. Heartbeat and progress are untouched. Fails with `JobConflict` where somebody has, with
   * `JobNotFound`, and with `KeyTaken` where the job would be a second active one with one of its keys.
   *
   * `renames` give fan-outs other names, by those that they have, step by step: rows, checkpoint and part of the
   * progress move with them. What was there under a new name gives way, unless it gets another one in that step.
   */
  readonly put: (
    record: JobRecord,
    line: string,
    renames?: ReadonlyArray<ReadonlyMap<string, string>>
  ) => Effect.Effect<JobRecord, Errors.JobStoreError>

  /**
   * Raises the heartbeat, stores the progress if it is given any, and returns what is asked of the job and how much
   * it may use, unless that can't be read: `requested` tells why. Fails with `Fenced` when the token is not the
   * owner's.
   */
  readonly beat: (
    id: JobId,
    token: number,
    progress?: Progress.Progress
  ) => Effect.Effect<Option.Option<Asked>, Errors.JobStoreError>

  /** Reads the same without renewing; fails with `Fenced` likewise. */
  readonly requested: (id: JobId, token: number) => Effect.Effect<Asked, Errors.JobStoreError>

  /**
   * Records what a fan-out has come to, in one transaction with `onCommit`; fails with `Fenced` when the
   * token is not the owner's, and writes nothing then. Nothing is written either when `onCommit` fails, dies
   * or is interrupted.
   *
   * What `onCommit` writes through a `SqlClient` that it finds in its context is part of the transaction, if that
   * client is one of the same database. Any other connection to it waits for the transaction's lock.
   */
  readonly flush: <E = never, R = never>(
    id: JobId,
    flush: Flush,
    onCommit?: Effect.Effect<void, E, R>
  ) => Effect.Effect<void, Errors.JobStoreError | E, R>

  /** Reads the checkpoint of a fan-out, which `flush` stores. */
  readonly checkpoint: (id: JobId, fanOut: string) => Effect.Effect<Option.Option<string>, Errors.JobStoreError>

  /** Reads a checkpoint of the job's own program. Its name says nothing of fan-outs, which may have the same. */
  readonly ownCheckpoint: (id: JobId, name: string) => Effect.Effect<Option.Option<string>, Errors.JobStoreError>

  /** Stores a checkpoint of the job's own program; fenced like `flush`, and changes `ownersLost` like it. */
  readonly saveOwnCheckpoint: (
    id: JobId,
    options: { readonly token: number; readonly name: string; readonly checkpoint: string }
  ) => Effect.Effect<void, Errors.JobStoreError>

  /**
   * Reads stored endings in the order in which they were recorded, or the newest first; at most `limit` behind `after`
   * (0 at first).
   */
  readonly outcomes: (
    id: JobId,
    options: {
      readonly fanOut?: string | undefined
      readonly tags?: ReadonlyArray<Outcome["_tag"]> | undefined
      readonly newestFirst?: boolean
      readonly after: number
      readonly limit: number
    }
  ) => Effect.Effect<ReadonlyArray<readonly [seq: number, row: OutcomeRow]>, Errors.JobStoreError>

  /** Counts the stored failed endings of a job. */
  readonly failures: (id: JobId) => Effect.Effect<number, Errors.JobStoreError>

  /** Appends a line to a job's log, which keeps its newest `logLimit` lines; fenced like `flush`. */
  readonly log: (id: JobId, token: number, entry: Omit<LogEntry, "seq">) => Effect.Effect<void, Errors.JobStoreError>

  /** Reads lines of a job's log, the oldest or the newest first, behind `after` (0 at first), at most `limit`. */
  readonly logs: (
    id: JobId,
    options: { readonly newestFirst?: boolean; readonly after: number; readonly limit: number }
  ) => Effect.Effect<ReadonlyArray<LogEntry>, Errors.JobStoreError>

  /**
   * Removes finished jobs that finished before a time, with all that belongs to them; returns how many. A child is kept
   * as long as its parent, and a parent as long as it has active children.
   */
  readonly prune: (finishedBefore: number) => Effect.Effect<number, Errors.JobStoreError>
}>()("@fanout/core/JobStore") {}
