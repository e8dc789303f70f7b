import { assert, describe, it } from "@effect/vitest"
import { ClusterWorkers, type WorkerStatus } from "@fanout/core/ClusterWorkers"
import { JobManager } from "@fanout/core/JobManager"
import * as Pools from "@fanout/core/Pools"
import * as Task from "@fanout/core/Task"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import { briefs } from "../src/internal/cluster/liveWorkers.ts"
import * as Worker from "../src/internal/cluster/workerLayer.ts"
import { drive, ownerOf, runMany, Tasks, World } from "./ClusterWorld.ts"

/** Runs a job, and gives what is known of workers in between. */
const watch = (world: World, atMillis: number, count: number, steps: number) =>
  Effect.gen(function*() {
    const { list } = yield* ClusterWorkers
    const [statuses] = yield* Effect.all([Effect.delay(list, atMillis), runMany(count, steps)], { concurrency: 2 })
    return statuses
  }).pipe(Effect.provide(ownerOf(world)), (job) => drive(job))

const gauge = (name: string) => Effect.map(Metric.value(Metric.gauge(name)), ({ value }) => value)

describe("ClusterWorkers", () => {
  it.effect("tells which workers there are, what they have in hand, and why one is of no use", () =>
    Effect.gen(function*() {
      const world = new World()
      yield* world.start()
      const Other = RpcGroup.make(Task.make("test/Work", { payload: { n: Schema.String } }))
      const handlers = Other.toLayer({ "test/Work": () => Effect.void })
      yield* world.startWith("old", Layer.provide(Worker.layer(Other), [handlers, Pools.layer()]))
      const metered = Effect.gen(function*() {
        yield* Effect.sleep(1000)
        return [yield* gauge("fanout_cluster_workers"), yield* gauge("fanout_cluster_tasks_in_hand")]
      })
      const [statuses, metrics] = yield* Effect.all([watch(world, 1000, 40, 50), metered], { concurrency: 2 })

      const byAddress = new Map(statuses.map((status: WorkerStatus) => [status.address, status]))
      assert.deepStrictEqual(Array.from(byAddress.keys()), ["old", "worker-1"])
      const [old, worker] = [byAddress.get("old"), byAddress.get("worker-1")]
      assert.deepInclude(old, { _tag: "Connected", inHand: 0 })
      assert.deepStrictEqual(old?._tag === "Connected" ? old.refuses : [], [
        ["test/Work", "has another version of it, with other schemas"],
        ["test/Slow", "does not have it"]
      ])
      assert.strictEqual(worker?._tag, "Connected")
      if (worker?._tag !== "Connected") return
      assert.isAtLeast(worker.inHand, 8)
      assert.isAtLeast(worker.ended, 8)
      assert.isAbove(worker.perSecond, 4)
      assert.isAtMost(worker.greetingMillis, 10)
      assert.isAtMost(worker.silentMillis, 1010)
      assert.deepStrictEqual(metrics, [2, worker.inHand])
      assert.strictEqual(yield* gauge("fanout_cluster_workers"), 0)
    }))

  it.effect("tells of a worker that can't be reached", () =>
    Effect.gen(function*() {
      const world = new World()
      const name = yield* world.start()
      world.cut.add(name)
      const { list } = yield* Effect.provide(
        Effect.gen(function*() {
          const { list } = yield* ClusterWorkers
          const before = yield* Effect.delay(list, 1000)
          return { list: [...before, ...yield* Effect.delay(list, 5000)] }
        }),
        ownerOf(world)
      ).pipe((job) => drive(job))

      assert.deepStrictEqual(list, [
        { _tag: "Connecting", address: name },
        { _tag: "Unusable", address: name, why: "can't be reached: it gave no answer within 5 s" }
      ])
    }))

  it.effect("has others run what a worker refuses, and tells why", () =>
    Effect.gen(function*() {
      const world = new World()
      const handlers = Layer.merge(world.handlers("picky"), Pools.layer({ io: 8 }))
      const refuse = ({ n }: { readonly n: number }) => Effect.succeed(n === 2 ? Option.some("no 2") : Option.none())
      yield* world.startWith("picky", Layer.provide(Worker.layer(Tasks, { refuse }), handlers))
      yield* world.start()
      const statuses = yield* watch(world, 500, 60, 20)

      assert.deepInclude(statuses.find(({ address }) => address === "picky"), {
        refuses: [["test/Work", "can't run it: no 2"]]
      })
      assert.isTrue(world.marks.some(({ worker }) => worker === "picky"))
      assert.isFalse(world.marks.some(({ n, worker }) => worker === "picky" && n === 2))
      assert.strictEqual(new Set(world.marks.map(({ n }) => n)).size, 60)
    }))

  it.effect("gives a worker tasks again that it could not run for a while", () =>
    Effect.gen(function*() {
      const world = new World()
      const handlers = Layer.merge(world.handlers("picky"), Pools.layer({ io: 8 }))
      let lacks = true
      const refuse = () => Effect.sync(() => lacks ? Option.some("its disk is gone") : Option.none())
      yield* world.startWith("picky", Layer.provide(Worker.layer(Tasks, { refuse }), handlers))
      const statuses = yield* Effect.gen(function*() {
        const { list } = yield* ClusterWorkers
        const looks = Effect.all([Effect.delay(list, 5000), Effect.delay(list, 11_000), Effect.delay(list, 6000)])
        const mend = Effect.delay(Effect.sync(() => (lacks = false)), 17_000)
        const [found] = yield* Effect.all([looks, mend, runMany(60, 50)], { concurrency: 3 })
        return found
      }).pipe(Effect.provide(ownerOf(world)), (job) => drive(job))

      const refused = [["test/Work", "can't run it: its disk is gone"] as const]
      assert.deepStrictEqual(
        statuses.map(([one]) => one?._tag === "Connected" ? one.refuses : undefined),
        [refused, refused, []]
      )
      const from = Math.min(...world.marks.map(({ from }) => from))
      assert.isAbove(from, 17_000)
      assert.isBelow(from, 21_000)
      assert.strictEqual(new Set(world.marks.map(({ n }) => n)).size, 60)
    }))

  it.effect("ends a job that all workers refuse, although they are asked again", () =>
    Effect.gen(function*() {
      const world = new World()
      const handlers = Layer.merge(world.handlers("picky"), Pools.layer({ io: 8 }))
      const refuse = () => Effect.succeedSome("its disk is gone")
      yield* world.startWith("picky", Layer.provide(Worker.layer(Tasks, { refuse }), handlers))
      const exit = yield* Effect.exit(runMany(20, 1)).pipe(Effect.provide(ownerOf(world)), (job) => drive(job))

      assert.include(String(exit), "its disk is gone")
      assert.approximately(yield* Clock.currentTimeMillis, 31_000, 1500)
      assert.deepStrictEqual(world.marks, [])
    }))

  it.effect("are told of by the jobs of a process, which other processes read", () =>
    Effect.gen(function*() {
      const world = new World()
      yield* world.start()
      const lost = yield* world.start()
      world.cut.add(lost)
      const [before, after, ended] = yield* Effect.gen(function*() {
        const { processes } = yield* JobManager
        const looks = Effect.all([Effect.delay(processes, 900), Effect.delay(processes, 5600)])
        const [found] = yield* Effect.all([looks, runMany(40, 200)], { concurrency: 2 })
        return [...found, yield* processes] as const
      }).pipe(Effect.provide(ownerOf(world)), (job) => drive(job))

      assert.deepStrictEqual(before.map(({ workers }) => workers), [[]])
      assert.deepStrictEqual(ended, [])
      const [worker, other, ...more] = after[0]?.workers ?? []
      assert.deepInclude(worker, { _tag: "Connected", address: "worker-1", silentMillis: 0, refuses: [] })
      assert.isAtLeast(worker?._tag === "Connected" ? worker.inHand : 0, 8)
      assert.deepStrictEqual(other, {
        _tag: "Unusable",
        address: lost,
        why: "can't be reached: it gave no answer within 5 s"
      })
      assert.deepStrictEqual(more, [])
    }))

  it("are told of in so many words at most, and not told anew while they have nothing to do", () => {
    const connected = {
      _tag: "Connected" as const,
      address: "a".repeat(400),
      since: 5,
      inHand: 0,
      ended: 7,
      perSecond: 0.04,
      greetingMillis: 1.26,
      isLeaving: false,
      refuses: Array.from({ length: 40 }, (_, n) => [`task ${n}`, "why ".repeat(200)] as const)
    }
    const told = (silentMillis: number) =>
      briefs(
        new Set([{ statuses: Array.from({ length: 90 }, () => ({ ...connected, silentMillis })) }, { statuses: [] }])
      )
    const [one] = told(20)
    assert.lengthOf(told(20), 90)
    assert.deepStrictEqual(told(20), told(980))
    assert.deepInclude(one, { perSecond: 0, greetingMillis: 1.3, silentMillis: 0, ended: 7 })
    assert.isBelow(JSON.stringify(one).length, 6000)
    const unusable = Array.from(
      { length: 90 },
      () => ({ _tag: "Unusable" as const, address: "b", why: "x".repeat(999) })
    )
    const all = briefs(new Set([{ statuses: unusable }, { statuses: unusable }]))
    assert.lengthOf(all, 128)
    assert.deepStrictEqual(all[0], { _tag: "Unusable", address: "b", why: `${"x".repeat(299)}…` })
  })
})
