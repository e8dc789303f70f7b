/**
 * Defines jobs: durable, named, versioned programs that orchestrate tasks.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Record from "effect/Record"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Checkpoint, CheckpointUnreadable } from "./Checkpoint.ts"
import { programKey, type SuppliedProgram } from "./internal/jobProgram.ts"
import * as Numbers from "./internal/numbers.ts"
import { retrySchedule } from "./internal/task/retrySchedule.ts"
import type { Interrupted } from "./Interrupter.ts"
import { JobContext } from "./JobContext.ts"
import type { JobHandle } from "./JobHandle.ts"
import type { JobId } from "./JobId.ts"
import { JobManager } from "./JobManager.ts"
import type { JobManagerError, JobNotCompleted } from "./JobManagerError.ts"
import type { StartOptions } from "./JobRecord.ts"
import type { JobStoreError } from "./JobStoreError.ts"
import type { Pools } from "./Pools.ts"
import type * as Task from "./Task.ts"
import type { TaskCheckpoint } from "./TaskCheckpoint.ts"
import type { TaskDispatcher } from "./TaskDispatcher.ts"

/**
 * Functions that lift the stored data of a job from one version to the next.
 *
 * @category models
 */
export interface Migration {
  /** Lifts the encoded payload of the job. */
  readonly payload?: (payload: Schema.Json) => Schema.Json
  /**
   * Lifts the stored data of fan-outs, by their old names: the new name, the cursors, the payloads of the elements. Two
   * fan-outs can't get the same name. If a fan-out gets the name of another fan-out, the stored data of the other one
   * is deleted, unless the other one gets a new name too.
   */
  readonly fanOuts?: Readonly<
    Record<string, {
      readonly name?: string
      readonly cursor?: (cursor: string) => string
      readonly payload?: (payload: Schema.Json) => Schema.Json
    }>
  >
  /** Lifts the checkpoints of the job's program, by their names. */
  readonly checkpoints?: Readonly<Record<string, (checkpoint: Schema.Json) => Schema.Json>>
}

/**
 * A task that was begun and is not done, with the value that it has saved last in its `TaskCheckpoint`.
 *
 * @category models
 */
export interface SavedTask<T extends Task.Any, A> {
  /** The cursor of the element in the source of its fan-out. */
  readonly cursor: string
  readonly payload: Task.Payload<T>
  readonly checkpoint: A
}

/**
 * Reads what a job has saved, for the clean-up after the job.
 *
 * @category models
 */
export interface Saved {
  /** Reads the value that the program has saved last in a `Checkpoint`. */
  <A>(checkpoint: Checkpoint<A>): Effect.Effect<Option.Option<A>, CheckpointUnreadable | JobStoreError>

  /**
   * Reads the checkpoints of the unfinished tasks of a fan-out (`fanOut` or `runAll`): first of the elements that are
   * not settled, then of the elements that have failed, in the order in which they failed.
   *
   * **Details**
   *
   * Tasks without a checkpoint are left out. The stream reads failed elements page by page, so its memory does not grow
   * with their number. The migrations of the job lift what an older version has stored. A checkpoint that does not fit
   * its schema is left out with a warning.
   */
  readonly tasks: <T extends Task.Any, A>(
    fanOut: string,
    task: T,
    checkpoint: TaskCheckpoint<A>
  ) => Stream.Stream<SavedTask<T, A>, JobStoreError>
}

/**
 * How a pause by a name ends by itself.
 *
 * @category models
 */
export interface Wait<Payload, R = never> {
  /**
   * Looks whether the job may go on, such as by one request to the server that was out of reach. A look that dies, or
   * takes longer than a minute, counts as `false`.
   */
  readonly until: (payload: Payload) => Effect.Effect<boolean, never, R>
  /**
   * The times between looks. Where the schedule ends, the job stays paused until somebody resumes it. As in the `retry`
   * of a job, only the time of the first pause is stored, and each look steps the schedule anew.
   */
  readonly schedule: Schedule.Schedule<unknown>
}

/**
 * Why a process does not run a job. `by` is the name by which the job is paused if no process takes it.
 *
 * @category models
 */
export interface Refusal {
  readonly by: string
  readonly why: string
}

/**
 * Definition of a job.
 *
 * @category models
 */
export interface Job<
  Name extends string,
  Payload extends Task.Codec,
  Success extends Task.Codec,
  Error extends Task.Codec
