/**
 * Keeps jobs, their checkpoints and the outcomes of their elements, in a backend that can be replaced.
 *
 * The contract is small on purpose. `put` changes the life of a job by compare-and-set. `flush` records what the owner
 * of a job learns, in one fenced transaction. Other operations read. `JobState` decides what a change means.
 *
 * A `limit` is a whole number from 0 on, or Infinity, and an `after` a whole number from 0 on. Others are defects.
 *
 * A read of several jobs leaves out a job that can't be read. A read for work also logs one warning per process.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { JobHistory } from "./JobHistory.ts"
import type { JobId } from "./JobId.ts"
import type { Asked, JobRecord, LogEntry, OutcomeRow, Pulse } from "./JobRecord.ts"
import type { JobSchedule } from "./JobSchedule.ts"
import type * as JobState from "./JobState.ts"
import type * as Errors from "./JobStoreError.ts"
import type { JobTasks } from "./JobTasks.ts"
import type { Outcome } from "./Outcome.ts"
import type { Owner } from "./OwnerLiveness.ts"
import type * as Progress from "./Progress.ts"

export * from "./JobRecord.ts"

/**
 * What an owner records of one fan-out. A flush is recorded completely or not at all. First, the rows of the cursors in
 * `cleared` are removed, such as a failed element that a retry has done. Then each of `rows` replaces the row of the
 * same fan-out and cursor, behind all other rows. `checkpoint` replaces the fan-out's checkpoint. With rows, cleared
 * cursors or a new checkpoint, the job's `ownersLost` becomes 0, and `revision` is raised if it was not 0.
 *
 * @category models
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
 * Name and version of a job. They tell whether a process has a program for the job.
 *
 * @category models
 */
export type Kind = Pick<JobRecord, "name" | "version">

/**
 * The part of a running job that tells whether its owner is still alive.
 *
 * @category models
 */
export type Held = Pick<JobRecord, "id" | "name" | "version" | "lease" | "parent"> & Pick<Pulse, "beat">

/**
 * Work that may be waiting in the store.
 *
 * @category models
 */
export interface Look {
  /** The running jobs, in the order in which they were stored. */
  readonly held: ReadonlyArray<Held>
  /** Kinds of the queued jobs, whether they are due or not. */
  readonly kinds: ReadonlyArray<Kind>
  /** Names of which no more jobs may begin to run, as `setConcurrency` says. */
  readonly full: ReadonlyArray<string>
  /** Whether any child is active. */
  readonly hasChildren: boolean
  /** Whether a queued job has been asked to cancel. */
  readonly hasJobsToCancel: boolean
  /** Whether a schedule is due at the time of the look, as `dueSchedules` says. */
  readonly hasDueSchedules: boolean
}

/**
 * Which jobs to list: jobs in one of the `states`, with one of the `names`, with the `idempotencyKey`, with the `tag`,
 * with an id that begins with `idPrefix`, the children of `parent`, the jobs that `schedule` has started, the jobs that
 * were created at or after `since` (milliseconds since the epoch), at most `limit` jobs. `before` is the last job of
 * the previous page.
 *
 * @category models
 */
export interface ListFilter {
  readonly states?: ReadonlyArray<JobState.Tag> | undefined
  readonly names?: ReadonlyArray<string> | undefined
  readonly idempotencyKey?: string | undefined
  readonly tag?: string | undefined
  readonly idPrefix?: string | undefined
  readonly parent?: JobId | undefined
  readonly schedule?: string | undefined
  readonly since?: number | undefined
  readonly limit: number
  readonly before?: Pick<JobRecord, "createdAt" | "id"> | undefined
}

/**
 * Job with its heartbeat and its progress.
 *
 * @category models
 */
export interface Listed extends Pulse {
  readonly record: JobRecord
}

/**
 * Job whose row can't be read, and why. Another program wrote the row, or the row is damaged.
 *
 * @category models
 */
export interface Unreadable {
  /** The id as it is stored. */
  readonly id: string
  readonly why: string
}

