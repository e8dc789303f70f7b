// A task inspects 500 of 100,000 numbers. Each bad number still has a row of its own. Run by
// `npx node --conditions=@fanout/source scratchpad/many-at-once.ts`.
import type * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import * as Fanout from "@fanout/core/node"
import * as Outcome from "@fanout/core/Outcome"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

const count = 100_000
const together = 500

const Inspect = Task.make("scratchpad/Inspect", {
  payload: { from: Schema.Number, to: Schema.Number },
  /** The bad numbers. The task itself never fails. */
  success: Schema.Struct({ bad: Schema.Array(Schema.Number) }),
  key: ({ from, to }) => from === to ? `number ${from}` : `numbers ${from} to ${to}`,
  pool: "cpu"
})
class Tasks extends RpcGroup.make(Inspect) {}

/** Multiples of 9,999 are bad until somebody mends them. */
let isMended = false
const handlers = Tasks.toLayer({
  "scratchpad/Inspect": ({ from, to }) =>
    Effect.sync(() => {
      const numbers = Array.from({ length: to - from + 1 }, (_, i) => from + i)
      return { bad: numbers.filter((n) => !isMended && n % 9_999 === 0) }
    })
})

/** All good numbers are one part. Each bad number is a part of its own, and a retry inspects the bad numbers alone. */
const parts: FanOut.Parts<Task.Payload<typeof Inspect>, Task.Success<typeof Inspect>> = (
  { payload: { from, to } },
  inspected
) => {
  const alone = (n: number) => ({ from: n, to: n })
  // The task has died because of one number. The other numbers should not fail with this number.
  if (Option.isNone(inspected)) {
    return from === to
      ? undefined
      : Array.from({ length: to - from + 1 }, (_, i) => Source.item(`number ${from + i}`, alone(from + i)))
  }
  const { bad } = inspected.value
  const count = to - from + 1 - bad.length
  const failed = bad.map((n) =>
    Source.settled(`number ${n}`, {
      key: `number ${n}`,
      outcome: { _tag: "Failed", failure: { _tag: "Error", error: null, message: `${n} is no good` } },
      retry: { payload: alone(n) }
    })
  )
  const done = { _tag: "Done", value: { _tag: "Good" }, count } as const
  return count === 0 ? failed : [Source.settled(`up to ${to}`, { key: "", outcome: done }), ...failed]
}

const ranges = Source.map(Source.range(0, count / together - 1), (i) => ({
  from: i * together + 1,
  to: (i + 1) * together
}))

const Inspection = Job.make("scratchpad/Inspection", { success: Progress.Tally })
const program = Inspection.toLayer(() =>
  Effect.orDie(TaskDispatcher.use(({ fanOut }) => fanOut("numbers", Inspect, ranges, { parts })))
).pipe(Layer.provide(handlers))

const runtime = Layer.provide(Fanout.layer({ filename: ":memory:", jobs: [Inspection] }), program)

const work = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const handle = yield* Inspection.start()
  const first = yield* handle.await
  console.log(`${first.tags["Good"]} good, ${first.failed} failed`)
  const rows = yield* Stream.runCollect(manager.outcomes(handle.id))
  const [row] = rows
  const why = row?.outcome._tag === "Failed" ? Outcome.message(row.outcome.failure) : "nothing"
  console.log(`${rows.length} rows, one says: ${why}`)
  isMended = true
  yield* manager.retry(handle.id)
  const again = yield* handle.await
  console.log(`${again.tags["Good"]} good, ${again.failed} failed`)
})

await Effect.runPromise(Effect.provide(work, runtime))
