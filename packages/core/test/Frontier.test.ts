import { assert, describe, it } from "@effect/vitest"
import * as Frontier from "@fanout/core/Frontier"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import { JobStore } from "@fanout/core/JobStore"
import type { Element } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import { layer, settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

const Wait = Task.make("test/FrontierWait", { payload: Schema.Number })
const Tasks = RpcGroup.make(Wait).toLayer({ "test/FrontierWait": (minutes) => Effect.sleep(`${minutes} minutes`) })

const item = (cursor: string, minutes: number): Element<number> => ({ _tag: "Item", cursor, payload: minutes })

const elements: ReadonlyArray<Element<number>> = [
  item("a", 0),
  item("b", 60),
  { _tag: "Item", cursor: "c/", payload: 0, opens: true },
  item("c/d", 30),
  { _tag: "After", cursor: "c/.", payload: 0 },
  { _tag: "Settled", cursor: "e", key: "e", outcome: { _tag: "Skipped", reason: "no", count: 1 } }
]

const job = Job.make("test/Frontier", {})
const runtime = layer({ jobs: [job] }).pipe(
  Layer.provide(Layer.provide(
    job.toLayer(() =>
      TaskDispatcher.use(({ fanOut }) => fanOut("all", Wait, () => Stream.fromIterable(elements))).pipe(
        Effect.asVoid,
        Effect.orDie
      )
    ),
    Tasks
  ))
)

describe("Frontier", () => {
  it.effect("tells what was taken last, and what is not settled, ends of brackets included", () =>
    Effect.gen(function*() {
      const manager = yield* JobManager.JobManager
      const store = yield* JobStore
      const { id } = yield* manager.start(job, undefined)
      const frontier = Effect.gen(function*() {
        yield* settle
        yield* TestClock.adjust("1 minute")
        return Option.flatMap(yield* store.checkpoint(id, "all"), Frontier.fromCheckpoint)
      })

      const first = Option.getOrThrow(yield* frontier)
      assert.deepStrictEqual(first.last, Option.some("e"))
      assert.deepStrictEqual(first.unsettled.toSorted(), ["b", "c/.", "c/d"])

      yield* TestClock.adjust("30 minutes")
      assert.deepStrictEqual(Option.getOrThrow(yield* frontier).unsettled, ["b"])

      yield* TestClock.adjust("30 minutes")
      assert.deepStrictEqual(yield* frontier, Option.some({ last: Option.some("e"), unsettled: [] }))
    }).pipe(Effect.provide(runtime)))

  it("reads nothing else", () => {
    for (const text of ["", "{}", "[]", "{\"main\":{\"frontier\":1},\"entries\":[],\"brackets\":[]}"]) {
      assert.deepStrictEqual(Frontier.fromCheckpoint(text), Option.none())
    }
  })
})
