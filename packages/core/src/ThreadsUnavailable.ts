/**
 * Error for tasks that need a thread when no thread can be started.
 */
import * as Schema from "effect/Schema"

/**
 * Error of a pool in which no thread can be started. The tasks of the pool stay unsettled.
 *
 * @category errors
 */
export class ThreadsUnavailable
  extends Schema.TaggedError<ThreadsUnavailable>("@fanout/core/ThreadsUnavailable")("ThreadsUnavailable", {
    why: Schema.String
  })
{
  override get message(): string {
    return `No thread can be started: ${this.why}`
  }
}