/**
 * Child that is out of step with its parent, and what the child should do.
 *
 * @category models
 */
export interface Astray extends Pick<JobRecord, "id"> {
  readonly wish: "Run" | "Pause" | "Cancel"
}

/**
 * Numbers of jobs, by state. A state without jobs is left out.
 *
 * @category models
 */
export type StateCounts = { readonly [Tag in JobState.Tag]?: number }

/**
 * Rate that all processes of a store keep together. With 0 turns per second, no task of the rate begins.
 *
 * @category models
 */
export interface Rate {
  readonly name: string
  readonly perSecond: number
}

/**
 * Turns of a rate that a process has taken: the first one is in `inMillis`, and the others follow one another every
 * `everyMillis`. With a `count` of 0, none can be taken for `inMillis`.
 *
 * @category models
 */
export interface Turns {
  readonly count: number
  readonly inMillis: number
  readonly everyMillis: number
}

/**
 * Most jobs of a name that run at the same time in all processes of a store. With 0, none begins.
 *
 * @category models
 */
export interface Concurrency {
  readonly name: string
  readonly most: number
}

/**
 * Process that claims jobs: the names of the jobs that it claims, and the number of jobs that it runs at once.
 *
 * @category models
 */
export interface Claimer {
  readonly owner: Owner
  readonly names: ReadonlyArray<string>
  readonly places: number
}

/**
 * Service that keeps jobs.
 *
 * @category services
 */
export class JobStore extends Context.Service<JobStore, {
  /**
   * Stores a new job (revision 0) and returns it. If an active job of the same name has the new job's idempotency key
   * or exclusive key, `insert` stores nothing and returns the active job; the ids differ then. Fails with `JobConflict`
   * if the job is not new, or if its id is taken.
   *
   * If the caller has a transaction open on the same database, by the `SqlClient` in its context, the job is part of
   * that transaction. Within any other transaction of a `SqlClient`, a store in SQL fails with `OtherTransaction`.
   */
  readonly insert: (record: JobRecord) => Effect.Effect<JobRecord, Errors.JobStoreError>

  /**
   * Stores new jobs as `insert` does, all of them or none, and returns them in the same order. Fails with `KeyTaken` if
   * another active job has the exclusive key of a new job, but not its idempotency key.
   */
  readonly insertAll: (
    records: ReadonlyArray<JobRecord>
  ) => Effect.Effect<ReadonlyArray<JobRecord>, Errors.JobStoreError>

  /**
   * Stores a new child (revision 0) and returns it. `insertChild` stores nothing and returns an existing job in two
   * cases: the parent has a child of that name which is not cancelled, or another active job has the new job's
   * exclusive key. A stored child sets the parent's `ownersLost` to 0, as `flush` does. Fails with `Fenced` if the
   * token is not the token of the parent's owner, and with `JobConflict` like `insert`. Within a transaction of a
   * `SqlClient`, a store in SQL fails with `OtherTransaction`.
   */
  readonly insertChild: (record: JobRecord, token: number) => Effect.Effect<JobRecord, Errors.JobStoreError>

  /** Reads the child with this name: the new child, if it has replaced a cancelled child. */
  readonly child: (parent: JobId, name: string) => Effect.Effect<Option.Option<JobRecord>, Errors.JobStoreError>

  /** Reads the states of a job's children, each state once. Cheap for any number of children. */
  readonly childTags: (parent: JobId) => Effect.Effect<ReadonlyArray<JobState.Tag>, Errors.JobStoreError>

  /** Counts the children of some jobs in each state. A job without children is left out. */
  readonly childCounts: (
    parents: ReadonlyArray<JobId>
  ) => Effect.Effect<ReadonlyMap<JobId, StateCounts>, Errors.JobStoreError>

  /** Counts all jobs in each state. */
  readonly counts: Effect.Effect<StateCounts, Errors.JobStoreError>

