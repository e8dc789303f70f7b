import { assert, describe, it } from "@effect/vitest"
import { Interrupted } from "@fanout/core/Interrupter"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Outcome from "@fanout/core/Outcome"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { expectTypeOf } from "vitest"
import { asRun, pools, runningJob } from "./fanOutHarness.ts"
import { outcomesOf } from "./FanOutLaws.ts"

class Late extends Schema.TaggedError<Late>("test/Late")("Late", { since: Schema.Date }) {}

const Deliver = Task.make("test/Deliver", {
  payload: { n: Schema.Number },
  success: Schema.Struct({ at: Schema.Date, size: Schema.BigInt }),
  error: Late
})

const interrupted = new Interrupted({ reason: "Timeout" })

const failedWith = (error: Late | Interrupted, message: string) => ({
  _tag: "Failed",
  failure: { _tag: "Error", error, message }
})

describe("Outcome", () => {
  it.effect("gives back what a task has succeeded or failed with, as it was", () =>
    Effect.gen(function*() {
      yield* runningJob("read")
      const handlers = RpcGroup.make(Deliver).toLayer({
        "test/Deliver": ({ n }) =>
          n === 0
            ? Effect.succeed({ at: new Date(5), size: 2n ** 60n })
            : n === 1
            ? Effect.fail(new Late({ since: new Date(7) }))
            : n === 2
            ? Effect.fail(interrupted)
            : Effect.die("boom")
      })
      yield* asRun("read", () =>
        TaskDispatcher.use(({ fanOut }) =>
          fanOut("all", Deliver, () =>
            Stream.range(0, 3).pipe(
              Stream.map((n) => ({ _tag: "Item", cursor: String(n), payload: { n } }) as const)
            ), { keep: "all", concurrency: 1 })
        ).pipe(Effect.provide(handlers)))
      const outcomes = (yield* outcomesOf("read")).map(([, { outcome }]) => outcome)

      const decoded: ReadonlyArray<unknown> = yield* Effect.forEach(outcomes, (outcome) =>
        Outcome.decode(Deliver, outcome))
      assert.deepStrictEqual(decoded, [
        { _tag: "Done", value: { at: new Date(5), size: 2n ** 60n } },
        failedWith(new Late({ since: new Date(7) }), "Late"),
        failedWith(interrupted, interrupted.message),
        outcomes[3]
      ])
      expectTypeOf(Outcome.decode(Deliver, { _tag: "Done", value: null })).toEqualTypeOf<
        Effect.Effect<Outcome.Of<typeof Deliver>, Schema.SchemaError>
      >()
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("says where what is stored does not fit the task any more", () =>
    Effect.gen(function*() {
      const { message } = yield* Effect.flip(Outcome.decode(Deliver, { _tag: "Done", value: { at: "yesterday" } }))
      assert.match(message, /at \["(at|size)"\]/)
      const failure = { _tag: "Error", error: { _tag: "Early" }, message: "too early" } as const
      assert.isTrue(Schema.isSchemaError(yield* Effect.flip(Outcome.decode(Deliver, { _tag: "Failed", failure }))))
    }))
})

describe("the cause of a failure", () => {
  const of = (error: Schema.Json) => Outcome.cause({ _tag: "Error", error, message: "" })
  it("is the code of an error, or else its tag", () => {
    assert.strictEqual(of({ _tag: "FilesError", code: "EACCES" }), "EACCES")
    assert.strictEqual(of({ _tag: "FilesError", code: 13 }), "FilesError")
    for (const error of [null, "text", 5, [], {}, { code: "" }, { code: "x".repeat(65) }]) {
      assert.strictEqual(of(error), "Error")
    }
  })

  it("is the name of a defect, and the tag of any other failure", () => {
    assert.strictEqual(Outcome.cause({ _tag: "Defect", message: "m", name: "TypeError" }), "TypeError")
    assert.strictEqual(Outcome.cause({ _tag: "Defect", message: "m" }), "Defect")
    assert.strictEqual(Outcome.cause({ _tag: "Timeout", millis: 5 }), "Timeout")
  })
})
