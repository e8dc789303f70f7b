import { assert, describe, it } from "@effect/vitest"
import type { FanOutOptions } from "@fanout/core/FanOut"
import * as JobId from "@fanout/core/JobId"
import * as JobStore from "@fanout/core/JobStore"
import { JobStoreError, StorageFailure } from "@fanout/core/JobStoreError"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import { layerSqlite } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import type { Element } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { asRun, runningJob } from "./fanOutHarness.ts"
import * as Laws from "./FanOutLaws.ts"

/** What is promised for the default concurrency and payloads of a few bytes. */
const promisedBytes = 4096

/** As many permits as a fan-out runs tasks at once, so that the schedule alone says when an element ends. */
const pools = Pools.layer({ io: 64 })

const Visit = Task.make("test/Visit", { payload: { n: Schema.Number }, error: Schema.String, pool: "io" })
class Tasks extends RpcGroup.make(Visit) {}

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** How long the elements of a fan-out take, in turn; which of them fail; how they are chunked. */
const Schedule = Schema.Struct({
  count: int(100, 500),
  millis: Schema.Array(int(0, 400)).check(Schema.isMinLength(1), Schema.isMaxLength(12)),
  failEvery: int(1, 50),
  chunk: int(1, 300)
})
type Schedule = typeof Schedule.Type

const millisOf = ({ millis }: Schedule, n: number) => millis[n % millis.length] ?? 0

/** A source of numbers that tells how many it has given. */
const numbers =
  ({ chunk, count }: Schedule, onGiven: (n: number) => void = () => {}) => (after: Option.Option<string>) => {
    const first = Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 })
    return Stream.fromIterable(Array.from({ length: count - first }, (_, i) => first + i)).pipe(
      Stream.rechunk(chunk),
      Stream.map((n): Element<{ readonly n: number }> => {
        onGiven(n)
        return { _tag: "Item", cursor: String(n), payload: { n } }
      })
    )
  }

/** Runs a fan-out under the test's clock until it has ended, and gives its exit. */
const runFanOut = Effect.fnUntraced(function*(
  id: string,
  schedule: Schedule,
  options: FanOutOptions & {
    readonly store: JobStore.JobStore["Service"]
    readonly visit: (n: number) => Effect.Effect<void, string>
    readonly onGiven?: (n: number) => void
  }
) {
  const { onGiven, store, visit, ...limits } = options
  const fiber = yield* Effect.forkChild(asRun(
    id,
    () =>
      TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("all", Visit, numbers(schedule, onGiven), limits)).pipe(
        Effect.provide(Tasks.toLayer({ "test/Visit": ({ n }) => visit(n) }))
      ),
    { store }
  ))
  yield* settle
  for (let i = 0; i < 1000 && fiber.pollUnsafe() === undefined; i++) yield* TestClock.adjust("1 second")
  if (fiber.pollUnsafe() === undefined) return yield* Effect.die(new Error("the fan-out hangs"))
  return (yield* Fiber.join(fiber)).exit
})

/** A store that notes the size of every checkpoint it is given, and from some write on accepts none. */
const measuring = (store: JobStore.JobStore["Service"], sizes: Array<number>, writes = Number.POSITIVE_INFINITY) => {
  let left = writes
  const flush: typeof store.flush = (id, flush, onCommit) => {
    sizes.push(new TextEncoder().encode(flush.checkpoint).length)
    const cause = new StorageFailure({ operation: "write", problem: "Other", cause: "crashed" })
    return left-- <= 0 ? Effect.fail(new JobStoreError({ reason: cause })) : store.flush(id, flush, onCommit)
  }
  return { ...store, flush }
}

/** A program that does the same again and again, its brackets closed each time, and how deep they are nested. */
const repeated = (steps: ReadonlyArray<Laws.Step>, times: number) => {
  let depth = 0
  let deepest = 0
  for (const step of steps) {
    if (step.startsWith("open")) deepest = Math.max(deepest, ++depth)
    else if (step === "close") depth = Math.max(0, depth - 1)
  }
  const round = [...steps, ...Array.from({ length: depth }, (): Laws.Step => "close")]
  return { steps: Array.from({ length: times }, () => round).flat(), deepest }
}

