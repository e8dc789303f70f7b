import { assert, describe, it } from "@effect/vitest"
import * as Pools from "@fanout/core/Pools"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"

const layer = TaskDispatcher.layer.pipe(Layer.provideMerge(Pools.layer({ bytes: 1000 })))
const dispatcher = TaskDispatcher.TaskDispatcher

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** Runs so many tasks of a second at once; counts those that run at the same time. */
const counted = (count: number, pool = "io") => {
  const seen = { now: 0, most: 0, began: 0 }
  const task = Effect.gen(function*() {
    seen.now++
    seen.began++
    seen.most = Math.max(seen.most, seen.now)
    yield* Effect.sleep("1 second")
    seen.now--
  })
  const all = Effect.gen(function*() {
    const { runEffect } = yield* dispatcher
    yield* Effect.forEach(Array.from({ length: count }), () => runEffect(task, { pool }), {
      concurrency: "unbounded",
      discard: true
    })
  })
  return { seen, all }
}

describe("layerLimited", () => {
  const Limit = Schema.Struct({
    concurrency: Schema.optionalKey(int(1, 20)),
    permits: Schema.optionalKey(Schema.Struct({ io: int(1, 20) }))
  })

  it.effect.prop(
    "never widens what is around it, however it is composed",
    { limits: Schema.Array(Limit).check(Schema.isMaxLength(4)) },
    ({ limits }) =>
      Effect.gen(function*() {
        const { all, seen } = counted(40)
        const limited = limits.reduce<typeof all>(
          (inner, limit) => Effect.provide(inner, TaskDispatcher.layerLimited(limit)),
          all
        )
        yield* Effect.forkScoped(limited)
        yield* TestClock.adjust("1 minute")
        const bounds = limits.flatMap(({ concurrency, permits }) => [concurrency ?? 16, permits?.io ?? 16])
        assert.deepStrictEqual(seen, { now: 0, most: Math.min(16, ...bounds), began: 40 })
        const pools = yield* Effect.flatMap(Pools.Pools, ({ status }) => status)
        assert.isTrue(pools.every(({ held, waiting }) => held === 0 && waiting === 0))
      }).pipe(Effect.scoped, Effect.provide(layer)),
    { arbitrary: { runs: runs(60) } }
  )

  it.effect("leaves the rest of a pool to others, and reaches the tasks of tasks", () =>
    Effect.gen(function*() {
      const inside = counted(30)
      const outside = counted(30)
      yield* inside.all.pipe(
        // Waiting for those that it runs costs a task nothing.
        Effect.andThen(Effect.flatMap(dispatcher, ({ runEffect }) => runEffect(inside.all))),
        Effect.provide(TaskDispatcher.layerLimited({ permits: { io: 3 } })),
        Effect.forkScoped
      )
      yield* settle
      yield* Effect.forkScoped(outside.all)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([inside.seen.most, inside.seen.began], [3, 60])
      assert.isAtLeast(outside.seen.most, 13)
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("lets tasks begin at a rate", () =>
    Effect.gen(function*() {
      const { all, seen } = counted(100)
      yield* Effect.forkScoped(Effect.provide(all, TaskDispatcher.layerLimited({ tasksPerSecond: 5 })))
      yield* settle
      yield* TestClock.adjust("9 seconds")
      assert.isAtLeast(seen.began, 44)
      assert.isAtMost(seen.began, 46)
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("keeps the rate where tasks have to wait for their pool", () =>
    Effect.gen(function*() {
      const [before, slow] = [counted(16), counted(2)]
      yield* Effect.forkScoped(before.all)
      yield* settle
      yield* Effect.forkScoped(Effect.provide(slow.all, TaskDispatcher.layerLimited({ tasksPerSecond: 0.1 })))
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual([before.seen.began, slow.seen.began], [16, 1])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(slow.seen.began, 2)
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("makes no task more urgent than it may be", () =>
    Effect.gen(function*() {
      const { runEffect } = yield* dispatcher
      const order: Array<string> = []
      const run = (name: string) =>
        Effect.flatMap(dispatcher, ({ runEffect }) =>
          runEffect(Effect.sync(() => order.push(name)), { pool: "bytes", priority: "critical" }))
      const full = yield* Effect.forkScoped(runEffect(Effect.sleep("1 second"), { pool: "bytes" }))
      yield* Effect.forEach(Array.from({ length: 999 }), () =>
        Effect.forkScoped(runEffect(Effect.sleep("1 second"), { pool: "bytes" })))
      yield* settle
      yield* Effect.forkScoped(Effect.provide(run("limited"), TaskDispatcher.layerLimited({ priority: "low" })))
      yield* settle
      yield* Effect.forkScoped(run("free"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(order, ["free", "limited"])
      assert.isDefined(full.pollUnsafe())
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect.prop(
    "moves bytes at its rate: within 5 % over 10 seconds, in pieces of any size up to a tenth of a second's",
    { rate: int(1000, 100_000_000), pieces: Schema.Array(int(1, 100)).check(Schema.isMaxLength(20)) },
    ({ pieces, rate }) =>
      Effect.gen(function*() {
        let moved = 0
        const mover = Effect.gen(function*() {
          for (let index = 0;; index++) {
            const bytes = Math.ceil((pieces[index % pieces.length] ?? 50) * rate / 1000)
            yield* TaskDispatcher.throttle(bytes)
            moved += bytes
          }
        })
        const movers = Effect.gen(function*() {
          const { runEffect } = yield* dispatcher
          yield* Effect.forEach([1, 2, 3], () => runEffect(mover), { concurrency: 3, discard: true })
        })
        // Those inside of another limit have the lower rate.
        const layers = [rate, 2 * rate].map((bytesPerSecond) => TaskDispatcher.layerLimited({ bytesPerSecond }))
        yield* Effect.forkScoped(
          layers.reduce<typeof movers>((inner, one) => Effect.provide(inner, one), movers)
        )
        yield* TestClock.adjust("1 second")
        const before = moved
        yield* TestClock.adjust("10 seconds")
        assert.closeTo((moved - before) / (10 * rate), 1, 0.05)
      }).pipe(Effect.scoped, Effect.provide(layer)),
    { arbitrary: { runs: runs(30) } }
  )

  it.effect("moves at its rate also what is asked for as more than it is, and given back", () =>
    Effect.gen(function*() {
      let moved = 0
      const mover = Effect.gen(function*() {
        while (true) {
          yield* TaskDispatcher.throttle(1000)
          yield* Effect.sleep(5)
          moved += 100
          yield* TaskDispatcher.throttle(-900)
        }
      })
      const { runEffect } = yield* dispatcher
      yield* Effect.forEach([1, 2, 3, 4], () => Effect.forkScoped(runEffect(mover)), { discard: true })
      yield* settle
      yield* TestClock.adjust("10 seconds")
      assert.closeTo(moved, 100_000, 5000)
    }).pipe(
      Effect.scoped,
      Effect.provide(TaskDispatcher.layerLimited({ bytesPerSecond: 10_000 })),
      Effect.provide(layer)
    ))

  it.effect("leaves what was not waited for to its end to others", () =>
    Effect.gen(function*() {
      const { runEffect } = yield* dispatcher
      const second = TaskDispatcher.throttle(1000)
      const running = yield* Effect.forkScoped(runEffect(
        second.pipe(Effect.andThen(Effect.timeoutOption(second, 500)), Effect.andThen(second))
      ))
      yield* settle
      yield* TestClock.adjust(999)
      assert.isUndefined(running.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.isDefined(running.pollUnsafe())
    }).pipe(
      Effect.scoped,
      Effect.provide(TaskDispatcher.layerLimited({ bytesPerSecond: 1000 })),
      Effect.provide(layer)
    ))

  it.effect("keeps no permits for what waits for its bandwidth", () =>
    Effect.gen(function*() {
      const { runEffect } = yield* dispatcher
      const slow = Effect.flatMap(dispatcher, ({ runEffect }) =>
        Effect.forEach(Array.from({ length: 16 }), () =>
          runEffect(TaskDispatcher.throttle(5000)), {
          concurrency: "unbounded",
          discard: true
        }))
      const moving = yield* Effect.forkScoped(
        Effect.provide(slow, TaskDispatcher.layerLimited({ bytesPerSecond: 1000 }))
      )
      yield* settle
      yield* TestClock.adjust("1 second")
      const pools = yield* Effect.flatMap(Pools.Pools, ({ status }) =>
        status)
      const io = pools.find(({ name }) => name === "io")
      assert.deepStrictEqual([io?.held, io?.waiting], [0, 0])
      const { all, seen } = counted(16)
      yield* Effect.forkScoped(Effect.andThen(runEffect(Effect.void), all))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(seen.began, 16)
      yield* TestClock.adjust("76 seconds")
      assert.isDefined(moving.pollUnsafe())
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it("refuses a limit that would let nothing run", () => {
    const program = Effect.flatMap(dispatcher, ({ runEffect }) => runEffect(Effect.void)).pipe(
      Effect.provide(TaskDispatcher.layerLimited({ permits: { io: 0 } })),
      Effect.provide(layer)
    )
    assert.throws(() => Effect.runSync(Effect.scoped(program)), /The limit of "io" has to be .*; it was given 0/)
  })
})

describe("the weight of a task", () => {
  const Load = Task.make("test/Load", {
    payload: { bytes: Schema.Number },
    success: Schema.Number,
    pool: "bytes",
    weight: ({ bytes }) => bytes
  })
  const handlers = RpcGroup.make(Load).toLayer({
    "test/Load": () => Effect.andThen(Effect.sleep("1 second"), Clock.currentTimeMillis)
  })

  it.effect("may depend on its payload; what weighs more than all of the pool runs alone", () =>
    Effect.gen(function*() {
      const { dispatchMany } = yield* dispatcher
      const handles = yield* dispatchMany(Load, [600, 400, 500, 5000, 1].map((bytes) => ({ bytes })))
      yield* TestClock.adjust("1 minute")
      const ends = yield* Effect.forEach(handles, (handle) => handle.await)
      assert.deepStrictEqual(
        ends.map((status) => status._tag === "Done" ? status.value : status),
        [1000, 1000, 2000, 3000, 4000]
      )
    }).pipe(Effect.scoped, Effect.provide([layer, handlers])))

  it("has to be a number of permits", () => {
    assert.throws(
      () => Task.make("test/Odd", { weight: Number.NaN }),
      /The weight of task "test\/Odd" has to be .*; it was given NaN/
    )
  })
})

describe("Pools", () => {
  it.effect("tells what is held and waited for, and can be resized while tasks run", () =>
    Effect.gen(function*() {
      const pools = yield* Pools.Pools
      const io = Effect.map(pools.status, (all) => all.find(({ name }) => name === "io"))
      const { all, seen } = counted(40)
      yield* Effect.forkScoped(all)
      yield* settle
      assert.deepStrictEqual(yield* io, { name: "io", size: 16, held: 16, waiting: 24, bounds: null })
      yield* pools.resize("io", 20)
      yield* settle
      assert.deepStrictEqual(yield* io, { name: "io", size: 20, held: 20, waiting: 20, bounds: null })
      yield* pools.resize("io", 2)
      assert.deepStrictEqual(yield* io, { name: "io", size: 2, held: 20, waiting: 20, bounds: null })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([seen.now, seen.began], [2, 22])
      const gauge = (name: string) => Metric.value(Metric.withAttributes(Metric.gauge(name), { pool: "io" }))
      yield* TestClock.adjust("1 second")
      const [size, held, waiting] = yield* Effect.forEach(
        ["size", "held", "waiting"],
        (what) => Effect.map(gauge(`fanout_pool_${what}`), ({ value }) => value)
      )
      assert.deepStrictEqual([size, held], [2, 2])
      assert.isAbove(waiting ?? 0, 10)
      assert.include((yield* Effect.flip(pools.resize("io", 0))).message, "at least 1")
      assert.include((yield* Effect.flip(pools.resize("disk", 1))).message, "only bytes, cpu, db, io, network")
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.fresh(layer)),
      Effect.provideService(Metric.MetricRegistry, new Map())
    ))

  it.effect("may find its own size, by what its tasks get done, until somebody says what it is", () =>
    Effect.gen(function*() {
      const pools = yield* Pools.Pools
      const disk = Effect.map(pools.status, (all) => all.find(({ name }) => name === "disk") ?? assert.fail())
      const size = Effect.map(disk, ({ size }) => size)
      assert.deepStrictEqual((yield* disk).bounds, { least: 1, most: 64 })
      // More than 12 at the same time are in one another's way.
      const seen = { now: 0 }
      const task = Effect.gen(function*() {
        seen.now++
        yield* Effect.sleep(seen.now <= 12 ? 20 : 20 * (seen.now / 12) ** 2)
        seen.now--
      })
      const { runEffect } = yield* dispatcher
      yield* Effect.forEach(
        Array.from({ length: 80 }),
        () => Effect.forkScoped(Effect.forever(runEffect(task, { pool: "disk" }))),
        { discard: true }
      )
      yield* TestClock.adjust("20 seconds")
      const sizes = new Set<number>()
      for (let i = 0; i < 20; i++) {
        yield* TestClock.adjust("200 millis")
        sizes.add(yield* size)
      }
      assert.isAtLeast(Math.min(...sizes), 6)
      assert.isAtMost(Math.max(...sizes), 24)
      yield* pools.resize("disk", 3)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* size, 3)
      assert.isNull((yield* disk).bounds)
      assert.strictEqual(seen.now, 3)
    }).pipe(
      Effect.scoped,
      Effect.provide(TaskDispatcher.layer.pipe(
        Layer.provideMerge(Pools.layer({ disk: { least: 1, first: 64, most: 64 } }))
      ))
    ))

  it.effect("refuses bounds that no size is within", () =>
    Effect.gen(function*() {
      for (
        const bounds of [{ least: 0, first: 1, most: 2 }, { least: 2, first: 1, most: 2 }, {
          least: 1,
          first: 3,
          most: 2
        }]
      ) {
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(Pools.layer({ io: bounds }))))
        assert.include(String(exit), "least")
      }
    }))
})
