import { assert, describe, it } from "@effect/vitest"
import type { Element, FanOutOptions, OnCommit } from "@fanout/core/FanOut"
import { Interrupted, reason } from "@fanout/core/Interrupter"
import * as JobStore from "@fanout/core/JobStore"
import { layerSqlite } from "@fanout/core/node"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { asRun, pools, runningJob } from "./fanOutHarness.ts"

const Commit = Task.make("test/Commit", { payload: { n: Schema.Number }, pool: "io" })
class Commits extends RpcGroup.make(Commit) {}
const place = TaskCheckpoint.make(Schema.Number)

const numbers = (count: number) => (after: Option.Option<string>): Stream.Stream<Element<{ readonly n: number }>> =>
  Stream.fromIterable(
    Array.from({ length: count }, (_, n) => ({ _tag: "Item" as const, cursor: String(n), payload: { n } }))
      .slice(Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 }))
  )

/** Runs as many elements as are asked for, and gives what came of them when time has passed. */
const committing = Effect.fnUntraced(function*<E>(
  handler: (n: number) => Effect.Effect<void>,
  options: FanOutOptions & { readonly onCommit: OnCommit<{ readonly n: number }, void, E, never> },
  pauseAfter?: number
) {
  yield* runningJob("commits")
  const running = yield* Effect.forkChild(asRun("commits", (signal) => {
    const pausing = pauseAfter === undefined
      ? Effect.void
      : Effect.delay(Effect.sync(() => signal.requestUnsafe("Pause")), pauseAfter)
    return Effect.andThen(
      Effect.forkChild(pausing),
      TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("all", Commit, numbers(2), options)).pipe(
        Effect.provide(Commits.toLayer({ "test/Commit": ({ n }) => handler(n) }))
      )
    )
  }))
  yield* settle
  return {
    after: (millis: number) =>
      Effect.gen(function*() {
        yield* TestClock.adjust(millis)
        yield* settle
        if (running.pollUnsafe() === undefined) return undefined
        return (yield* Fiber.join(running)).exit
      })
  }
})

const faults = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`FanOut that can't record (${backend})`, () => {
    const fresh = Effect.provide([pools, Layer.fresh(store)])

    it.effect.each(
      [
        ["fails", () => Effect.fail("insert failed")],
        ["dies", () => Effect.die("insert failed")],
        ["throws", () => {
          throw new Error("insert failed")
        }]
      ] as const
    )("ends with why its onCommit %s, and stops who waits for a checkpoint", ([_, onCommit]) =>
      Effect.gen(function*() {
        let told = false
        let why: unknown
        const { after } = yield* committing(
          (n) =>
            n === 0 ? Effect.void : Effect.sleep(100).pipe(
              Effect.andThen(place.commit(n)),
              Effect.tap(() =>
                Effect.sync(() => {
                  told = true
                })
              ),
              Effect.onInterrupt(() =>
                Effect.map(reason, (given) => {
                  why = given
                })
              )
            ),
          { onCommit }
        )

        const exit = yield* after(300)

        assert.include(String(exit), "insert failed")
        assert.isFalse(told)
        assert.deepStrictEqual(why, Option.some("Sibling"))
      }).pipe(fresh))

    it.effect("fails where the last of it is not recorded, also if that was under way when all had ended", () =>
      Effect.gen(function*() {
        const { after } = yield* committing(
          (n) => Effect.sleep(n * 300),
          { onCommit: () => Effect.andThen(Effect.sleep(200), Effect.fail("insert failed")) }
        )

        assert.include(String(yield* after(1000)), "insert failed")
      }).pipe(fresh))

    it.effect("is stopped within the grace and a second also where its onCommit does not end", () =>
      Effect.gen(function*() {
        let told = false
        const { after } = yield* committing(
          (n) =>
            n === 0
              ? Effect.void
              : Effect.sleep(100).pipe(
                Effect.andThen(Effect.uninterruptible(place.commit(n))),
                Effect.andThen(Effect.sync(() => {
                  told = true
                }))
              ),
          { onCommit: () => Effect.never },
          5000
        )
        assert.isUndefined(yield* after(5100))

        const exit = yield* after(1900)

        assert.deepStrictEqual(exit && Exit.findErrorOption(exit), Option.some(new Interrupted({ reason: "Pause" })))
        assert.isFalse(told)
      }).pipe(fresh))
  })

faults("memory", JobStore.layerMemory)
faults("sqlite", layerSqlite({ filename: ":memory:" }))
