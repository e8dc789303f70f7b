// Tasks without a job. The store is missing, but pools, priorities, pauses and cancels work as in a job. Run by
// `npx node --conditions=@fanout/source scratchpad/dispatcher-alone.ts`.
import * as Interrupter from "@fanout/core/Interrupter"
import * as Pools from "@fanout/core/Pools"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"

class Unlucky extends Schema.TaggedError<Unlucky>("scratchpad/Unlucky")("Unlucky", { n: Schema.Number }) {}

const Roll = Task.make("scratchpad/Roll", {
  payload: Schema.Number,
  success: Schema.String,
  error: Unlucky,
  pool: "dice",
  retry: Schedule.spaced("10 millis").pipe(Schedule.upTo({ times: 3 }))
})
class Tasks extends RpcGroup.make(Roll) {}

let rolls = 0
const handlers = Tasks.toLayer({
  "scratchpad/Roll": Effect.fnUntraced(function*(n) {
    rolls++
    if (n === 0) {
      // Never ends by itself, but obeys a stop.
      yield* Effect.forever(Effect.andThen(Effect.sleep("10 millis"), Interrupter.check))
    }
    yield* Effect.sleep("20 millis")
    if (n % 5 === 0) return yield* new Unlucky({ n })
    return `${n} is fine`
  })
})

const main = Effect.gen(function*() {
  const { dispatch, dispatchMany, run, runEffect } = yield* TaskDispatcher.TaskDispatcher

  console.log(yield* run(Roll, 1))
  console.log(yield* Effect.flip(run(Roll, 5)))
  console.log(yield* runEffect(Effect.succeed("a plain effect is a task too"), { pool: "dice" }))

  // The pool has two permits, so two tasks run at a time. The handles are in the order of the payloads.
  const handles = yield* dispatchMany(Roll, [2, 3, 5, 7], { priority: "low" })
  const ends = yield* Effect.forEach(handles, (handle) => handle.await)
  console.log(ends.map(({ _tag }) => _tag).join(", "))

  const endless = yield* dispatch(Roll, 0)
  yield* Effect.sleep("50 millis")
  yield* endless.pause
  yield* endless.resume
  yield* Effect.sleep("50 millis")
  yield* endless.cancel
  console.log(`the endless one: ${(yield* endless.await)._tag}`)
  console.log(`${rolls} attempts`)
})

const runtime = Layer.mergeAll(handlers, TaskDispatcher.layer.pipe(Layer.provide(Pools.layer({ dice: 2 }))))

await Effect.runPromise(Effect.provide(main, runtime))
