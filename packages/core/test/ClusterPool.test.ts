import { assert, describe, it } from "@effect/vitest"
import { JobManager } from "@fanout/core/JobManager"
import { upperMillis } from "@fanout/core/JobTasks"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as ClusterPool from "../src/internal/cluster/clusterPoolLayer.ts"
import { protocol, shapeOf } from "../src/internal/cluster/messages.ts"
import { ClusterLink } from "../src/internal/cluster/wire.ts"
import * as Worker from "../src/internal/cluster/workerLayer.ts"
import { drive, Many, overlaps, ownerOf, runMany, Slow, Tasks, Work, World } from "./ClusterWorld.ts"

describe("ClusterPool, on a simulated network", () => {
  it.effect("comes to the same as fibers, with errors, skips and defects", () =>
    Effect.gen(function*() {
      const world = new World()
      for (let n = 0; n < 3; n++) yield* world.start()
      const { rows, tally } = yield* Effect.gen(function*() {
        const { id, tally } = yield* runMany(1000, 2)
        return { tally, rows: yield* Stream.runCollect((yield* JobManager).outcomes(id)) }
      }).pipe(Effect.provide(ownerOf(world)), (job) => drive(job))

      assert.deepStrictEqual([tally.done, tally.failed, tally.skipped], [790, 110, 100])
      assert.strictEqual(tally.units["steps"], 790 * 2)
      const rowOf = (key: string) => JSON.stringify(rows.find((row) => row.key === key)?.outcome)
      assert.match(rowOf("7"), /"error":\{"_tag":"Bad","at":"1970-01-01T00:00:00.007Z","n":7\}/)
      assert.match(rowOf("99"), /boom 99/)
      assert.strictEqual(new Set(world.marks.map(({ worker }) => worker)).size, 3)
    }))

  it.effect("counts how long tasks ran where they ran, and their ways there and back as waiting", () =>
    Effect.gen(function*() {
      const world = new World()
      world.latency = 100
      yield* world.start()
      const { kinds } = yield* drive(
        Effect.gen(function*() {
          const { id } = yield* runMany(3, 300)
          return yield* JobManager.use((manager) => manager.tasks(id))
        }).pipe(Effect.provide(ownerOf(world)))
      )

      // The greeting takes two ways, too.
      const counts = (millis: number) => [...upperMillis.filter((upper) => upper < millis).map(() => 0), 3]
      assert.deepStrictEqual(kinds, [{ name: "test/Work", waiting: counts(400), running: counts(3000) }])
    }))

  it.effect("loses nothing when workers are killed, and does what they had once more", () =>
    Effect.gen(function*() {
      const world = new World()
      const names = yield* Effect.forEach([1, 2, 3, 4], () => world.start())
      const killAt = new Map([[200, 0], [400, 1], [600, 2]])
      const { tally } = yield* drive(
        Effect.provide(runMany(800, 4), ownerOf(world)),
        (millis) => {
          const at = killAt.get(millis)
          return at === undefined ? undefined : world.kill(names[at] ?? "")
        }
      )

      assert.strictEqual(tally.done + tally.failed + tally.skipped, 800)
      assert.strictEqual(tally.units["steps"], 632 * 4)
      assert.isAbove(world.marks.length, 800)
      assert.isBelow(world.marks.length, 900)
      assert.deepStrictEqual(overlaps(world.marks), [])
    }))

  it.effect.each([["interrupted", Effect.interrupt], ["a defect", Effect.die("no socket")]] as const)(
    "loses nothing when a connection is %s",
    ([, how]) =>
      Effect.gen(function*() {
        const world = new World()
        const first = yield* world.start()
        const { tally } = yield* drive(
          Effect.provide(runMany(40, 20), ownerOf(world)),
          (millis) => millis === 300 ? Effect.andThen(world.start(), world.kill(first, how)) : undefined,
          60_000
        )

        assert.strictEqual(tally.done + tally.failed + tally.skipped, 40)
      })
  )

  it.effect("ends when it closes while a worker is lost that may go on", () =>
    Effect.gen(function*() {
      const world = new World()
      const name = yield* world.start()
      const scope = yield* Scope.make()
      const context = yield* Scope.provide(
        Layer.build(TaskDispatcher.layer.pipe(
          Layer.provideMerge(Layer.merge(ownerOf(world, { grant: "10 minutes" }), Pools.layer()))
        )),
        scope
      )
      const { run } = Context.get(context, TaskDispatcher.TaskDispatcher)
      const fiber = yield* Effect.forkChild(Effect.exit(Effect.provide(run(Work, { n: 1, steps: 10_000 }), context)))
      yield* TestClock.adjust(700)
      world.cut.add(name)
      yield* TestClock.adjust(10_000)
      yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust(5000)

      assert.isDefined(fiber.pollUnsafe())
    }))

  it.effect("has tasks of a worker end before what they use is closed", () =>
    Effect.gen(function*() {
      const world = new World()
      const closed: Array<string> = []
      const resource = Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => closed.push("resource"))))
      const end = Effect.andThen(Effect.sleep(3000), Effect.sync(() => closed.push("task")))
      const handlers = Tasks.toLayer({
        "test/Work": () => Effect.onInterrupt(Effect.never, () => end),
        "test/Slow": () => Effect.never
      })
      yield* world.startWith(
        "one",
        Layer.provide(Worker.layer(Tasks), [Layer.provideMerge(handlers, resource), Pools.layer()])
      )
      const scope = world.workers.get("one")?.scope
      assert.isDefined(scope)
      yield* Effect.gen(function*() {
        const manager = yield* JobManager
        yield* manager.start(Many, { count: 1, steps: 1 })
        yield* Effect.sleep(1000)
        yield* Scope.close(scope, Exit.void)
      }).pipe(Effect.provide(ownerOf(world)), (job) => drive(job, () => undefined, 60_000))

      assert.deepStrictEqual(closed, ["task", "resource"])
    }))

  it.effect("runs tasks that were lost twice side by side: two bad moments of the network slow nothing down", () =>
    Effect.gen(function*() {
      const world = new World()
      let running = yield* Effect.forEach([1, 2], () => world.start(16))
      let kills = 0
      const { tally } = yield* drive(Effect.provide(runMany(64, 100), ownerOf(world)), (millis) => {
        const isDue = kills === 0
          ? millis === 500
          : world.marks.length - new Set(world.marks.map(({ n }) => n)).size > 15
        if (kills === 2 || !isDue) return undefined
        kills++
        return Effect.gen(function*() {
          yield* Effect.forEach(running, (name) => world.kill(name))
          running = yield* Effect.forEach([1, 2], () => world.start(16))
        })
      })

      assert.strictEqual(tally.done + tally.failed + tally.skipped, 64)
      const attempts = Array.from(Map.groupBy(world.marks, ({ n }) => n).values())
      const thirds = attempts.flatMap(([, , third]) => third === undefined ? [] : [third.from])
      assert.isAbove(thirds.length, 8)
      // Alone they would take half a second each.
      assert.isBelow(Math.max(...thirds) - Math.min(...thirds), 3000)
    }))

  it.effect("runs tasks that were lost twice soon", () =>
    Effect.gen(function*() {
      const world = new World()
      const first = yield* world.start(4)
      yield* world.start(4)
      let second = ""
      const { tally } = yield* drive(Effect.provide(runMany(200, 100), ownerOf(world)), (millis) => {
        if (millis === 1500) {
          return Effect.andThen(
            world.kill(first),
            Effect.map(world.start(4), (name) => second = name)
          )
        }
        // It runs a task once more.
        const isAgain = world.marks.some(({ n, worker }) =>
          worker === second && world.marks.some((one) => one.n === n && one.worker === first)
        )
        if (!isAgain || !world.workers.has(second)) return undefined
        return Effect.andThen(world.kill(second), world.start(4))
      })

      assert.strictEqual(tally.done + tally.failed + tally.skipped, 200)
      const attempts = Array.from(Map.groupBy(world.marks, ({ n }) => n).values())
      const start = world.marks[0]?.from ?? 0
      const thirds = attempts.flatMap(([, , third]) => third === undefined ? [] : [third.from - start])
      assert.isAbove(thirds.length, 0)
      // The job takes 30 s.
      assert.isBelow(Math.max(...thirds), 20_000)
    }))

  it.effect("goes on with a worker whose tasks report what is no number", () =>
    Effect.gen(function*() {
      const world = new World()
      const odd = Effect.map(Progress.Reporter, (reporter) => {
        for (const amount of [Number.NaN, Number.POSITIVE_INFINITY]) {
          reporter.addUnsafe("odd", amount)
          reporter.totalUnsafe("odd", amount)
        }
      })
      const handlers = Tasks.toLayer({
        "test/Work": () => Effect.as(odd, 1n),
        "test/Slow": () => Effect.never
      })
      yield* world.startWith("one", Layer.provide(Worker.layer(Tasks), [handlers, Pools.layer()]))
      const { tally } = yield* drive(Effect.provide(runMany(10, 1), ownerOf(world)), () => undefined, 20_000)

      assert.strictEqual(tally.done, 10)
    }))

  it.effect("has a task fail whose result has no JSON, and no other one", () =>
    Effect.gen(function*() {
      const world = new World()
      const Any = Task.make("test/Any", { payload: { n: Schema.Number }, success: Schema.Any, error: Schema.Any })
      const group = RpcGroup.make(Any)
      const results = [undefined, 1n, [2n], "fine"]
      const handlers = group.toLayer({
        "test/Any": ({ n }) => n < 10 ? Effect.succeed(results[n]) : Effect.fail(results[n - 10])
      })
      yield* world.startWith("one", Layer.provide(Worker.layer(group), [handlers, Pools.layer()]))
      const pool = Layer.provide(ClusterPool.layer(group), [world.layer, Layer.fresh(OwnerLiveness.layerBlind)])
      const exits = yield* Effect.forEach([0, 1, 2, 3, 10, 11, 13], (n) =>
        Effect.exit(TaskDispatcher.TaskDispatcher.use((_) => _.run(Any, { n }))), { concurrency: "unbounded" }).pipe(
          Effect.provide(TaskDispatcher.layer.pipe(Layer.provideMerge(Layer.merge(pool, Pools.layer())))),
          (tasks) =>
            drive(tasks, () =>
              undefined, 20_000)
        )

      const texts = exits.map((exit) => Exit.isSuccess(exit) ? exit.value : Cause.pretty(exit.cause))
      assert.strictEqual(texts[3], "fine")
      assert.include(texts[6], "fine")
      for (const at of [0, 1, 2, 4, 5]) assert.match(String(texts[at]), /Expected JSON value/)
    }))

  it.effect("runs tasks of one pool while those of another one wait", () =>
    Effect.gen(function*() {
      const world = new World()
      const payload = { n: Schema.Number }
      const [Long, Short] = [Task.make("test/Long", { payload, pool: "cpu" }), Task.make("test/Short", { payload })]
      const group = RpcGroup.make(Long, Short)
      const handlers = group.toLayer({ "test/Long": () => Effect.sleep(10_000), "test/Short": () => Effect.sleep(10) })
      const pools = Pools.layer({ cpu: 2, io: 4 })
      yield* world.startWith("one", Layer.provide(Worker.layer(group), [handlers, pools]))
      const pool = Layer.provide(ClusterPool.layer(group), [world.layer, Layer.fresh(OwnerLiveness.layerBlind)])
      const numbers = Array.from({ length: 100 }, (_, n) => n)
      const short = Effect.gen(function*() {
        const { run } = yield* TaskDispatcher.TaskDispatcher
        yield* Effect.forkChild(
          Effect.forEach(numbers, (n) => run(Long, { n }), { concurrency: "unbounded", discard: true })
        )
        yield* Effect.sleep(1000)
        const all = Effect.forEach(numbers, (n) => run(Short, { n }), { concurrency: "unbounded", discard: true })
        const [took] = yield* Effect.timed(all)
        return Duration.toMillis(took)
      })
      const took = yield* drive(
        Effect.provide(short, TaskDispatcher.layer.pipe(Layer.provideMerge(Layer.merge(pool, Pools.layer())))),
        () => undefined,
        60_000
      )

      assert.isBelow(took, 1000)
    }))

  it.effect("keeps workers busy while others are lost that may go on", () =>
    Effect.gen(function*() {
      const world = new World()
      const [lost = "", busy = ""] = yield* Effect.forEach([1, 2], () => world.start(4))
      const { tally } = yield* drive(
        Effect.provide(runMany(1000, 10), ownerOf(world)),
        (millis) => millis === 2000 ? Effect.sync(() => world.cut.add(lost)) : undefined
      )

      assert.strictEqual(tally.done + tally.failed + tally.skipped, 1000)
      const begun = world.marks.filter(({ worker }) => worker === busy).map(({ from }) => from).toSorted((a, b) =>
        a - b
      )
      const waits = begun.map((from, at) => from - (begun[at - 1] ?? from))
      assert.isBelow(Math.max(...waits), 300)
    }))

  it.effect("has nobody else at a task while a worker that is cut off may be", () =>
    Effect.gen(function*() {
      const world = new World()
      const names = yield* Effect.forEach([1, 2, 3], () => world.start(20))
      const cutOff = names[0] ?? ""
      const { tally } = yield* drive(Effect.provide(runMany(30, 1000), ownerOf(world)), (millis) => {
        if (millis === 2000) world.cut.add(cutOff)
        if (millis === 20_000) world.cut.delete(cutOff)
        return undefined
      })

      assert.strictEqual(tally.done + tally.failed + tally.skipped, 30)
      assert.isAbove(world.marks.length, 30)
      assert.deepStrictEqual(overlaps(world.marks), [])
      // The worker stopped by itself, since it had not heard of its owner.
      assert.isTrue(world.marks.some(({ reason, worker }) => worker === cutOff && reason === "LeaseLost"))
    }))

  it.effect.each(["is cut off", "stands still"] as const)(
    "has nobody else at a task that never looks at its lease, when its worker %s",
    (what) =>
      Effect.gen(function*() {
        const world = new World()
        const names = yield* Effect.forEach([1, 2], () => world.startBlind(20))
        const [name = ""] = names
        const process = world.workers.get(name)?.process
        const owner = ownerOf(world, {}, "15 seconds", "10 seconds")
        const { tally } = yield* drive(Effect.provide(runMany(20, 1500), owner), (millis) =>
          Effect.sync(() => {
            if (millis === 2000) {
              if (what === "is cut off") world.cut.add(name)
              else process?.freeze()
            }
            if (millis === 30_000) {
              world.cut.delete(name)
              process?.thaw()
            }
          }))

        assert.strictEqual(tally.done, 20)
        assert.isAbove(world.marks.length, 20)
        assert.deepStrictEqual(overlaps(world.marks), [])
      })
  )

  it.effect("runs tasks again that have found their lease over while a message was under way", () =>
    Effect.gen(function*() {
      const world = new World()
      yield* world.start(20)
      const owner = ownerOf(world, { grant: "1130 millis" })
      const { tally } = yield* drive(Effect.provide(runMany(30, 200), owner), (millis) => {
        if (millis === 500) world.latency = 1500
        if (millis === 600) world.latency = 1
        return undefined
      })

      // None of them has failed by that, and no connection was lost.
      assert.deepStrictEqual([tally.done, tally.failed, tally.skipped], [24, 3, 3])
      assert.isTrue(world.marks.some(({ reason }) => reason === "LeaseLost"))
      assert.deepStrictEqual(overlaps(world.marks), [])
    }))

  it.effect("holds leases of jobs that are held for short times", () =>
    Effect.gen(function*() {
      const world = new World()
      yield* world.start(20)
      const { tally } = yield* drive(Effect.provide(runMany(20, 400), ownerOf(world, {}, "2 seconds")))

      assert.strictEqual(tally.done, 16)
      assert.strictEqual(world.marks.length, 20)
    }))

  it.effect("gives back a task whose lease was over and is forgotten", () =>
    Effect.gen(function*() {
      const world = new World()
      const host = world.workers.get(yield* world.start())?.host
      assert.isDefined(host)
      const told = yield* Queue.unbounded<string>()
      const heard = yield* Queue.unbounded<string>()
      const wire = { receive: Queue.take(told), send: (text: string) => Effect.asVoid(Queue.offer(heard, text)) }
      yield* Effect.forkChild(host.serve(wire))
      yield* Queue.offer(told, JSON.stringify({ protocol, tasks: [["test/Work", shapeOf(Work)]] }))
      yield* Queue.offer(told, `0 ${JSON.stringify({ tasks: [[5, 1, 0, { n: 1, steps: 1 }]] })}`)

      assert.include(yield* Queue.take(heard), "\"process\"")
      assert.include(yield* Queue.take(heard), "\"back\":[5]")
    }))

  it.effect("goes on from a checkpoint on another worker", () =>
    Effect.gen(function*() {
      const world = new World()
      const first = yield* world.start()
      const result = yield* drive(
        TaskDispatcher.TaskDispatcher.use((_) => _.run(Work, { n: 13, steps: 100 })).pipe(
          Effect.provide(TaskDispatcher.layer.pipe(Layer.provideMerge(Layer.merge(ownerOf(world), Pools.layer()))))
        ),
        (millis) => millis === 500 ? Effect.andThen(world.start(), world.kill(first)) : undefined
      )

      assert.strictEqual(result, 13n)
      assert.strictEqual(world.marks.length, 2)
      assert.isAbove(world.marks[1]?.begin ?? 0, 40)
    }))

  it.effect("tells handlers why they stop, and takes back what has not begun", () =>
    Effect.gen(function*() {
      const world = new World()
      yield* world.start()
      const state = yield* Effect.gen(function*() {
        const manager = yield* JobManager
        const { id } = yield* manager.start(Many, { count: 50, steps: 10_000 })
        yield* Effect.sleep(1000)
        yield* manager.pause(id)
        yield* Effect.sleep(1000)
        return (yield* manager.get(id)).state._tag
      }).pipe(Effect.provide(ownerOf(world)), (job) => drive(job))

      assert.strictEqual(state, "Paused")
      assert.strictEqual(world.marks.length, 8)
      assert.deepStrictEqual(new Set(world.marks.map(({ reason }) => reason)), new Set(["Pause"]))
    }))

  it.effect("times out where the task runs, and retries", () =>
    Effect.gen(function*() {
      const world = new World()
      yield* world.start()
      const { error, took } = yield* Effect.gen(function*() {
        const clock = yield* Clock.Clock
        const from = clock.currentTimeMillisUnsafe()
        const { run } = yield* TaskDispatcher.TaskDispatcher
        const error = yield* Effect.flip(run(Slow, { n: 1 }))
        return { error, took: clock.currentTimeMillisUnsafe() - from }
      }).pipe(
        Effect.provide(TaskDispatcher.layer.pipe(Layer.provideMerge(Layer.merge(ownerOf(world), Pools.layer())))),
        (job) => drive(job)
      )

      assert.deepInclude(error, { _tag: "Interrupted", reason: "Timeout" })
      // Two attempts of 3 s, each interrupted after the grace of 1 s.
      assert.isAtLeast(took, 8000)
      assert.isAtMost(took, 8200)
    }))

  it.effect("ends unsettled where all workers have another version of a task, and names both", () =>
    Effect.gen(function*() {
      const world = new World()
      const Other = Task.make("test/Work", { payload: { n: Schema.String } })
      const others = RpcGroup.make(Other)
      const handlers = others.toLayer({ "test/Work": () => Effect.void })
      yield* world.startWith("old", Layer.provide(Worker.layer(others), [handlers, Pools.layer()]))
      const exit = yield* drive(Effect.exit(Effect.provide(runMany(20, 1), ownerOf(world))))

      const text = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
      assert.match(text, /No worker takes the task "test\/Work": old has another version of it, with other schemas/)
    }))

  it.effect("names a worker of another version of the protocol, whatever else that says", () =>
    Effect.gen(function*() {
      const wire = { receive: Effect.succeed("{\"protocol\":2}"), send: () => Effect.void }
      const layer = Layer.succeed(ClusterLink, {
        workers: Effect.succeed(["new:1"]),
        connect: () => Effect.succeed(wire)
      })
      const exit = yield* drive(Effect.exit(Effect.provide(runMany(20, 1), ownerOf({ layer }))))

      const text = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
      assert.include(text, "new:1 has version 2 of the protocol; the owner has 1")
    }))

  it.effect.each([["2", "version 2"], [undefined, "no version"]] as const)(
    "has no tasks run by a worker of another program, with %s as its version",
    ([program, told]) =>
      Effect.gen(function*() {
        const world = new World()
        const other = program === undefined ? {} : { program }
        yield* world.startWith(
          "other",
          Layer.provide(Worker.layer(Tasks, other), [world.handlers("other"), Pools.layer()])
        )
        const run = Effect.provide(runMany(20, 1), ownerOf(world, { program: "1" }))
        const exit = yield* drive(Effect.exit(run))

        assert.deepStrictEqual(world.marks, [])
        const text = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
        assert.include(text, `other has ${told} of the program; the owner has version 1`)

        const own = Layer.provide(Worker.layer(Tasks, { program: "1" }), [world.handlers("own"), Pools.layer()])
        yield* world.startWith("own", own)
        const { tally } = yield* drive(run)
        assert.strictEqual(tally.done + tally.failed + tally.skipped, 20)
        assert.isTrue(world.marks.every(({ worker }) => worker === "own"))
      })
  )

  it.effect("gives the tasks that no worker takes to one that comes later", () =>
    Effect.gen(function*() {
      const world = new World()
      const { tally } = yield* drive(
        Effect.provide(runMany(20, 1), ownerOf(world)),
        (millis) => millis === 60_000 ? world.start() : undefined
      )

      assert.strictEqual(tally.done, 16)
    }))

  it.effect("runs nothing again when a worker leaves", () =>
    Effect.gen(function*() {
      const world = new World()
      const names = yield* Effect.forEach([1, 2], () => world.start())
      const { tally } = yield* drive(
        Effect.provide(runMany(400, 4), ownerOf(world)),
        (millis) => millis === 300 ? world.leave(names[0] ?? "") : undefined
      )

      assert.strictEqual(tally.done + tally.failed + tally.skipped, 400)
      assert.strictEqual(world.marks.length, 400)
      assert.isFalse(world.workers.has(names[0] ?? ""))
    }))
})
