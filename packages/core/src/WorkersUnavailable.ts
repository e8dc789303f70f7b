/**
 * Error for tasks that no worker of a cluster takes.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

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
