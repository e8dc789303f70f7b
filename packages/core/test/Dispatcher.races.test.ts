import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Pools from "@fanout/core/Pools"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { makePermits, type Permits } from "../src/internal/permits/permits.ts"
import { ByteRate } from "../src/internal/permits/rate.ts"
import { Share } from "../src/internal/permits/share.ts"
import { makeDeadlines } from "../src/internal/task/deadlines.ts"
import { type Ending, TaskRun, type Work } from "../src/internal/task/taskRun.ts"
import { GivingWay } from "./GivingWay.ts"

/** Does what the test says under that name. */
const Act = Task.make("test/Act", { payload: { name: Schema.String } })
class Acts extends RpcGroup.make(Act) {}
type Handlers = Readonly<Record<string, Effect.Effect<void>>>
const acting = (acts: Handlers) => Acts.toLayer({ "test/Act": ({ name }) => acts[name] ?? Effect.void })

const layer = TaskDispatcher.layer.pipe(Layer.provideMerge(Pools.layer({ one: 1, two: 2 })))
const dispatcher = TaskDispatcher.TaskDispatcher

const held = Effect.map(
  Effect.flatMap(Pools.Pools, ({ status }) => status),
  (pools) => pools.filter(({ held, waiting }) => held !== 0 || waiting !== 0)
)

