/**
 * The work for one item: what goes in, what comes out, how it may fail, and how it is done.
 */
import { Interrupter, Task } from "@fanout/core"
import * as Effect from "effect/Effect"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"

/** Why an item can fail. It is stored, and shown to people. */
export class WorkFailed extends Schema.TaggedError<WorkFailed>("example-job/WorkFailed")("WorkFailed", {
  item: Schema.Int,
  why: Schema.String
}) {
  override get message(): string {
    return `item ${this.item}: ${this.why}`
  }
}

/** One item. */
export const Work = Task.make("example-job/Work", {
  payload: { item: Schema.Int },
  success: Schema.Struct({ result: Schema.Int }),
  error: WorkFailed,
  key: ({ item }) => `item ${item}`,
  // What it uses: `io`, `cpu`, `network`, `db`, or a pool of your own.
  pool: "io",
  timeout: "30 seconds",
  retry: Schedule.exponential("100 millis").pipe(Schedule.upTo({ times: 2 }))
})

/** The tasks of this package, for whoever supplies their handlers. */
export class Tasks extends RpcGroup.make(Work) {}

/** How they are done. An item may be worked on more than once: after a crash, or when it is tried again. */
export const Handlers = Tasks.toLayer({
  "example-job/Work": Effect.fnUntraced(function*({ item }) {
    // A safe point: nothing is half done here, so a pause or a shutdown may stop it.
    yield* Interrupter.check
    // Stands for your work.
    yield* Effect.sleep("5 millis")
    if (item % 100 === 0) return yield* new WorkFailed({ item, why: "multiples of 100 fail, to show what happens" })
    return { result: item * item }
  })
})