> extends Any {
  readonly name: Name
  readonly payload: Payload
  readonly success: Success
  readonly error: Error
  readonly idempotencyKey: (payload: Payload["Type"]) => Option.Option<string>
  readonly exclusiveKey: (payload: Payload["Type"]) => Option.Option<string>

  /** Starts the job, see `JobManager.start`. */
  readonly start: (
    payload: Payload["Type"],
    options?: StartOptions
  ) => Effect.Effect<JobHandle<Success["Type"], Error["Type"]>, JobManagerError | JobStoreError, JobManager>

  /** Starts a job for each payload, see `JobManager.startAll`. */
  readonly startAll: (
    payloads: Iterable<Payload["Type"]>,
    options?: StartOptions
  ) => Effect.Effect<
    ReadonlyArray<JobHandle<Success["Type"], Error["Type"]>>,
    JobManagerError | JobStoreError,
    JobManager
  >

  /**
   * Starts the job and waits for its end, in whichever process it runs. Returns the success of the job, or fails with
   * its error.
   *
   * **Details**
   *
   * The same payload is the same job. A job that is not over goes on, also after a pause. A completed job returns its
   * stored success. A failed job is retried. `ifOver` and `ifPaused` change that. Inside of a job the effect dies: use
   * `ChildJobs.run` there.
   */
  readonly execute: (
    payload: Payload["Type"],
    options?: StartOptions
  ) => Effect.Effect<
    Success["Type"],
    Error["Type"] | JobNotCompleted | JobManagerError | JobStoreError,
    JobManager
  >

  /**
   * Makes the layer that supplies the job's program.
   *
   * The program receives a `TaskDispatcher`, its `JobContext` and the `Pools`. The layer requires everything else that
   * the program needs, such as the handlers of its tasks. `onCancel` cleans up after a cancelled job, even if the job
   * was not running, and reads what the program and its unfinished tasks have saved. If the process ends during
   * `onCancel`, the next owner repeats it, and reads the same. Children of the job may still run during `onCancel`.
   *
   * `waits` has the pauses that end by themselves, by their names (`pauseOn`, `JobContext.pause`). A job that waits is
   * queued, without a place or a process. Whoever claims it at the time of the next look looks first.
   *
   * `refuse` tells why this process does not run a job, if it does not: for example, since it lacks the files that the
   * payload names. The process then leaves the job to others, notes why in the log of the job, and asks again after ten
   * seconds. The job is paused if no process takes it for half a minute in which those that could had a free place. A
   * clean-up is not refused. Other jobs go on while the answer takes its time. A job whose answer takes longer than a
   * minute is left for a minute.
   */
  readonly toLayer: <R, RC = never, RW = never>(
    program: (
      payload: Payload["Type"]
    ) => Effect.Effect<Success["Type"], Error["Type"] | Interrupted | JobStoreError, R>,
    options?: {
      readonly onCancel?: (payload: Payload["Type"], id: JobId, saved: Saved) => Effect.Effect<void, never, RC>
      readonly waits?: Readonly<Record<string, Wait<Payload["Type"], RW>>>
      readonly refuse?: (payload: Payload["Type"]) => Effect.Effect<Option.Option<Refusal>, never, RC>
    }
  ) => Layer.Layer<Program<Name>, never, Exclude<R, TaskDispatcher | JobContext | Pools | Scope.Scope> | RC | RW>
}

/**
 * Any job.
 *
 * @category models
 */
export interface Any {
  readonly name: string
  /** Version of the stored data. Raise it when the shape of the data changes. */
  readonly version: number
  readonly payload: Task.Codec
  readonly success: Task.Codec
  readonly error: Task.Codec
  readonly idempotencyKey: (payload: never) => Option.Option<string>
  readonly exclusiveKey: (payload: never) => Option.Option<string>
  readonly retry: Option.Option<Schedule.Schedule<unknown>>
  readonly timeoutMillis: number
  /** Migrations, by the version that they lift from. */
  readonly migrations: Readonly<Record<number, Migration>>
}

/**
 * Supplied program of a job. The type has the name of the job, so that a runtime without the program does not compile.
 *
 * @category models
 */
export interface Program<Name extends string> {
  readonly _: unique symbol
  readonly name: Name
}

/**
 * Programs that a runtime requires to run these jobs.
 *
 * @category models
 */
export type ToProgram<J extends Any> = J extends { readonly name: infer Name extends string } ? Program<Name> : never

