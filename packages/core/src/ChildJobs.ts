/**
 * Lets the program of a job start other jobs, as its children, and wait for them.
 *
 * A child is a job like any other: it has an id, a row in the list, a log, and an owner, which may be another process.
 * What it has besides is a parent, whose cancel and pause reach it, and a name that is unique in that.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import { Children } from "./internal/job/childrenOfRun.ts"
import { resultOf } from "./internal/job/commands.ts"
import type { Interrupted } from "./Interrupter.ts"
import type * as Job from "./Job.ts"
import type { JobContext } from "./JobContext.ts"
import type { JobId } from "./JobId.ts"
import type { JobManagerError, JobNotCompleted } from "./JobManagerError.ts"
import type { JobStoreError } from "./JobStoreError.ts"

/**
 * A child of the job whose program runs now.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChildJob<out A, out E> {
  readonly id: JobId

  /**
   * Waits until the child is over, and gives its success or its own error. Where it ended without either, as it does
   * when somebody cancels it, that is `JobNotCompleted`. Fails with `Interrupted` once the waiting job is asked to
   * stop.
   *
   * While it waits, the job leaves its place among those that run at once to others.
   */
  readonly await: Effect.Effect<A, E | JobNotCompleted | Interrupted | JobStoreError>
}

/**
 * How to start a child. `priority` is that of its parent by default.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly priority?: number
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- whoever has a `JobContext` has the run's children
const currentChildren = Children as unknown as Effect.Effect<Children["Service"], never, JobContext>

/**
 * Starts a job as a child of the one whose program runs now, or finds the one that an earlier run has started under
 * that name.
 *
 * **Details**
 *
 * The name is what a second run finds the child by, its payload is that of the first. A child that has failed runs
 * again where a later attempt or a later try of the parent asks for it, one that has completed with errors where a
 * later attempt does, and one that was cancelled is started anew by a later attempt. The child's `idempotencyKey` is
 * not looked at; where another active job has its `exclusiveKey` this fails with `ActiveJobDiffers`.
 *
 * **Gotchas**
 *
 * A name that was given to a job of another definition before is a defect. When the parent is over, children that are
 * not are cancelled.
 *
 * @category constructors
 * @since 0.1.0
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
 * Starts a child, or finds it, and waits for it.
 *
 * @category running
 * @since 0.1.0
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
