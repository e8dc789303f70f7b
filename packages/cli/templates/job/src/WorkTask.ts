/**
 * The work for one item: its input, its output, its error, and its handler.
 */
import { Interrupter, Task } from "@fanout/core"
import * as Effect from "effect/Effect"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"

/** The error of an item. The store keeps the error, and people read the message. */
export class WorkFailed extends Schema.TaggedError<WorkFailed>("example-job/WorkFailed")("WorkFailed", {
  item: Schema.Int,
  why: Schema.String
}) {
  override get message(): string {
    return `item ${this.item}: ${this.why}`
  }
}

/** The task of one item. */
export const Work = Task.make("example-job/Work", {
  payload: { item: Schema.Int },
  success: Schema.Struct({ result: Schema.Int }),
  error: WorkFailed,
  key: ({ item }) => `item ${item}`,
  // The pool limits how many tasks run at the same time: `io`, `cpu`, `network`, `db`, or a pool of your own.
  pool: "io",
  timeout: "30 seconds",
  retry: Schedule.exponential("100 millis").pipe(Schedule.upTo({ times: 2 }))
})

/** The tasks of this package. */
export class Tasks extends RpcGroup.make(Work) {}

/** The handlers. A handler may run more than once for an item: after a crash, and in a retry. */
export const Handlers = Tasks.toLayer({
  "example-job/Work": Effect.fnUntraced(function*({ item }) {
    // A safe point: nothing is half done at this place. So a pause or a shutdown may stop the task.
    yield* Interrupter.check
    // Stands for your work.
    yield* Effect.sleep("5 millis")
    if (item % 100 === 0) return yield* new WorkFailed({ item, why: "multiples of 100 fail, to show what happens" })
    return { result: item * item }
  })
})
