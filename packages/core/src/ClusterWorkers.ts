/**
 * The workers of a cluster, as the owner of jobs sees them.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * Schema for a registered worker.
 *
 * - `Connected`: the worker takes tasks of this owner.
 * - `Connecting`: the worker has not answered yet.
 * - `Unusable`: the worker can't be reached, or takes no task at all, for the reason `why`.
 *
 * Of a connected worker:
 *
 * - `since`: since when there is a connection, in milliseconds since the epoch.
 * - `inHand`: tasks of this owner that the worker has in hand.
 * - `ended`, `perSecond`: tasks of this owner that the worker has ended since then, and ends in a second.
 * - `greetingMillis`: how long the worker took to answer the greeting.
 * - `silentMillis`: how long ago the worker said something. A worker that is silent for 4 seconds is lost.
 * - `isLeaving`: whether the worker is about to end, and takes no more tasks.
 * - `refuses`: tags of the tasks that the worker does not take, or has refused one of lately, each with the reason.
 *
 * @category schemas
 */
export const WorkerStatus = Schema.Union([
  Schema.TaggedStruct("Connected", {
    address: Schema.String,
    since: Schema.Finite,
    inHand: Schema.Natural,
    ended: Schema.Natural,
    perSecond: Schema.Finite,
    greetingMillis: Schema.Finite,
    silentMillis: Schema.Finite,
    isLeaving: Schema.Boolean,
    refuses: Schema.Array(Schema.Tuple([Schema.String, Schema.String]))
  }),
  Schema.TaggedStruct("Connecting", { address: Schema.String }),
  Schema.TaggedStruct("Unusable", { address: Schema.String, why: Schema.String })
])
export type WorkerStatus = typeof WorkerStatus.Type

/**
 * Service that knows the workers of a cluster. `layerCluster` of `@fanout/core/cluster` provides it.
 *
 * @category services
 */
export class ClusterWorkers extends Context.Service<ClusterWorkers, {
  /** All registered workers, in the order of their addresses. */
  readonly list: Effect.Effect<ReadonlyArray<WorkerStatus>>
}>()("@fanout/core/ClusterWorkers") {}

/**
 * Error of a cluster in which no worker takes a task: each lacks the task, has another version of it, or can't start
 * the threads that it needs. The tasks stay unsettled.
 *
 * @category errors
 */
export class WorkersUnavailable
  extends Schema.TaggedError<WorkersUnavailable>("@fanout/core/WorkersUnavailable")("WorkersUnavailable", {
    task: Schema.String,
    /** Address of each worker, and why it does not take the task. */
    workers: Schema.Array(Schema.Tuple([Schema.String, Schema.String]))
  })
{
  override get message(): string {
    const reasons = this.workers.map(([address, reason]) => `${address} ${reason}`)
    const why = reasons.length === 0 ? "the pool of workers is closed" : reasons.join("; ")
    return `No worker takes the task "${this.task}": ${why}`
  }
}
