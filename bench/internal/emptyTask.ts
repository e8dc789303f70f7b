// The task of `threads`, for a thread pool of fanout and for the ones that it is compared with.
import * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"

const Empty = Task.make("bench/Empty", {
  payload: { n: Schema.Number },
  success: Schema.Number,
  pool: "cpu"
})
export class Tasks extends RpcGroup.make(Empty) {}
export const handlers = Tasks.toLayer({ "bench/Empty": ({ n }) => Effect.succeed(n) })