  /**
   * Reads at most 100 children that are out of step with their parents, and what they should do.
   *
   * - `Cancel`: an active child of a parent that is over, gone, or asked to cancel.
   * - `Pause`: a child that is queued, or runs and is asked nothing, of a parent that is paused or asked to pause.
   * - `Run`: a child that is paused by its parent, or runs and is asked to pause with it, of any other parent.
   *
   * A child that is asked to cancel is never out of step.
   */
  readonly astray: Effect.Effect<ReadonlyArray<Astray>, Errors.JobStoreError>

  /** Reads all schedules, in the order of their names. */
  readonly schedules: Effect.Effect<ReadonlyArray<JobSchedule>, Errors.JobStoreError>

  readonly schedule: (name: string) => Effect.Effect<Option.Option<JobSchedule>, Errors.JobStoreError>

  /**
   * Reads the schedules of some or all `jobs` that are due at `now`, the one that is due first, first. A schedule is
   * due once its next tick has to start its job, or at once while ticks are `waiting`, but never while it is paused.
   */
  readonly dueSchedules: (filter: {
    readonly now: number
    readonly jobs?: ReadonlyArray<string> | undefined
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<JobSchedule>, Errors.JobStoreError>

  /**
   * Stores a schedule, raises its revision, and stores new jobs as `insert` does, in one transaction. Returns `false`
   * and stores nothing if the schedule has changed since it was read. For revision 0, `putSchedule` returns `false` if
   * a schedule of that name exists. With `dueAt`, `putSchedule` also returns `false` if the stored schedule is not due
   * at that time: a schedule that was removed and made anew can have the same revision. If a job is found in the place
   * of a new one that is to be the `lastJob`, the schedule gets the id of the found one.
   */
  readonly putSchedule: (
    schedule: JobSchedule,
    jobs: ReadonlyArray<JobRecord>,
    dueAt?: number
  ) => Effect.Effect<boolean, Errors.JobStoreError>

  /** Removes a schedule. Returns whether the schedule existed. */
  readonly removeSchedule: (name: string) => Effect.Effect<boolean, Errors.JobStoreError>

  /** Reads all rates, in the order of their names. */
  readonly rates: Effect.Effect<ReadonlyArray<Rate>, Errors.JobStoreError>

  /** Sets a rate; `null` removes it. Turns that are taken stay taken. */
  readonly setRate: (name: string, perSecond: number | null) => Effect.Effect<void, Errors.JobStoreError>

  /**
   * Takes at most `wanted` turns of a rate. No two callers get the same turn, and turns that a caller does not use are
   * lost. Returns `None` if no rate has the name.
   */
  readonly takeTurns: (name: string, wanted: number) => Effect.Effect<Option.Option<Turns>, Errors.JobStoreError>

  /** Reads all concurrencies, in the order of their names. */
  readonly concurrencies: Effect.Effect<ReadonlyArray<Concurrency>, Errors.JobStoreError>

  /** Sets how many jobs of a name may run at the same time; `null` removes the limit. Jobs that run go on. */
  readonly setConcurrency: (name: string, most: number | null) => Effect.Effect<void, Errors.JobStoreError>

  /**
   * Notes for `millis` that a process claims jobs, in place of what the process has announced before. One that has no
   * `places` claims none any more.
   */
  readonly announce: (claimer: Claimer, millis: number) => Effect.Effect<void, Errors.JobStoreError>

  /** Reads the processes that claim jobs now. */
  readonly claimers: Effect.Effect<ReadonlyArray<Claimer>, Errors.JobStoreError>

  /** Reads one job. Fails with `JobNotFound`. */
  readonly get: (id: JobId) => Effect.Effect<JobRecord, Errors.JobStoreError>

  /** Reads the heartbeat and the progress of one job. Fails with `JobNotFound`. */
  readonly pulse: (id: JobId) => Effect.Effect<Pulse, Errors.JobStoreError>

  /** Reads jobs, the newest first. Of jobs created at the same time, the job stored last comes first. */
  readonly list: (filter: ListFilter) => Effect.Effect<ReadonlyArray<JobRecord>, Errors.JobStoreError>

  /** Reads the same jobs as `list`, each with its heartbeat and its progress, as they are at one moment. */
  readonly listWithPulse: (filter: ListFilter) => Effect.Effect<ReadonlyArray<Listed>, Errors.JobStoreError>

  /**
   * Reads the jobs that `list` leaves out, for the same filter, because they can't be read: the unreadable jobs between
   * the jobs of the list. Without `states`, jobs in an unknown state are among them.
   */
  readonly unreadable: (filter: ListFilter) => Effect.Effect<ReadonlyArray<Unreadable>, Errors.JobStoreError>

  /** Looks for work. Cheap for any number of jobs. */
  readonly look: (now: number) => Effect.Effect<Look, Errors.JobStoreError>

  /**
   * Reads queued jobs of some `kinds` that may run at `now`. Jobs in `except` and jobs that are asked to cancel are
   * left out. `ids` limits the jobs to these ids, and `parents` to the children of these jobs. The most urgent job
   * comes first, then the oldest; of jobs created at the same time, the job stored first.
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
   * Reads queued jobs that are asked to cancel, so that the caller can clean up after them: jobs with one of the
   * `names`, jobs with one of the `ids`, and children whose name as a job is in `children`. Jobs in `except` are left
   * out. The order is the order of `due`.
   */
  readonly toCancel: (filter: {
    readonly names: ReadonlyArray<string>
    readonly ids: Iterable<JobId>
    readonly children: ReadonlyArray<string>
    readonly except: Iterable<JobId>
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<JobRecord>, Errors.JobStoreError>

  /**
   * Replaces a job, raises its revision and writes `line` to its log, with the time `updatedAt`. The heartbeat and the
   * progress stay the same. Fails with `JobConflict` if the job has changed since it was read, with `JobNotFound`, and
   * with `KeyTaken` if the job would be the second active job with one of its keys.
   *
   * A queued job that begins to run fails with `ConcurrencyReached` if as many jobs of its name run as `setConcurrency`
   * allows, whoever else begins one at the same time. Two kinds of jobs begin all the same: a child whose parent has
   * the same name, which does not count either, and a job that is asked to cancel, which only cleans up.
   *
   * `renames` give fan-outs new names, step by step. Each map has the new names by the old names. The rows, the
   * checkpoint and the progress of a fan-out move to its new name. A fan-out that already has the new name is deleted,
   * unless the same step renames that fan-out as well.
   *
   * With `beat`, `put` also fails with `JobConflict` if the heartbeat is another one: the owner has renewed its lease.
   */
  readonly put: (
    record: JobRecord,
    line: string,
    renames?: ReadonlyArray<ReadonlyMap<string, string>>,
    beat?: number
  ) => Effect.Effect<JobRecord, Errors.JobStoreError>

  /**
   * Raises the heartbeat and stores the progress, if there is any. Returns the job's request, priority and limits, or
   * `None` if they can't be read; `requested` tells why. Fails with `Fenced` if the token is not the owner's.
   */
  readonly beat: (
    id: JobId,
    token: number,
    progress?: Progress.Progress
  ) => Effect.Effect<Option.Option<Asked>, Errors.JobStoreError>

  /** Reads the same as `beat` without raising the heartbeat. Fails with `Fenced` like `beat`. */
  readonly requested: (id: JobId, token: number) => Effect.Effect<Asked, Errors.JobStoreError>

  /**
   * Records the state of a fan-out and runs `onCommit`, in one transaction. Fails with `Fenced` if the token is not the
   * owner's. Nothing is written if the flush is fenced, or if `onCommit` fails, dies or is interrupted.
   *
   * `onCommit` writes in the transaction through the `SqlClient` in its context, if that client has the same database.
   * Another connection to the database waits for the lock of the transaction.
   */
  readonly flush: <E = never, R = never>(
    id: JobId,
    flush: Flush,
    onCommit?: Effect.Effect<void, E, R>
  ) => Effect.Effect<void, Errors.JobStoreError | E, R>

  readonly checkpoint: (id: JobId, fanOut: string) => Effect.Effect<Option.Option<string>, Errors.JobStoreError>

  /** Reads a checkpoint of the job's program. The checkpoint of a fan-out with the same name is another one. */
  readonly ownCheckpoint: (id: JobId, name: string) => Effect.Effect<Option.Option<string>, Errors.JobStoreError>

  /** Stores a checkpoint of the job's program. Fencing and `ownersLost` are as in `flush`. */
  readonly saveOwnCheckpoint: (
    id: JobId,
    options: { readonly token: number; readonly name: string; readonly checkpoint: string }
  ) => Effect.Effect<void, Errors.JobStoreError>

  /** Reads how the progress of a job went; `None` if no run of the job has lasted a second. */
  readonly history: (id: JobId) => Effect.Effect<Option.Option<JobHistory>, Errors.JobStoreError>

  /** Replaces the history of a job. The call is fenced like `flush`. */
  readonly saveHistory: (id: JobId, token: number, history: JobHistory) => Effect.Effect<void, Errors.JobStoreError>

  /** Reads what is known of the tasks of a job; `None` if no run of the job has lasted a second. */
  readonly tasks: (id: JobId) => Effect.Effect<Option.Option<JobTasks>, Errors.JobStoreError>

  /** Replaces what is known of the tasks of a job. The call is fenced like `flush`. */
  readonly saveTasks: (id: JobId, token: number, tasks: JobTasks) => Effect.Effect<void, Errors.JobStoreError>

  /** Reads stored outcomes behind the sequence number `after` (0 at first), the oldest first by default. */
  readonly outcomes: (
    id: JobId,
    options: {
      readonly fanOut?: string | undefined
      readonly tags?: ReadonlyArray<Outcome["_tag"]> | undefined
      /** Only failures of this `Outcome.cause`. */
      readonly cause?: string | undefined
      /** Only outcomes with these sequence numbers. */
      readonly elements?: ReadonlyArray<number> | undefined
      readonly newestFirst?: boolean
      readonly after: number
      readonly limit: number
    }
  ) => Effect.Effect<ReadonlyArray<readonly [seq: number, row: OutcomeRow]>, Errors.JobStoreError>

  /** Counts the stored failed outcomes of a job. */
  readonly failures: (id: JobId) => Effect.Effect<number, Errors.JobStoreError>

  /** Appends a line to a job's log. The log keeps its newest `logLimit` lines. The call is fenced like `flush`. */
  readonly log: (id: JobId, token: number, entry: Omit<LogEntry, "seq">) => Effect.Effect<void, Errors.JobStoreError>

  /** Reads the lines of a job's log behind the sequence number `after` (0 at first), the oldest first by default. */
  readonly logs: (
    id: JobId,
    options: { readonly newestFirst?: boolean; readonly after: number; readonly limit: number }
  ) => Effect.Effect<ReadonlyArray<LogEntry>, Errors.JobStoreError>

  /**
   * Removes jobs that finished before a time (milliseconds since the epoch), and all their data. Returns the number of
   * jobs. A child stays as long as its parent, a parent as long as it has active children.
   */
  readonly prune: (finishedBefore: number) => Effect.Effect<number, Errors.JobStoreError>

  /**
   * Emits once the store can tell of changes, and then after each commit, by whatever process, that has stored or
   * removed a job or a schedule or changed it with `put` or `putSchedule`. A slow reader gets several changes as one,
   * and a change can stay untold if the process that made it is killed. The stream ends if the store can't tell, and
   * fails if the store has lost what told it.
   */
  readonly changes: Stream.Stream<void, Errors.JobStoreError>

  /**
   * Names what is stored of jobs and schedules at present. While the name is the same, no process has stored anything,
   * unless it was killed before it told. Another name can also come from elsewhere in the database, but not while
   * somebody in this process reads `changes` of a store that tells of them. Cheap, so that whoever shows jobs can look
   * ten times a second.
   */
  readonly version: Effect.Effect<string, Errors.JobStoreError>
}>()("@fanout/core/JobStore") {}
