// Tasks of the benchmark of clusters, their handlers, and a job that runs many of them.
import * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"

/** Does nothing. */
const Empty = Task.make("bench/Nothing", {
  payload: { n: Schema.Number },
  key: ({ n }) => String(n),
  pool: "cpu"
})

const bytes = new Uint8Array(2 ** 20).fill(7)

/** Hashes 1 MiB. */
const Digest = Task.make("bench/Digest", {
  payload: { n: Schema.Number },
  success: Schema.String,
  key: ({ n }) => String(n),
  pool: "cpu"
})

export class Tasks extends RpcGroup.make(Empty, Digest) {}

export const handlers = Tasks.toLayer({
  "bench/Nothing": () => Effect.void,
  "bench/Digest": () => Effect.sync(() => createHash("sha256").update(bytes).digest("hex"))
})

export const Many = Job.make("bench/Many", {
  payload: Schema.Struct({ count: Schema.Number, task: Schema.Literals(["Nothing", "Digest"]) }),
  error: FanOut.FanOutStopped
})

const numbers = (count: number) => (after: Option.Option<string>) =>
  Stream.range(Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 }), count - 1).pipe(
    Stream.map((n) => ({ _tag: "Item", cursor: String(n), payload: { n } }) as const)
  )

export const program = Many.toLayer(({ count, task }) =>
  Effect.gen(function*() {
    const { fanOut } = yield* TaskDispatcher.TaskDispatcher
    if (task === "Nothing") yield* fanOut("many", Empty, numbers(count))
    else yield* fanOut("many", Digest, numbers(count))
  })
)

export const security = { secret: Redacted.make("a secret of the benchmark, and of nothing else") }