/**
 * Defines a job.
 *
 * **Details**
 *
 * - `version` starts at 1. `migrations` lift what older versions have stored; see `Migration`.
 * - `idempotencyKey`: starting a job while a job of the same name and key is active returns the active job.
 * - `exclusiveKey`: starting a job while another job of the same name and key is active is refused.
 * - `retry` runs a failed program again from its first line. Finished fan-outs are not repeated. As in `Effect.retry`,
 *   time counts from the first failure of the attempt, even while the job is paused or no process runs it. Only the
 *   time of the first failure is stored: each failure steps the schedule anew, through its earlier delays and then to
 *   its own time. A schedule that dies fails the job with a `Defect`.
 * - `timeout` is for one whole run of the program, from claim to end. `onCancel` has as long, by default an hour.
 *
 * @category constructors
 */
export const make = <
  const Name extends string,
  Payload extends Task.Codec = Schema.Void,
  Success extends Task.Codec = Schema.Void,
  Error extends Task.Codec = Schema.Never
>(name: Name, options: {
  readonly version?: number
  readonly payload?: Payload
  readonly success?: Success
  readonly error?: Error
  readonly idempotencyKey?: (payload: Payload["Type"]) => string
  readonly exclusiveKey?: (payload: Payload["Type"]) => string
  readonly retry?: Task.Retry<Error["Type"]>
  readonly timeout?: Duration.Input
  readonly migrations?: Readonly<Record<number, Migration>>
}): Job<Name, Payload, Success, Error> => {
  const { exclusiveKey, idempotencyKey, migrations = {} } = options
  for (const [version, { fanOuts = {} }] of Object.entries(migrations)) {
    const names = Object.entries(fanOuts).map(([old, { name = old }]) => name)
    if (new Set(names).size < names.length) {
      throw new Error(`Migration ${version} of job "${name}" gives two fan-outs the same name`)
    }
  }
  const job: Job<Name, Payload, Success, Error> = {
    name,
    version: Numbers.count(`The version of job "${name}"`, options.version ?? 1),
    payload: schemaOr(options.payload, Schema.Void),
    success: schemaOr(options.success, Schema.Void),
    error: schemaOr(options.error, Schema.Never),
    idempotencyKey: (payload) => Option.map(Option.fromUndefinedOr(idempotencyKey), (key) => key(payload)),
    exclusiveKey: (payload) => Option.map(Option.fromUndefinedOr(exclusiveKey), (key) => key(payload)),
    retry: retrySchedule<Error["Type"]>(`job "${name}"`, options.retry),
    timeoutMillis: Numbers.millis(`The timeout of job "${name}"`, options.timeout ?? Duration.infinity),
    migrations,
    start: (payload, startOptions) => JobManager.use((manager) => manager.start(job, payload, startOptions)),
    startAll: (payloads, startOptions) => JobManager.use((manager) => manager.startAll(job, payloads, startOptions)),
    execute: (payload, startOptions) =>
      Effect.flatMap(Effect.serviceOption(JobContext), (context) =>
        Option.isSome(context)
          ? Effect.die(new Error(`Job "${name}" can't be executed inside of a job: use ChildJobs.run`))
          : Effect.flatMap(job.start(payload, { ifOver: "retry", ifPaused: "resume", ...startOptions }), (handle) =>
            handle.await)),
    toLayer: (program, { onCancel, refuse, waits = {} } = {}) =>
      Layer.effect(
        programKey(name),
        Effect.map(Effect.context<Scope.Scope>(), (built): SuppliedProgram => ({
          run: (payload) => provideBuilt(program(payload), built),
          waits: Record.map(waits, ({ schedule, until }) => ({
            schedule,
            until: (payload) => provideBuilt(until(payload), built)
          })),
          onCancel: (payload, id, saved) =>
            onCancel === undefined ? Effect.void : provideBuilt(onCancel(payload, id, saved), built),
          refuse: (payload) => refuse === undefined ? Effect.succeedNone : provideBuilt(refuse(payload), built)
        }))
      )
  }
  return job
}

/**
 * Provides the context in which a layer was built, except its scope: a resource that a program opens ends with its run.
 */
const provideBuilt = <A, E, R>(effect: Effect.Effect<A, E, R>, built: Context.Context<Scope.Scope>) =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what it needs, `toLayer` requires
  Effect.provideContext(effect as Effect.Effect<A, E>, Context.omit(Scope.Scope)(built))

/** Returns the given schema or the default. The default is the default of a type parameter too. */
const schemaOr = <S extends Task.Codec>(given: S | undefined, byDefault: Task.Codec): S =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- where none was given, `S` is the default's type
  (given ?? byDefault) as S
