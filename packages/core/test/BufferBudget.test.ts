import { assert, describe, it } from "@effect/vitest"
import * as Pools from "@fanout/core/Pools"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"

/** A part of a file, as large as the buffer that its task holds. */
const Part = Task.make("test/Part", {
  payload: { mebibytes: Schema.Finite },
  pool: "buffers",
  weight: ({ mebibytes }) => mebibytes
})

describe("a pool whose permits are mebibytes", () => {
  it.effect("bounds the buffers that the tasks of all jobs of a process hold, and gets all of them done", () =>
    Effect.gen(function*() {
      let [held, most, atOnce, tasks, done] = [0, 0, 0, 0, 0]
      const handler = RpcGroup.make(Part).toLayer({
        "test/Part": ({ mebibytes }) =>
          Effect.acquireUseRelease(
            Effect.sync(() => {
              held += mebibytes
              if (mebibytes <= 64) most = Math.max(most, held)
              else assert.strictEqual(held, mebibytes)
              atOnce = Math.max(atOnce, ++tasks)
            }),
            () => Effect.sleep(10),
            () =>
              Effect.sync(() => {
                held -= mebibytes
                tasks--
                done++
              })
          )
      })
      const job = TaskDispatcher.TaskDispatcher.use(({ run }) =>
        Effect.forEach(
          // Small files, parts of large ones, and one part that is larger than the whole budget.
          Array.from({ length: 200 }, (_, n) => n === 77 ? 100 : n % 3 === 0 ? 16 : 0.25),
          (mebibytes) => run(Part, { mebibytes }),
          { concurrency: "unbounded", discard: true }
        )
      ).pipe(Effect.provide(Layer.fresh(TaskDispatcher.layer)), Effect.provide(handler))
      yield* Effect.gen(function*() {
        const both = yield* Effect.forkChild(Effect.all([job, job], { concurrency: 2, discard: true }))
        yield* settle
        for (let step = 0; step < 100; step++) yield* Effect.andThen(TestClock.adjust(10), settle)
        yield* Fiber.join(both)
      }).pipe(Effect.provide(Pools.layer({ buffers: 64 })))

      assert.deepStrictEqual([held, done], [0, 400])
      assert.isAtMost(most, 64)
      assert.isAbove(most, 48)
      assert.isAbove(atOnce, 4)
    }))
})