describe("permits of a task", () => {
  it.effect("come back where the one that is granted when it begins to wait for the next cancels it", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const environment = { clock, deadlines: makeDeadlines(clock) }
      const [pool, other] = [makePermits(2, clock), makePermits(1, clock)]
      const own = new Share(environment, { concurrency: 1 })
      const others = new Share(environment, {}).permitsOf("pool", pool)
      const done: Array<string> = []
      const wait = (permits: Permits, name: string, priority: Task.Priority, weight = 1) =>
        permits.waitUnsafe(weight, priority, name === "returning", () => done.push(name))

      wait(own.permitsOf("other", other), "first", "normal")
      wait(others, "one of two", "normal")
      wait(others, "heavy", "high", 2)
      let cancel = () => {}
      others.waitUnsafe(1, "low", false, () => cancel())
      cancel = wait(own.permitsOf("pool", pool), "cancelled", "normal")
      // What is urgent was served just now, so that the low one is next: once anybody looks.
      yield* TestClock.adjust(2900)
      wait(others, "returning", "high")
      yield* TestClock.adjust(50)
      others.releaseUnsafe(1)
      yield* TestClock.adjust(100)
      own.permitsOf("other", other).releaseUnsafe(1)

      assert.deepStrictEqual(done, ["first", "one of two", "returning"])
      others.releaseUnsafe(1)
      others.releaseUnsafe(1)
      assert.deepStrictEqual(done, ["first", "one of two", "returning", "heavy"])
      others.releaseUnsafe(2)
      assert.deepStrictEqual([pool.held, pool.waiting, other.held], [0, 0, 0])
      assert.isTrue(own.permitsOf("pool", pool).tryTakeUnsafe(1))
    }))

  it.effect("are taken once for each of those that run at the same time, where one lets another end as it begins", () =>
    Effect.gen(function*() {
      const { runEffect } = yield* dispatcher
      const [first, second] = [Latch.makeUnsafe(false), Latch.makeUnsafe(false)]
      const ran: Array<number> = []
      const effects = [first.await, second.await, Effect.sync(() => first.openUnsafe()), Effect.void]
      const running = yield* Effect.forkChild(Effect.forEach(
        effects,
        (effect, n) => runEffect(Effect.andThen(Effect.sync(() => ran.push(n)), effect), { pool: "io" }),
        { concurrency: 2 }
      ))
      yield* settle
      second.openUnsafe()
      yield* Fiber.join(running)
      assert.deepStrictEqual(ran, [0, 1, 2, 3])
    }).pipe(Effect.provide(layer)))

  it.effect("come back where one that begins at the same time cancels it", () =>
    Effect.gen(function*() {
      const { limited } = yield* dispatcher
      const first = yield* limited({ tasksPerSecond: 1 })
      const second = yield* limited({ tasksPerSecond: 1 })
      const victim: { cancel: Effect.Effect<void> } = { cancel: Effect.void }
      const acts = acting({ cancels: Effect.suspend(() => victim.cancel), sleeps: Effect.sleep("1 hour") })
      yield* first.runEffect(Effect.void)
      yield* second.runEffect(Effect.void)
      yield* first.dispatch(Act, { name: "cancels" }).pipe(Effect.provide(acts))
      yield* settle
      const handle = yield* second.dispatch(Act, { name: "sleeps" }).pipe(Effect.provide(acts))
      yield* settle
      victim.cancel = handle.cancel
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* handle.await, { _tag: "Cancelled" })
      assert.deepStrictEqual(yield* held, [])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("come back where one is granted what another one gives back that is stopped together with it", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const environment = { clock, deadlines: makeDeadlines(clock), graceMillis: 1000 }
      const pool = makePermits(1, clock)
      const permits = new Share(environment, {}).permitsOf("pool", pool)
      const parent = Interrupter.makeUnsafe()
      assert.isTrue(permits.tryTakeUnsafe(1))
      parent.onRequestUnsafe(() => permits.releaseUnsafe(1))
      const work: Work = {
        context: Context.empty(),
        run: () => Effect.void,
        options: {
          weight: () => 1,
          priority: "normal",
          timeoutMillis: Number.POSITIVE_INFINITY,
          retry: Option.none(),
          busy: undefined,
          cost: () => 1
        },
        permits,
        tag: "test",
        describe: () => "a task",
        parent,
        onChange: () => {},
        onTotal: () => {},
        recorded: Effect.void,
        beginsLater: false,
        environment,
        times: undefined
      }
      const endings: Array<Ending> = []
      new TaskRun(work, { payload: undefined, kept: undefined }, (ending) => endings.push(ending)).start()
      yield* settle
      parent.requestUnsafe("Pause")
      assert.deepStrictEqual(endings, [{ _tag: "Stopped" }])
      assert.deepStrictEqual([pool.held, pool.waiting], [0, 0])
    }))

  it.effect("are not taken back for a task that has ended", () =>
    Effect.gen(function*() {
      const { runEffect } = yield* dispatcher
      const task = Effect.gen(function*() {
        const { runEffect } = yield* dispatcher
        // It outlives the task, and comes back when another has its permit.
        yield* Effect.forkDetach(runEffect(Effect.sleep("1 second"), { pool: "io" }))
        yield* Effect.sleep("2 seconds")
      })
      const running = yield* Effect.forkScoped(runEffect(task, { pool: "one" }))
      yield* settle
      const other = yield* Effect.forkScoped(runEffect(Effect.sleep("5 seconds"), { pool: "one" }))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(running)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(other)
      assert.deepStrictEqual(yield* held, [])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("are given back by as many tasks as wait for one, without a stack that grows", () =>
    Effect.gen(function*() {
      const { runEffect } = yield* dispatcher
      const first = yield* Effect.forkScoped(runEffect(Effect.sleep("1 second"), { pool: "one" }))
      yield* settle
      const others = yield* Effect.forkScoped(
        Effect.forEach(Array.from({ length: 20_000 }), () => runEffect(Effect.void, { pool: "one" }), {
          concurrency: "unbounded",
          discard: true
        })
      )
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(first)
      yield* Fiber.join(others)
      assert.deepStrictEqual(yield* held, [])
    }).pipe(Effect.scoped, Effect.provide(layer)))
})

/** Has fibers give way to others before each operation for which the pattern says so, but one at a time. */
class GivingWayOften extends Scheduler.MixedScheduler {
  private readonly pattern: ReadonlyArray<boolean>
  private at = 0
  /** Operations that a fiber has to do before it gives way again: to go on, and the one that was put off. */
  private readonly due = new WeakMap<object, number>()

  constructor(pattern: ReadonlyArray<boolean>) {
    super()
    this.pattern = pattern
  }

  override shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    const due = this.due.get(fiber) ?? 0
    const givesWay = due === 0 && this.pattern[this.at++ % this.pattern.length] === true
    this.due.set(fiber, givesWay ? 2 : Math.max(0, due - 1))
    return givesWay
  }
}

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** Branches of a task that wait for others, so many turns, as often; and when one is interrupted. */
const Branch = Schema.Struct({ times: int(1, 3), turns: int(0, 6), interruptedAfter: int(0, 60) })

