// A hundred thousand numbers, five hundred to a task; those that fail have rows of their own all the same. Run by
// `npx node --conditions=@fanout/source scratchpad/many-at-once.ts`.
import type * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import { layerOwnerLiveness, layerSqlite } from "@fanout/core/node"
import * as Outcome from "@fanout/core/Outcome"
import * as Pools from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import type { Element } from "@fanout/core/Source"
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
  /** Which of them are no good. The task itself never fails. */
  success: Schema.Struct({ bad: Schema.Array(Schema.Number) }),
  key: ({ from, to }) => from === to ? `number ${from}` : `numbers ${from} to ${to}`,
  pool: "cpu"
})
class Tasks extends RpcGroup.make(Inspect) {}

/** Until they are mended, multiples of 9,999 are no good. */
let isMended = false
const handlers = Tasks.toLayer({
  "scratchpad/Inspect": ({ from, to }) =>
    Effect.sync(() => {
      const numbers = Array.from({ length: to - from + 1 }, (_, i) => from + i)
      return { bad: numbers.filter((n) => !isMended && n % 9_999 === 0) }
    })
})

type Range = Task.Payload<typeof Inspect>

/** The good ones are one ending, each of the others has its own, and is what a retry inspects. */
const parts: FanOut.Parts<Range, Task.Success<typeof Inspect>> = ({ payload: { from, to } }, inspected) => {
  const alone = (n: number) => ({ cursor: String(n), payload: { from: n, to: n } })
  // The task died: one of them did that, and the others should not fail with it.
  if (Option.isNone(inspected)) {
    return from === to
      ? undefined
      : Array.from({ length: to - from + 1 }, (_, i) => ({ _tag: "Item", ...alone(from + i) }))
  }
  const { bad } = inspected.value
  const good = to - from + 1 - bad.length
  const failed = bad.map((n): Element<Range> => {
    const { cursor, payload } = alone(n)
    const failure = { _tag: "Error", error: null, message: `${n} is no good` } as const
    return { _tag: "Settled", cursor, key: `number ${n}`, outcome: { _tag: "Failed", failure }, retry: { payload } }
  })
  const done = { _tag: "Done", value: { _tag: "Good" }, count: good } as const
  return good === 0 ? failed : [{ _tag: "Settled", cursor: `up to ${to}`, key: "", outcome: done }, ...failed]
}

const Inspection = Job.make("scratchpad/Inspection", { success: Progress.Tally })
const program = Inspection.toLayer(Effect.fnUntraced(function*() {
  const { fanOut } = yield* TaskDispatcher
  const ranges = (after: Option.Option<string>) => {
    const first = Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) / together })
    return Stream.map(Stream.range(first, count / together - 1), (i): Element<Range> => ({
      _tag: "Item",
      cursor: String((i + 1) * together),
      payload: { from: i * together + 1, to: (i + 1) * together }
    }))
  }
  return yield* fanOut("numbers", Inspect, ranges, { parts })
}, Effect.orDie)).pipe(Layer.provide(handlers))

const runtime = JobManager.layer({ jobs: [Inspection] }).pipe(
  Layer.provide([program, Pools.layer()]),
  Layer.provide([layerSqlite({ filename: ":memory:" }), layerOwnerLiveness])
)

const work = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const handle = yield* manager.start(Inspection, undefined)
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
