import { assert, describe, it } from "@effect/vitest"
import * as Pools from "@fanout/core/Pools"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Worker from "../src/internal/cluster/workerLayer.ts"
import { drive, ownerOf, Tasks, Work, World } from "./ClusterWorld.ts"

/** Starts a worker that can't run payloads of some numbers. */
const startPicky = (world: World, name: string, refuses: (n: number) => boolean) => {
  const handlers = Layer.merge(world.handlers(name), Pools.layer({ io: 2 }))
  const refuse = ({ n }: { readonly n: number }) =>
    Effect.succeed(refuses(n) ? Option.some(`${n} is not here`) : Option.none())
  return world.startWith(name, Layer.provide(Worker.layer(Tasks, { refuse }), handlers))
}

const run = (n: number, steps: number) => TaskDispatcher.TaskDispatcher.use((_) => _.run(Work, { n, steps }))

describe("Refusals of workers", () => {
  it.effect("end the task that each worker has refused, and no other task of its kind", () =>
    Effect.gen(function*() {
      const world = new World()
      for (const name of ["one", "two"]) yield* startPicky(world, name, (n) => n < 5)
      const { bad, good } = yield* Effect.all({
        bad: Effect.forEach([0, 1], (n) => Effect.exit(run(n, 1)), { concurrency: "unbounded" }),
        good: Effect.forEach([10, 11, 12, 14, 15], (n) => Effect.exit(run(n, 1700)), {
          concurrency: "unbounded"
        })
      }, { concurrency: 2 }).pipe(
        Effect.provide(TaskDispatcher.layer.pipe(Layer.provideMerge(Layer.merge(ownerOf(world), Pools.layer())))),
        (job) => drive(job)
      )

      assert.deepStrictEqual(good.filter(Exit.isFailure), [])
      const texts = bad.map((exit) => Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")
      for (const [n, text] of texts.entries()) {
        assert.match(text, new RegExp(`one can't run it: ${n} is not here.*two can't run it: ${n} is not here`))
      }
    }))

  it.effect("by one worker for one task keep no other task from it", () =>
    Effect.gen(function*() {
      const world = new World()
      yield* startPicky(world, "one", (n) => n === 5)
      const millis = yield* Effect.gen(function*() {
        yield* run(1, 1)
        yield* Effect.forkChild(Effect.exit(run(5, 1)))
        yield* Effect.sleep(100)
        const [took] = yield* Effect.timed(run(2, 1))
        return Duration.toMillis(took)
      }).pipe(
        Effect.provide(TaskDispatcher.layer.pipe(Layer.provideMerge(Layer.merge(ownerOf(world), Pools.layer())))),
        (job) => drive(job)
      )

      assert.isBelow(millis, 1000)
      assert.deepStrictEqual(world.marks.map(({ n }) => n), [1, 2])
    }))
})
