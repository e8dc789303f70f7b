/**
 * Lets the program of a job start other jobs, as its children, and wait for them.
 *
 * A child is a job like any other: it has an id, a row in the list, a log, and an owner, which may be another process.
 * In addition, a child has a name that is unique in its parent. A cancel or pause of the parent reaches the child.
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import { Children } from "./internal/job/childrenOfRun.ts"
import { resultOf } from "./internal/job/commands.ts"
import { partitioned as runPartitions } from "./internal/job/partitions.ts"
import type { Interrupted } from "./Interrupter.ts"
import type * as Job from "./Job.ts"
import type { JobContext } from "./JobContext.ts"
import type { JobId } from "./JobId.ts"
import type { JobManagerError, JobNotCompleted } from "./JobManagerError.ts"
import type { StateCounts } from "./JobStore.ts"
import type { JobStoreError } from "./JobStoreError.ts"
import type { Tally } from "./Progress.ts"
import type { Source } from "./Source.ts"

/**
 * Child of the job whose program runs now.
 *
 * @category models
 */
export interface ChildJob<out A, out E> {
  readonly id: JobId

  /**
   * Waits until the child is over, and returns its success or fails with its own error. Fails with `JobNotCompleted` if
   * the child ended without either, for example because somebody cancelled it. Fails with `Interrupted` once the
   * waiting job is asked to stop. While the job waits, another job can use its place among the running jobs.
   */
  readonly await: Effect.Effect<A, E | JobNotCompleted | Interrupted | JobStoreError>
}

/**
 * Options of a new child. `priority` is the priority of the parent by default.
 *
 * @category models
 */
export interface Options {
  readonly priority?: number
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- whoever has a `JobContext` has the run's children
const currentChildren = Children as unknown as Effect.Effect<Children["Service"], never, JobContext>

/**
 * Starts a child of the job whose program runs now, or finds the child that an earlier run started under that name.
 *
 * **Details**
 *
 * A second run finds the child by its name; the child keeps the payload of the first run. A failed child runs again if
 * a later attempt or a later try of the parent asks for it. A child that completed with errors runs again if a later
 * attempt asks for it, unless the retry was limited to something else. A later attempt replaces a cancelled child by a
 * new one. `start` ignores the `idempotencyKey` of the child, and fails with `ActiveJobDiffers` if another active job
 * has its `exclusiveKey`.
 *
 * **Gotchas**
 *
 * A name whose child has another definition is a defect. When the parent is over, its active children are cancelled.
 *
 * @category constructors
 */
export const start = <N extends string, P extends Schema.Top, S extends Schema.Top, E extends Schema.Top>(
  name: string,
  job: Job.Any & { readonly name: N; readonly payload: P; readonly success: S; readonly error: E },
  payload: P["Type"],
  options: Options = {}
): Effect.Effect<ChildJob<S["Type"], E["Type"]>, JobManagerError | Interrupted | JobStoreError, JobContext> =>
  Effect.gen(function*() {
    const children = yield* currentChildren
    const id = yield* children.start(name, job, payload, options.priority)
    return { id, await: Effect.flatMap(children.await(id), (record) => resultOf(job, record)) }
  })

/**
 * Starts or finds a child, and waits for it.
 *
 * @category running
 */
export const run = <N extends string, P extends Schema.Top, S extends Schema.Top, E extends Schema.Top>(
  name: string,
  job: Job.Any & { readonly name: N; readonly payload: P; readonly success: S; readonly error: E },
  payload: P["Type"],
  options: Options = {}
): Effect.Effect<
  S["Type"],
  E["Type"] | JobNotCompleted | JobManagerError | Interrupted | JobStoreError,
  JobContext
> => Effect.flatMap(start(name, job, payload, options), (child) => child.await)

/**
 * What the children of a partitioned source have come to: the sum of their tallies, and how many of them have ended in
 * each state.
 *
 * @category models
 */
export interface Partitioned {
  readonly tally: Tally
  readonly states: StateCounts
}

/**
 * Options of a partitioned source. `concurrency` is how many of its children are queued or run at the same time, 16 by
 * default. `priority` is the priority of the parent by default.
 *
 * @category models
 */
export interface PartitionOptions extends Options {
  readonly concurrency?: number
}

/**
 * Runs one child for each element of a source, wherever a process has a place, and returns the sum of what they have
 * come to.
 *
 * **When to use**
 *
 * Use where one process can't list or run all elements in the time there is. Each child lists and runs its partition
 * with a fan-out of its own. `Source.ranges` and `Source.between` cut numbers and keys, and `Source.fromIterable` takes
 * any list of partitions.
 *
 * **Details**
 *
 * The payload of an element is the payload of its child, and the name of the child is `name` and the cursor of the
 * element. A run that goes on finds the children by these names: those that have ended are counted and not run again. A
 * later attempt runs the children again that have failed, or have completed with errors. A child that fails, or that a
 * person cancels, is counted in `states`, and stops no other child.
 *
 * While the children run, the parent shows the sum of their tallies and units each second, as if `name` were a fan-out
 * of its own.
 *
 * **Gotchas**
 *
 * The source has to give the same elements in each run of the job, and only items. A run that goes on reads each ended
 * child again, which takes a few milliseconds.
 *
 * @category running
 */
export const partitioned = <
  N extends string,
  P extends Schema.Top,
  S extends Schema.Top,
  E extends Schema.Top,
  E2 = never,
  R2 = never
>(
  name: string,
  job: Job.Any & { readonly name: N; readonly payload: P; readonly success: S; readonly error: E },
  source: Source<P["Type"], E2, R2>,
  { concurrency = 16, priority }: PartitionOptions = {}
): Effect.Effect<Partitioned, E2 | JobManagerError | Interrupted | JobStoreError, R2 | JobContext> =>
  Effect.flatMap(
    currentChildren,
    (children) => Effect.provideService(runPartitions({ name, job, source, concurrency, priority }), Children, children)
  )