const yields = (turns: number) => Effect.repeat(Effect.yieldNow, { times: turns })

/** Runs tasks in a pool of one that wait for others by several branches, and gives what the pool counts at last. */
const runBranches = Effect.fnUntraced(
  function*(
    tasks: ReadonlyArray<ReadonlyArray<typeof Branch.Type>>,
    others: number,
    scheduler: Scheduler.Scheduler
  ) {
    const { runEffect } = yield* dispatcher
    const { status } = yield* Pools.Pools
    const most = { held: 0 }
    const look = Effect.map(status, (pools) => {
      const one = pools.find(({ name }) => name === "one") ?? assert.fail("no pool")
      most.held = Math.max(most.held, one.held)
      return [one.held, one.waiting]
    })
    const task = (branches: ReadonlyArray<typeof Branch.Type>) =>
      Effect.gen(function*() {
        const fibers = yield* Effect.forEach(branches, ({ times, turns }) =>
          TaskDispatcher.waitForOthers(yields(turns)).pipe(
            Effect.repeat({ times: times - 1 }),
            Effect.forkChild({ startImmediately: true })
          ))
        for (let turn = 0; turn <= 60; turn++) {
          branches.forEach(({ interruptedAfter }, i) => {
            if (interruptedAfter === turn) {
              fibers[i]?.interruptUnsafe()
            }
          })
          yield* look
          yield* Effect.yieldNow
        }
        yield* Effect.forEach(fibers, Fiber.await)
      })
    const all = Effect.forEach([
      ...tasks.map(task),
      ...Array.from({ length: others }, () => yields(3))
    ], (one) => Effect.forkChild(runEffect(one, { pool: "one" })))
    const running = yield* Effect.forkScoped(
      Effect.flatMap(all, Effect.forEach(Fiber.await)).pipe(Effect.provideService(Scheduler.Scheduler, scheduler))
    )
    for (let i = 0; i < 50 && running.pollUnsafe() === undefined; i++) {
      yield* settle
    }
    return { hangs: running.pollUnsafe() === undefined, pool: yield* look, most: most.held }
  },
  Effect.scoped,
  Effect.provide(layer)
)

describe("permits of a task that waits for others", () => {
  it.effect("come back wherever the branch that returns gives way, and is interrupted as it does", () =>
    Effect.gen(function*() {
      for (const others of [0, 1]) {
        for (let operation = 0;; operation++) {
          const scheduler = new GivingWay(operation)
          const pool = yield* Effect.gen(function*() {
            const { runEffect } = yield* dispatcher
            const task = Effect.gen(function*() {
              const branch = yield* TaskDispatcher.waitForOthers(Effect.void).pipe(
                Effect.provideService(Scheduler.Scheduler, scheduler),
                Effect.forkChild({ startImmediately: true })
              )
              branch.interruptUnsafe()
              yield* Fiber.await(branch)
              return yield* held
            })
            for (let i = 0; i < others; i++) yield* Effect.forkScoped(runEffect(Effect.yieldNow, { pool: "one" }))
            const running = yield* Effect.forkScoped(runEffect(task, { pool: "one" }))
            yield* settle
            assert.isDefined(running.pollUnsafe(), `it hangs before operation ${operation}`)
            const during = (yield* Fiber.join(running)).map(({ held }) => held)
            return [during, yield* held]
          }).pipe(Effect.scoped, Effect.provide(layer))
          assert.deepStrictEqual(pool, [[1], []], `before operation ${operation}`)
          if (!scheduler.hasGivenWay) {
            assert.isAbove(operation, 5)
            break
          }
        }
      }
    }))

  it.effect.prop(
    "are one for each task at most, and all come back, whatever branches give way and are interrupted",
    {
      tasks: Schema.Array(Schema.Array(Branch).check(Schema.isMinLength(1), Schema.isMaxLength(3))).check(
        Schema.isMinLength(1),
        Schema.isMaxLength(2)
      ),
      others: int(0, 3),
      pattern: Schema.Array(Schema.Boolean).check(Schema.isMaxLength(12))
    },
    ({ others, pattern, tasks }) =>
      Effect.gen(function*() {
        const seen = yield* runBranches(tasks, others, new GivingWayOften(pattern))
        assert.deepStrictEqual(seen, { hangs: false, pool: [0, 0], most: 1 })
      }),
    { arbitrary: { runs: runs(300) } }
  )
})

