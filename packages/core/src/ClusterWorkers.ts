/**
 * The workers of a cluster, as the owner of jobs sees them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * A registered worker.
 *
 * - `Connected`: the worker takes tasks of this owner.
 * - `Connecting`: the worker has not answered yet.
 * - `Unusable`: the worker can't be reached, or takes no task at all, for this reason.
 *
 * @category models
 * @since 0.1.0
 */
export type WorkerStatus = {
  readonly _tag: "Connected"
  readonly address: string
  /** Since when there is a connection, in milliseconds since the epoch. */
  readonly since: number
  /** Tasks of this owner that the worker has in hand. */
  readonly inHand: number
  /** Tasks of this owner that the worker has ended since then. */
  readonly ended: number
  /** Tasks of this owner that the worker ends in a second. */
  readonly perSecond: number
  /** How long the worker took to answer the greeting. */
  readonly greetingMillis: number
  /** How long ago the worker said something. A worker that is silent for 4 seconds is lost. */
  readonly silentMillis: number
  /** Whether the worker is about to end, and takes no more tasks. */
  readonly isLeaving: boolean
  /** Tags of the tasks that the worker does not take, each with the reason. */
  readonly refuses: ReadonlyArray<readonly [task: string, why: string]>
} | {
  readonly _tag: "Connecting"
  readonly address: string
} | {
  readonly _tag: "Unusable"
  readonly address: string
  readonly why: string
}

/**
 * Service that knows the workers of a cluster. `layerCluster` of `@fanout/core/cluster` provides it.
 *
 * @category services
 * @since 0.1.0
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
 * @since 0.1.0
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
