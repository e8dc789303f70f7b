import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import * as JobStore from "@fanout/core/JobStore"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Progress from "@fanout/core/Progress"
import type { Element } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { asRun, pools, runningJob } from "./fanOutHarness.ts"
import * as Laws from "./FanOutLaws.ts"
import { onStores } from "./stores.ts"

class Bad extends Schema.TaggedError<Bad>("Bad")("Bad", { n: Schema.Number }) {}
const Visit = Task.make("test/Visit", {
  payload: { n: Schema.Number },
  success: Schema.TaggedStruct("Seen", { n: Schema.Number }),
  error: Bad,
  key: ({ n }) => String(n),
  pool: "io",
  timeout: "1 minute"
})
class Tasks extends RpcGroup.make(Visit) {}

const Twice = Task.make("test/Twice", {
  payload: { n: Schema.Number },
  error: Bad,
  retry: Schedule.recurs(1),
  pool: "io"
})

const numbers = (count: number) => (after: Option.Option<string>): Stream.Stream<Element<{ readonly n: number }>> => {
  const start = Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 })
  return start >= count ? Stream.empty : Stream.range(start, count - 1).pipe(
    Stream.map((n) => ({ _tag: "Item" as const, cursor: String(n), payload: { n } }))
  )
}

describe("FanOut", () => {
  it.effect("runs every element once and counts what it came to", () =>
    Effect.gen(function*() {
      const ran: Array<number> = []
      yield* runningJob("a")
      const { exit } = yield* asRun("a", () =>
        TaskDispatcher.TaskDispatcher.use((_) =>
          _.fanOut("all", Visit, numbers(1000))
        ).pipe(
          Effect.provide(Tasks.toLayer({
            "test/Visit": Effect.fnUntraced(function*({ n }) {
              ran.push(n)
              if (n % 100 === 7) return yield* new Bad({ n })
              if (n % 100 === 8) return yield* Task.skip("eight")
              if (n % 100 === 9) return yield* Effect.die(new Error("nine"))
              if (n % 3 === 0) yield* Effect.yieldNow
              return { _tag: "Seen", n } as const
            })
          }))
        ))
      assert.isTrue(Exit.isSuccess(exit), String(exit))
      if (Exit.isSuccess(exit)) {
        assert.deepStrictEqual({ ...exit.value }, {
          done: 970,
          failed: 20,
          skipped: 10,
          tags: { Seen: 970 },
          units: {},
          causes: { Bad: 10, Error: 10 },
          reasons: { eight: 10 }
        })
      }
      assert.deepStrictEqual(ran.toSorted((a, b) => a - b), Array.from({ length: 1000 }, (_, n) => n))
      const store = yield* JobStore.JobStore
      const rows = yield* store.outcomes(JobId.make("a"), { after: 0, limit: 100 })
      assert.strictEqual(rows.length, 30)
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))
})

const Nothing = Task.make("test/Nothing", { error: Bad, key: () => "nothing", pool: "io" })
class Nothings extends RpcGroup.make(Nothing) {}

describe("a bracket that a retry has opened", () => {
  it.effect("has no row of what was skipped in it any more, also where its end has a row of its own", () =>
    Effect.gen(function*() {
      const trace = new Laws.Trace()
      const program = { concurrency: 2, flushEvery: 7, heals: false, stops: [] }
      const steps: ReadonlyArray<Laws.Step> = ["openFailsLate", "skips", "skips", "dies", "open"]
      for (const [i, isWell] of [false, false, true].entries()) {
        trace.nextAttempt()
        const attempt = { ...program, steps: isWell ? Laws.healed(steps) : steps }
        const tally = yield* Laws.runThroughCrashes("opened", attempt, trace, { attempt: i + 1, isWell })
        assert.include(tally, Laws.expected(attempt.steps))
      }
    }).pipe(Effect.provide(MemoryJobStore.layer)))
})

const Exact = Task.make("test/Exact", {
  payload: { n: Schema.BigInt },
  success: Schema.Int,
  error: Schema.Struct({ code: Schema.Int }),
  pool: "io"
})

const exactly = (handler: (n: bigint) => Effect.Effect<number, { readonly code: number }>) =>
  asRun("exact", () =>
    TaskDispatcher.TaskDispatcher.use((_) =>
      _.fanOut(
        "exact",
        Exact,
        (after) =>
          Stream.map(
            numbers(4)(after),
            ({ cursor }) => ({ _tag: "Item" as const, cursor, payload: { n: BigInt(cursor) } })
          ),
        { keep: "all" }
      )
    ).pipe(Effect.provide(RpcGroup.make(Exact).toLayer({ "test/Exact": ({ n }) => handler(n) }))))

describe("FanOut whose schemas say more than types", () => {
  it.effect("fails by itself what comes to something that its schema does not take", () =>
    Effect.gen(function*() {
      yield* runningJob("exact")
      yield* exactly((n) => n === 1n ? Effect.succeed(0.5) : n === 2n ? Effect.fail({ code: 0.5 }) : Effect.succeed(1))
      const rows = yield* Laws.outcomesOf("exact")
      const message = (what: string, path: string) =>
        `its ${what} does not match its schema: Expected an integer${path}`
      assert.deepStrictEqual(rows.map(([, { key, outcome }]) => [key, outcome]), [
        [`{"n":"0"}`, { _tag: "Done", value: 1 }],
        [`{"n":"1"}`, { _tag: "Failed", failure: { _tag: "Defect", message: message("success", "") } }],
        [`{"n":"2"}`, { _tag: "Failed", failure: { _tag: "Defect", message: message("error", `\n  at ["code"]`) } }],
        [`{"n":"3"}`, { _tag: "Done", value: 1 }]
      ])
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))
})

describe("FanOut that its program opens again", () => {
  const handlers = (ran: Array<number>) =>
    Tasks.toLayer({
      "test/Visit": ({ n }) =>
        Effect.sync(() => ran.push(n)).pipe(Effect.andThen(Effect.sleep(20)), Effect.as({ _tag: "Seen", n } as const))
    })

  it.effect("goes on where its source has failed", () =>
    Effect.gen(function*() {
      yield* runningJob("flaky")
      const ran: Array<number> = []
      let opened = 0
      const flaky = (after: Option.Option<string>) =>
        opened++ > 0 ? numbers(9)(after) : Stream.concat(numbers(3)(after), Stream.fail("the source is away"))
      const running = yield* Effect.forkChild(
        asRun("flaky", () =>
          TaskDispatcher.TaskDispatcher.use((_) =>
            Effect.retry(_.fanOut("all", Visit, flaky), { times: 1 })
          ).pipe(
            Effect.provide(handlers(ran))
          ))
      )
      yield* settle
      yield* TestClock.adjust("1 second")
      const { exit } = yield* Fiber.join(running)
      assert.deepStrictEqual(Exit.isSuccess(exit) ? exit.value.done : exit, 9)
      assert.deepStrictEqual(ran, [0, 1, 2, 3, 4, 5, 6, 7, 8])
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("does nothing again that had ended when whoever waited for it was interrupted", () =>
    Effect.gen(function*() {
      yield* runningJob("late")
      const ran: Array<number> = []
      const running = yield* Effect.forkChild(
        asRun("late", () =>
          TaskDispatcher.TaskDispatcher.use(({ fanOut }) => {
            const all = fanOut("all", Visit, numbers(40), { concurrency: 4 })
            return Effect.andThen(Effect.timeoutOption(all, 50), all)
          }).pipe(Effect.provide(handlers(ran))))
      )
      yield* settle
      yield* TestClock.adjust("1 second")
      const { exit } = yield* Fiber.join(running)
      assert.deepStrictEqual(Exit.isSuccess(exit) ? exit.value.done : exit, 40)
      // Two rounds of four had ended, and the third one was under way.
      assert.strictEqual(ran.length, 44)
      assert.deepStrictEqual(ran.slice(12, 16), [8, 9, 10, 11])
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))
})

describe("FanOut at its edges", () => {
  it.effect("retries an element whose payload is nothing", () =>
    Effect.gen(function*() {
      yield* runningJob("void")
      let isWell = false
      const run = (attempt: number) =>
        asRun("void", () =>
          TaskDispatcher.TaskDispatcher.use((_) =>
            _.fanOut("one", Nothing, (after) =>
              Option.isSome(after)
                ? Stream.empty
                : Stream.make({ _tag: "Item" as const, cursor: "1", payload: undefined }))
          ).pipe(
            Effect.provide(
              Nothings.toLayer({
                "test/Nothing": () =>
                  isWell ? Effect.void : Effect.fail(new Bad({ n: 1 }))
              })
            )
          ), { attempt })
      yield* run(1)
      isWell = true
      const { exit } = yield* run(2)
      assert.deepStrictEqual(Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed] : exit, [1, 0])
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("has as many elements ready as may run, and takes no more from its source, however few come at once", () =>
    Effect.gen(function*() {
      yield* runningJob("ahead")
      let given = 0
      const gate = Latch.makeUnsafe(false)
      const running = yield* Effect.forkChild(
        asRun("ahead", () =>
          TaskDispatcher.TaskDispatcher.use((_) =>
            _.fanOut(
              "slow",
              Visit,
              (after) =>
                numbers(100)(after).pipe(
                  Stream.rechunk(2),
                  Stream.tap(() =>
                    Effect.sync(() => {
                      given++
                    })
                  )
                ),
              { concurrency: 8 }
            )
          ).pipe(
            Effect.provide(Tasks.toLayer({ "test/Visit": ({ n }) => Effect.as(gate.await, { _tag: "Seen", n }) }))
          ))
      )
      yield* settle
      // 8 run. Of 8 that wait one more pull is made.
      assert.isAtLeast(given, 8 + 8)
      assert.isAtMost(given, 8 + 8 + 2 + 2)
      yield* gate.open
      const { exit } = yield* Fiber.join(running)
      assert.strictEqual(Exit.isSuccess(exit) && exit.value.done, 100)
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("keeps the payload of what may be retried, and of nothing else", () =>
    Effect.gen(function*() {
      yield* runningJob("kept")
      yield* asRun("kept", () =>
        TaskDispatcher.TaskDispatcher.use((_) =>
          _.fanOut("some", Visit, numbers(2), { keep: "all" })
        ).pipe(
          Effect.provide(Tasks.toLayer({
            "test/Visit": ({ n }) =>
              n === 0 ? Effect.succeed({ _tag: "Seen", n } as const) : Effect.fail(new Bad({ n }))
          }))
        ))
      const store = yield* JobStore.JobStore
      const rows = yield* store.outcomes(JobId.JobId.make("kept"), { after: 0, limit: 10 })
      assert.deepStrictEqual(
        Object.fromEntries(rows.map(([, { outcome, payload }]) => [outcome._tag, payload])),
        { Done: null, Failed: { n: 1 } }
      )
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("runs what a source gave before it failed", () =>
    Effect.gen(function*() {
      yield* runningJob("fails")
      const ran: Array<number> = []
      const { exit } = yield* asRun("fails", () =>
        TaskDispatcher.TaskDispatcher.use((_) =>
          _.fanOut("some", Visit, (after) =>
            Stream.concat(numbers(10)(after), Stream.fail("the source broke")))
        ).pipe(
          Effect.provide(
            Tasks.toLayer({
              "test/Visit": ({ n }) => {
                ran.push(n)
                return Effect.succeed({ _tag: "Seen", n } as const)
              }
            })
          )
        ))
      assert.deepStrictEqual(Exit.findErrorOption(exit), Option.some("the source broke"))
      assert.strictEqual(ran.length, 10)
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect.each(
    [
      ["fails", Stream.fail("the source broke")],
      ["dies", Stream.die("the source broke")],
      ["interrupts itself", Stream.fromEffect(Effect.interrupt)],
      ["fails later", Stream.fromEffect(Effect.andThen(Effect.yieldNow, Effect.fail("the source broke")))]
    ] as const
  )("ends with the source that %s, also where nothing runs, and is not finished", ([_, end]) =>
    Effect.gen(function*() {
      const store = yield* JobStore.JobStore
      for (const before of [0, 1, 3]) {
        const id = `${_} after ${before}`
        yield* runningJob(id)
        const { exit } = yield* asRun(id, () =>
          TaskDispatcher.TaskDispatcher.use((_) =>
            _.fanOut("some", Visit, (after) =>
              Stream.concat(numbers(before)(after), end))
          ).pipe(
            Effect.provide(Tasks.toLayer({ "test/Visit": ({ n }) => Effect.succeed({ _tag: "Seen", n } as const) }))
          ))
        assert.isTrue(Exit.isFailure(exit), String(exit))
        const kept = yield* store.checkpoint(JobId.make(id), "some")
        assert.isFalse(Option.exists(kept, (text) =>
          text.includes("\"finished\":true")))
      }
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("is not finished where more has failed than may, and goes on in the next try of the job", () =>
    Effect.gen(function*() {
      yield* runningJob("gave up")
      const run = (tries: number) =>
        asRun(
          "gave up",
          () =>
            TaskDispatcher.TaskDispatcher.use((_) =>
              _.fanOut("all", Visit, numbers(10), { failures: "failFast", concurrency: 1 })
            ).pipe(
              Effect.provide(
                Tasks.toLayer({
                  "test/Visit": ({ n }) => n === 3 ? Effect.fail(new Bad({ n })) : Effect.succeed({ _tag: "Seen", n })
                })
              )
            ),
          { tries }
        )
      assert.isTrue(Exit.isFailure((yield* run(0)).exit))
      const { exit } = yield* run(1)
      assert.deepStrictEqual(Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed] : exit, [9, 1])
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("gives up after as many failures as may be, and does nothing more in that attempt", () =>
    Effect.gen(function*() {
      yield* runningJob("some fail")
      const ran: Array<number> = []
      const run = (attempt: number) =>
        asRun(
          "some fail",
          () =>
            TaskDispatcher.TaskDispatcher.use((_) =>
              _.fanOut("all", Visit, numbers(10), { failures: { maxFailures: 2 }, concurrency: 1 })
            ).pipe(
              Effect.provide(Tasks.toLayer({
                "test/Visit": ({ n }) => {
                  ran.push(n)
                  return n % 2 === 0 ? Effect.fail(new Bad({ n })) : Effect.succeed({ _tag: "Seen", n })
                }
              }))
            ),
          { attempt }
        )
      assert.match(String((yield* run(1)).exit), /gave up after 3 failures, the first one: Bad/)
      assert.match(String((yield* run(1)).exit), /gave up after 3 failures, the first one: Bad/)
      assert.deepStrictEqual(ran.splice(0), [0, 1, 2, 3, 4])
      assert.match(String((yield* run(2)).exit), /gave up after 3 failures/)
      assert.deepStrictEqual(ran, [0, 2, 4])
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("is open once at a time by one name", () =>
    Effect.gen(function*() {
      yield* runningJob("one name")
      const { exit } = yield* asRun("one name", () =>
        TaskDispatcher.TaskDispatcher.use(({ fanOut }) => {
          const all = Effect.exit(fanOut("all", Visit, numbers(3)))
          return Effect.all([all, all], { concurrency: 2 })
        }).pipe(
          Effect.provide(Tasks.toLayer({ "test/Visit": ({ n }) => Effect.succeed({ _tag: "Seen", n } as const) }))
        ))
      const [first, second] = Exit.isSuccess(exit) ? exit.value : []
      assert.strictEqual(first !== undefined && Exit.isSuccess(first) && first.value.done, 3)
      assert.match(String(second), /Fan-out "all" is already open in this job/)
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("has a name of its own among those that a run opens one after the other", () =>
    Effect.gen(function*() {
      yield* runningJob("names")
      const ran: Array<number> = []
      const openAll = (...names: ReadonlyArray<string>) =>
        asRun("names", () =>
          TaskDispatcher.TaskDispatcher.use(({ fanOut }) =>
            Effect.forEach(names, (name) =>
              Effect.map(fanOut(name, Visit, numbers(3)), ({ done }) => done))
          ).pipe(
            Effect.provide(Tasks.toLayer({
              "test/Visit": ({ n }) =>
                Effect.sync(() => {
                  ran.push(n)
                  return { _tag: "Seen", n } as const
                })
            }))
          ))
      const clash = /Fan-out "a" has already ended in this run of the job: give each one a name of its own/
      assert.match(String((yield* openAll("a", "a")).exit), clash)
      assert.deepStrictEqual(ran.splice(0), [0, 1, 2])
      // A later run finds it ended, but once, too.
      assert.match(String((yield* openAll("a", "b", "a")).exit), clash)
      assert.deepStrictEqual(ran.splice(0), [0, 1, 2])
      assert.deepStrictEqual((yield* openAll("a", "b", "c")).exit, Exit.succeed([3, 3, 3]))
      assert.deepStrictEqual(ran, [0, 1, 2])
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("counts nothing that an attempt has left behind and that goes on beside the next one", () =>
    Effect.gen(function*() {
      yield* runningJob("left")
      const cell = TaskCheckpoint.make(Schema.Number)
      const late = Effect.andThen(cell.save(1), Progress.add("late", 1))
      let attempts = 0
      const running = yield* Effect.forkChild(
        asRun("left", () =>
          TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("all", Twice, numbers(1))).pipe(
            Effect.provide(
              RpcGroup.make(Twice).toLayer({
                "test/Twice": Effect.fnUntraced(function*({ n }) {
                  if (attempts++ === 0) {
                    yield* Effect.forkDetach(Effect.delay(late, 500))
                    return yield* new Bad({ n })
                  }
                  yield* Effect.sleep("1 second")
                  assert.deepStrictEqual(yield* cell.get, Option.none())
                  yield* Progress.add("due", 1)
                })
              })
            )
          ))
      )
      yield* settle
      yield* TestClock.adjust("2 seconds")
      const { exit } = yield* Fiber.join(running)
      assert.deepStrictEqual(Exit.isSuccess(exit) ? [attempts, exit.value.units] : exit, [2, { due: 1 }])
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("tells of how much its tasks say that there is", () =>
    Effect.gen(function*() {
      yield* runningJob("totals")
      yield* asRun("totals", () =>
        TaskDispatcher.TaskDispatcher.use((_) =>
          _.fanOut("all", Visit, numbers(2), { concurrency: 1 })
        ).pipe(
          Effect.provide(Tasks.toLayer({
            "test/Visit": ({ n }) => Effect.as(Progress.total("pages", 7 + n), { _tag: "Seen", n } as const)
          }))
        ))
      const store = yield* JobStore.JobStore
      const { progress } = yield* store.pulse(JobId.make("totals"))
      assert.deepStrictEqual(progress.totals, { pages: 8 })
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("takes no more than may be done again while what was done is on its way to the store", () =>
    Effect.gen(function*() {
      yield* runningJob("slow store")
      const store = yield* JobStore.JobStore
      const seen: Array<number> = []
      const slow = Latch.makeUnsafe(false)
      let stop = () => {}
      const running = yield* Effect.forkChild(
        asRun(
          "slow store",
          (signal) => {
            stop = () => signal.requestUnsafe("Cancel")
            return TaskDispatcher.TaskDispatcher.use((_) =>
              _.fanOut("all", Visit, numbers(100), { concurrency: 2, flushEvery: 4 })
            ).pipe(
              Effect.provide(Tasks.toLayer({
                "test/Visit": ({ n }) =>
                  Effect.suspend(() => {
                    seen.push(n)
                    return Effect.as(n === 3 ? slow.await : Effect.void, { _tag: "Seen", n } as const)
                  })
              }))
            )
          },
          { store: { ...store, flush: () => Effect.never } }
        )
      )
      yield* settle
      assert.deepStrictEqual(seen, [0, 1, 2, 3, 4])
      // What ends meanwhile is one more that may be done again, and makes no room.
      slow.openUnsafe()
      yield* settle
      assert.deepStrictEqual(seen, [0, 1, 2, 3, 4])
      stop()
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(running)
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("names what was skipped by the element that opens it", () =>
    Effect.gen(function*() {
      yield* runningJob("skipped")
      const item = { _tag: "Item", cursor: "1", payload: { n: 1 } } as const
      yield* asRun("skipped", () =>
        TaskDispatcher.TaskDispatcher.use((_) =>
          _.fanOut("all", Visit, () =>
            Stream.make(
              { ...item, cursor: "0", payload: { n: 7 }, opens: true },
              item,
              { ...item, _tag: "After" as const, cursor: "2" }
            ))
        ).pipe(Effect.provide(Tasks.toLayer({ "test/Visit": ({ n }) => Effect.fail(new Bad({ n })) }))))
      const store = yield* JobStore.JobStore
      const rows = yield* store.outcomes(JobId.make("skipped"), { after: 0, limit: 100 })
      assert.deepStrictEqual(rows.map(([, { key, outcome }]) => [key, outcome._tag]), [["7", "Failed"], [
        "7",
        "Skipped"
      ]])
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("fails an element that interrupts itself, and goes on", () =>
    Effect.gen(function*() {
      yield* runningJob("itself")
      const { exit } = yield* asRun("itself", () =>
        TaskDispatcher.TaskDispatcher.use((_) =>
          _.fanOut("all", Visit, numbers(10))
        ).pipe(
          Effect.provide(
            Tasks.toLayer({
              "test/Visit": ({ n }) => n === 5 ? Effect.interrupt : Effect.succeed({ _tag: "Seen", n } as const)
            })
          )
        ))
      assert.deepStrictEqual(Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed] : exit, [9, 1])
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("records nothing of what onCommit fails for, and gives it again", () =>
    Effect.gen(function*() {
      yield* runningJob("commit")
      const given: Array<number> = []
      let left = 2
      const run = asRun("commit", () =>
        TaskDispatcher.TaskDispatcher.use((_) =>
          _.fanOut("all", Visit, numbers(20), {
            flushEvery: 4,
            onCommit: (ended) =>
              left-- === 0 ? Effect.fail("no room" as const) : Effect.sync(() => {
                for (const { payload, value } of ended) {
                  given.push(Option.getOrThrow(value).n)
                  assert.deepStrictEqual(payload, Option.some({ n: given.at(-1) }))
                }
              })
          })
        ).pipe(
          Effect.provide(Tasks.toLayer({ "test/Visit": ({ n }) => Effect.succeed({ _tag: "Seen", n } as const) }))
        ))

      const first = yield* run
      assert.deepStrictEqual(Exit.findErrorOption(first.exit), Option.some("no room" as const))
      assert.strictEqual(given.length, 8)

      const { exit } = yield* run
      assert.strictEqual(Exit.isSuccess(exit) ? exit.value.done : exit, 20)
      assert.deepStrictEqual(given.toSorted((a, b) => a - b), Array.from({ length: 20 }, (_, n) => n))
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("gives onDone what is done, in plain values, and nothing else", () =>
    Effect.gen(function*() {
      yield* runningJob("done")
      const [done, ended]: [Array<readonly [number, number]>, Array<string>] = [[], []]
      const { exit } = yield* asRun("done", () =>
        TaskDispatcher.TaskDispatcher.use((_) =>
          _.fanOut("all", Visit, numbers(20), {
            flushEvery: 4,
            onDone: (elements) =>
              Effect.sync(() => {
                for (const { payload, value } of elements) {
                  done.push([payload.n, value.n])
                }
              }),
            onCommit: (elements) =>
              Effect.sync(() => ended.push(...elements.map(({ cursor }) => cursor)))
          })
        ).pipe(Effect.provide(Tasks.toLayer({
          "test/Visit": ({ n }) =>
            n === 3
              ? Effect.fail(new Bad({ n }))
              : n === 5
              ? Task.skip("no")
              : Effect.succeed({ _tag: "Seen", n } as const)
        }))))

      assert.deepStrictEqual(Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed, exit.value.skipped] : exit, [
        18,
        1,
        1
      ])
      assert.lengthOf(ended, 20)
      const numbersDone = Array.from({ length: 20 }, (_, n) =>
        n).filter((n) => n !== 3 && n !== 5)
      assert.deepStrictEqual(done.toSorted(([a], [b]) => a - b), numbersDone.map((n) => [n, n]))
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  const off = [
    {
      what: "gives two elements the same cursor",
      source: () => Stream.concat(numbers(4)(Option.some("1")), numbers(4)(Option.some("2")))
    },
    {
      what: "begins with the element that it is to go on behind",
      source: (after: Option.Option<string>) => numbers(4)(Option.map(after, (cursor) => String(Number(cursor) - 1)))
    }
  ]

  it.effect.each(off)("ends with a source that $what", ({ source }) =>
    Effect.gen(function*() {
      yield* runningJob("twice")
      const run = (source: ReturnType<typeof numbers>) =>
        asRun("twice", () =>
          TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("all", Visit, source)).pipe(
            Effect.provide(Tasks.toLayer({ "test/Visit": ({ n }) => Effect.succeed({ _tag: "Seen", n } as const) }))
          ))
      yield* run((after) => Stream.concat(Stream.take(numbers(4)(after), 2), Stream.die(new Error("away"))))
      const { exit } = yield* run(source)
      assert.match(String(exit), /The source of fan-out "all" gave the cursor "\d" again/)
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("refuses limits that it could not work with", () =>
    Effect.gen(function*() {
      yield* runningJob("limits")
      for (const options of [{ concurrency: 0 }, { flushEvery: 0 }, { concurrency: 1.5 }]) {
        const { exit } = yield* asRun("limits", () =>
          TaskDispatcher.TaskDispatcher.use((_) =>
            _.fanOut("none", Visit, numbers(1), options)
          ).pipe(
            Effect.provide(Tasks.toLayer({ "test/Visit": ({ n }) => Effect.succeed({ _tag: "Seen", n } as const) }))
          ))
        assert.match(String(exit), /has to be a whole number, at least 1/)
      }
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))
})

const tallyOf = (exit: Exit.Exit<Progress.Tally, unknown>) => {
  const { done, failed, units } = Option.getOrThrow(Exit.getSuccess(exit))
  return [done, failed, units]
}

let jobs = 0
const fanOutLaws = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`the laws of a fan-out (${backend})`, () => {
    it.effect("have each retry go on from what the task that failed had saved, and count no more than that", () =>
      Effect.gen(function*() {
        yield* runningJob("saves")
        const step = TaskCheckpoint.make(Schema.Number)
        const before: Array<readonly [n: number, saved: number | undefined]> = []
        const work = Effect.fnUntraced(function*(n: number, isWell: boolean) {
          const saved = Option.getOrUndefined(yield* step.get)
          before.push([n, saved])
          yield* Progress.add("steps", 1)
          // The other one has nothing to go on from.
          if (n === 0) yield* step.save((saved ?? 0) + 1)
          yield* Progress.add("steps", 10)
          if (!isWell) return yield* new Bad({ n })
          return { _tag: "Seen", n } as const
        })
        const run = (attempt: number, isWell: boolean) =>
          asRun(
            "saves",
            () =>
              TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("all", Visit, numbers(2), { concurrency: 1 })).pipe(
                Effect.provide(Tasks.toLayer({ "test/Visit": ({ n }) => work(n, isWell) }))
              ),
            { attempt }
          )
        for (const attempt of [1, 2]) assert.deepStrictEqual(tallyOf((yield* run(attempt, false)).exit), [0, 2, {}])
        assert.deepStrictEqual(tallyOf((yield* run(3, true)).exit), [2, 0, { steps: 13 + 11 }])
        assert.deepStrictEqual(before, [[0, undefined], [1, undefined], [0, 1], [1, undefined], [0, 2], [1, undefined]])
        assert.lengthOf(yield* Laws.outcomesOf("saves"), 0)
      }).pipe(Effect.provide(Layer.merge(pools, store))))

    it.effect("count nothing of what a task had done before it started over", () =>
      Effect.gen(function*() {
        yield* runningJob("anew")
        const upload = TaskCheckpoint.make(Schema.String)
        const seen: Array<Option.Option<string>> = []
        const work = Effect.fnUntraced(function*(n: number, attempt: number) {
          seen.push(yield* upload.get)
          if (attempt === 1) {
            yield* upload.commit("one")
            yield* Progress.add("bytes", 900)
            yield* upload.save("one")
            yield* Progress.add("bytes", 50)
            return yield* new Bad({ n })
          }
          // The upload is gone.
          if (attempt === 2) yield* upload.startOver("two")
          yield* Progress.add("bytes", 600)
          yield* upload.save("two")
          if (attempt === 2) return yield* new Bad({ n })
          yield* Progress.add("bytes", 500)
          return { _tag: "Seen", n } as const
        })
        const run = (attempt: number) =>
          asRun(
            "anew",
            () =>
              TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("all", Visit, numbers(1))).pipe(
                Effect.provide(Tasks.toLayer({ "test/Visit": ({ n }) => work(n, attempt) }))
              ),
            { attempt }
          )
        for (const attempt of [1, 2]) assert.deepStrictEqual(tallyOf((yield* run(attempt)).exit), [0, 1, {}])
        assert.deepStrictEqual(tallyOf((yield* run(3)).exit), [1, 0, { bytes: 600 + 600 + 500 }])
        assert.deepStrictEqual(seen, [Option.none(), Option.some("one"), Option.some("two")])
      }).pipe(Effect.provide(Layer.merge(pools, store))))

    it.effect.prop(
      "hold for any program, through any crashes and pauses",
      { program: Laws.Program },
      ({ program }) =>
        Effect.gen(function*() {
          const trace = new Laws.Trace()
          const id = `job-${jobs++}`

          const tally = yield* Laws.runThroughCrashes(id, program, trace)

          Laws.checkLaws(program, trace)
          assert.strictEqual(tally.units["visits"] ?? 0, tally.done, "a unit is counted once for each done element")
          const { done, failed, skipped } = tally
          assert.deepStrictEqual({ done, failed, skipped }, Laws.expected(program.steps))
          assert.deepStrictEqual(Laws.countCommitted(trace), { done, failed, skipped })
        }).pipe(Effect.provide(store)),
      { arbitrary: { size: 60 } }
    )

    it.effect.prop(
      "retry what failed, and only that, through any crashes and pauses",
      { program: Laws.Program },
      ({ program }) =>
        Effect.gen(function*() {
          const trace = new Laws.Trace()
          const id = `job-${jobs++}`
          yield* Laws.runThroughCrashes(id, { ...program, stops: [] }, trace)
          trace.nextAttempt()

          const tally = yield* Laws.runThroughCrashes(id, program, trace, { attempt: 2, isWell: program.heals })

          Laws.checkLaws(program, trace)
          assert.strictEqual(tally.units["visits"] ?? 0, tally.done, "a unit is counted once for each done element")
          const { done, failed, skipped } = tally
          const steps = program.heals ? Laws.healed(program.steps) : program.steps
          assert.deepStrictEqual({ done, failed, skipped }, Laws.expected(steps))
          const rows = yield* Laws.outcomesOf(id)
          assert.strictEqual(rows.filter(([, row]) => row.outcome._tag === "Failed").length, failed)
        }).pipe(Effect.provide(store)),
      { arbitrary: { size: 60 } }
    )

    it.effect.prop(
      "retry again and again what still fails, until all is well",
      { program: Laws.Program, wells: Schema.Array(Schema.Boolean).check(Schema.isMaxLength(3)) },
      ({ program, wells }) =>
        Effect.gen(function*() {
          const trace = new Laws.Trace()
          const id = `job-${jobs++}`
          let { steps } = program
          for (const [i, isWell] of [false, ...wells, true].entries()) {
            trace.nextAttempt()
            if (isWell) steps = Laws.healed(steps)
            const attempt = { ...program, steps, stops: program.stops.slice(i, i + 2) }

            const tally = yield* Laws.runThroughCrashes(id, attempt, trace, { attempt: i + 1, isWell })

            Laws.checkLaws(program, trace)
            const { done, failed, skipped } = tally
            assert.deepStrictEqual({ done, failed, skipped }, Laws.expected(steps))
            const outcomes = (yield* Laws.outcomesOf(id)).map(([, { outcome }]) => outcome)
            assert.strictEqual(outcomes.filter(({ _tag }) => _tag === "Failed").length, failed)
            const skips = outcomes.map((outcome) => outcome._tag === "Skipped" ? outcome.count : 0)
            assert.strictEqual(skips.reduce((sum, count) => sum + count, 0), skipped)
          }
        }).pipe(Effect.provide(store)),
      { arbitrary: { runs: runs(100), size: 60 } }
    )
  })

onStores(fanOutLaws)