describe("a rate", () => {
  it.effect("is not lost to those who stop waiting for it", () =>
    Effect.gen(function*() {
      const began: Array<number> = []
      const { dispatchMany } = yield* Effect.flatMap(dispatcher, ({ limited }) => limited({ tasksPerSecond: 1 }))
      const note = Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sync(() => began.push(now)))
      const handles = yield* dispatchMany(Act, Array.from({ length: 10 }, () => ({ name: "note" }))).pipe(
        Effect.provide(acting({ note }))
      )
      yield* TestClock.adjust("1500 millis")
      for (let i = 0; i < 20; i++) {
        yield* Effect.forEach(handles, ({ pause }) => pause)
        yield* settle
        yield* Effect.forEach(handles, ({ resume }) => resume)
        yield* settle
      }
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(began, [0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("of bytes is owed what a task may still move that stopped waiting for it, since it is to stop", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const deadlines = makeDeadlines(clock)
      yield* Effect.forkChild(deadlines.watch)
      const bucket = new ByteRate({ clock, deadlines }, 1000)
      const signal = Interrupter.makeUnsafe()
      yield* bucket.take(1000)
      const stopped = yield* Effect.forkChild(
        Effect.provideService(bucket.take(1000), Interrupter.Interrupter, signal)
      )
      yield* settle
      signal.requestUnsafe("Pause")
      yield* Fiber.join(stopped)
      const next = yield* Effect.forkChild(bucket.take(1))
      yield* settle
      yield* TestClock.adjust("1900 millis")
      yield* settle
      assert.isUndefined(next.pollUnsafe())
      yield* TestClock.adjust("200 millis")
      yield* settle
      assert.isDefined(next.pollUnsafe())
    }))

  it.effect("of bytes lets a task go that is asked to stop", () =>
    Effect.gen(function*() {
      const { dispatch } = yield* Effect.flatMap(dispatcher, ({ limited }) => limited({ bytesPerSecond: 1 }))
      const ends: Array<string> = []
      const move = Effect.andThen(TaskDispatcher.throttle(10_000), TaskDispatcher.throttle(10_000)).pipe(
        Effect.andThen(Effect.sync(() => ends.push("at a safe point"))),
        Effect.onInterrupt(() => Effect.sync(() => ends.push("interrupted")))
      )
      const handle = yield* dispatch(Act, { name: "move" }).pipe(Effect.provide(acting({ move })))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(ends, [])
      yield* handle.pause
      yield* settle
      assert.deepStrictEqual(ends, ["at a safe point"])
    }).pipe(Effect.scoped, Effect.provide(layer)))
})

describe("a limit", () => {
  it.effect("that would let nothing run, or is of a pool that there is not, is refused", () =>
    Effect.gen(function*() {
      const { limited } = yield* dispatcher
      const refused: ReadonlyArray<readonly [TaskDispatcher.Limits, string]> = [
        [
          { concurrency: 0 },
          "The limit of \"concurrency\" has to be a whole number, at least 1, or Infinity; it was given 0"
        ],
        [{ concurrency: Number.NaN }, "The limit of \"concurrency\""],
        [{ permits: { io: Number.NaN } }, "The limit of \"io\""],
        [{ tasksPerSecond: 0 }, "The limit of \"tasksPerSecond\" has to be a number above 0; it was given 0"],
        [{ bytesPerSecond: -1 }, "The limit of \"bytesPerSecond\""],
        [{ permits: { netwrok: 2 } }, "There is no pool \"netwrok\", only"]
      ]
      for (const [limits, why] of refused) assert.include(String(yield* Effect.exit(limited(limits))), why)
    }).pipe(Effect.scoped, Effect.provide(layer)))
})