let jobs = 0
const checkpointSize = <E>(backend: string, layer: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`the size of a checkpoint (${backend})`, () => {
    it.effect.prop(
      "stays below 4 KiB at default settings, for any schedule and through crashes",
      { schedule: Schedule, crashes: Schema.Array(int(0, 5)).check(Schema.isMaxLength(2)) },
      ({ crashes, schedule }) =>
        Effect.gen(function*() {
          const id = `job-${jobs++}`
          yield* runningJob(id)
          const store = yield* JobStore.JobStore
          const sizes: Array<number> = []
          const visit = (n: number) =>
            Effect.sleep(millisOf(schedule, n)).pipe(
              Effect.andThen(n % schedule.failEvery === 0 ? Effect.fail("no") : Effect.void)
            )

          for (const writes of crashes) {
            yield* runFanOut(id, schedule, { store: measuring(store, sizes, writes), visit })
          }
          const exit = yield* runFanOut(id, schedule, { store: measuring(store, sizes), visit })

          const failed = Math.ceil(schedule.count / schedule.failEvery)
          assert.isTrue(Exit.isSuccess(exit), String(exit))
          if (Exit.isSuccess(exit)) {
            assert.deepStrictEqual([exit.value.done, exit.value.failed], [schedule.count - failed, failed])
          }
          assert.isBelow(Math.max(...sizes), promisedBytes)
        }).pipe(Effect.provide([pools, layer])),
      { arbitrary: { runs: runs(20) } }
    )

    it.effect.prop(
      "does not grow with one element that takes as long as all others, nor do the others wait for it",
      { schedule: Schedule, concurrency: int(2, 64), slow: int(0, 99) },
      ({ concurrency, schedule, slow }) =>
        Effect.gen(function*() {
          const id = `job-${jobs++}`
          yield* runningJob(id)
          const store = yield* JobStore.JobStore
          const sizes: Array<number> = []
          const millis = Array.from({ length: schedule.count }, (_, n) => n === slow ? 0 : 1 + millisOf(schedule, n))
          const sum = millis.reduce((a, b) => a + b, 0)
          const start = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
          let othersEnd = start
          let recorded: number | undefined
          const visit = Effect.fnUntraced(function*(n: number) {
            yield* Effect.sleep(n === slow ? sum + 1000 : millis[n] ?? 0)
            if (n === slow) {
              const { progress } = yield* Effect.orDie(store.pulse(JobId.make(id)))
              recorded = progress.tally.done
            } else othersEnd = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
          })

          yield* runFanOut(id, schedule, { store: measuring(store, sizes), visit, concurrency })

          // What a list schedule on one lane less takes at most.
          const longest = Math.max(...millis)
          assert.isAtMost(othersEnd - start, sum / (concurrency - 1) + longest, "the others wait for the slow one")
          assert.strictEqual(recorded, schedule.count - 1, "the others are recorded before the slow one ends")
          assert.isBelow(Math.max(...sizes), 250 + 60 * concurrency)
        }).pipe(Effect.provide([pools, layer])),
      { arbitrary: { runs: runs(20) } }
    )

    it.effect.prop(
      "depends on the concurrency and the depth of brackets, for any program through any crashes",
      { program: Laws.Program, round: Schema.Array(Laws.Step).check(Schema.isMaxLength(8)), times: int(1, 20) },
      ({ program, round, times }) =>
        Effect.gen(function*() {
          const trace = new Laws.Trace()
          const { deepest, steps } = repeated(round, times)

          yield* Laws.runThroughCrashes(`job-${jobs++}`, { ...program, steps }, trace)

          // A way from the root to each element that is under way or waits, and to where the source is.
          const ways = 2 * program.concurrency + 1
          // A group that has a bracket is one deeper, and both of what waits in it are there at once.
          const own = steps.some((step) => step.startsWith("groupOpen")) ? 2 : 0
          assert.isAtMost(trace.checkpointBytes, 300 + 120 * ways * (1 + deepest + own))
        }).pipe(Effect.provide(layer)),
      { arbitrary: { runs: runs(60), size: 60 } }
    )

    it.effect.prop(
      "is all that a fan-out holds, with the window and what it has ready, however long a write takes",
      { schedule: Schedule, concurrency: int(1, 64), flushEvery: int(1, 200), stuck: int(0, 5) },
      ({ concurrency, flushEvery, schedule, stuck }) =>
        Effect.gen(function*() {
          const id = `job-${jobs++}`
          yield* runningJob(id)
          const store = yield* JobStore.JobStore
          const answers = Latch.makeUnsafe(false)
          let writes = 0
          let recorded = 0
          let taken = 0
          let given = 0
          let most = { taken: 0, given: 0 }
          const see = () => {
            most = { taken: Math.max(most.taken, taken - recorded), given: Math.max(most.given, given - taken) }
          }
          const flush: typeof store.flush = (id, flush, onCommit) =>
            Effect.andThen(
              writes++ === stuck ? Effect.delay(answers.open, "1 minute") : Effect.void,
              Effect.tap(store.flush(id, flush, onCommit), () =>
                Effect.sync(() => {
                  const { done, failed } = flush.progress.tally
                  recorded = done + failed
                }))
            )

          yield* runFanOut(id, schedule, {
            store: { ...store, flush },
            visit: (n) => {
              taken++
              see()
              return Effect.sleep(millisOf(schedule, n))
            },
            onGiven: () => {
              given++
              see()
            },
            concurrency,
            flushEvery
          })

          assert.strictEqual(recorded, schedule.count)
          assert.isAtMost(most.taken, concurrency + flushEvery, "taken and not recorded")
          // One chunk that is being made, beside those that wait to be taken.
          assert.isAtMost(most.given, 2 * schedule.chunk + concurrency, "given and not taken")
        }).pipe(Effect.provide([pools, layer])),
      { arbitrary: { runs: runs(20) } }
    )
  })

checkpointSize("memory", MemoryJobStore.layer)
checkpointSize("SQLite", layerSqlite({ filename: ":memory:" }))
