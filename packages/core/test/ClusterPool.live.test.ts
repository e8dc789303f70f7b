import { assert, beforeAll, describe, it } from "@effect/vitest"
import { layerCluster, layerWorker } from "@fanout/core/cluster"
import { JobManager } from "@fanout/core/JobManager"
import { JobStore } from "@fanout/core/JobStore"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import { layerOwnerLiveness } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { layerProcesses, layerThreads } from "@fanout/core/threads"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import { spawnSync } from "node:child_process"
import * as path from "node:path"
import { isLong } from "../../../test/effort.ts"
import { startStopwatch } from "../../../test/stopwatch.ts"
import { surviveKills } from "./clusterKills.ts"
import { freePort, overlaps, startOwner, startProxy, startWorker, startWorkers, until } from "./clusterProcesses.ts"
import {
  clientOf,
  createWalked,
  Echo,
  Keep,
  layerOwner,
  layerTasks,
  notesOf,
  security,
  Walk,
  Walking,
  Walks,
  Wedge
} from "./clusterTasks.ts"
import { pools } from "./fanOutHarness.ts"
import { programs } from "./postgresProcess.ts"
import { PostgresDatabase, PostgresServer } from "./postgresServer.ts"
import { deterministic, outcomeOfActs } from "./threadActs.ts"
import { handlers as handlersOfActs, Tasks as Acts } from "./threadTasks.ts"

const ip = (...args: ReadonlyArray<string>): boolean => spawnSync("ip", args, { stdio: "ignore" }).status === 0

const space = `fanout-${process.pid}`
const hasSpaces = process.platform === "linux" && ip("netns", "add", space) && ip("netns", "del", space)

/** A network of its own for a process, which can be cut off. */
const networkSpace = Effect.acquireRelease(
  Effect.sync(() => {
    ip("netns", "add", space)
    ip("link", "add", "fanout-a", "type", "veth", "peer", "name", "fanout-b", "netns", space)
    ip("addr", "add", "10.231.7.1/30", "dev", "fanout-a")
    ip("link", "set", "fanout-a", "up")
    for (
      const args of [["addr", "add", "10.231.7.2/30", "dev", "fanout-b"], ["link", "set", "fanout-b", "up"], [
        "link",
        "set",
        "lo",
        "up"
      ]]
    ) {
      ip("-n", space, ...args)
    }
  }),
  () => Effect.sync(() => void ip("netns", "del", space))
)

const appOf = (tasks: ReturnType<typeof layerTasks>) =>
  Layer.merge(tasks, TaskDispatcher.layer.pipe(Layer.provide(Pools.layer())))

describe.skipIf(programs === undefined)("ClusterPool of processes", () => {
  let database: PostgresDatabase
  beforeAll(async () => {
    database = await PostgresDatabase.open()
  })

  const prepared = Effect.gen(function*() {
    const registry = yield* database.schema
    yield* Effect.provide(createWalked, clientOf(registry), { local: true })
    const logged: Array<string> = []
    const logger = Logger.layer([
      Logger.make(({ logLevel, message }) => void logged.push(`${logLevel}: ${String(message)}`))
    ])
    const notes = path.join(database.folder, `notes-${crypto.randomUUID()}`)
    return { registry, notes, logged, owner: Layer.fresh(Layer.provideMerge(layerOwner(registry), logger)) }
  })

  it.live("comes to the same as fibers, threads and processes", () =>
    Effect.gen(function*() {
      const { registry } = yield* prepared
      yield* startWorkers(registry, 3, { tasks: "acts" })
      const onWorkers = layerCluster(Acts, { security }).pipe(Layer.provide([clientOf(registry), layerOwnerLiveness]))
      const acts = Array.from({ length: 100 }, (_, n) => deterministic[(n * 7 + n % 3) % deterministic.length] ?? "")
      const comesTo = <E>(tasks: Layer.Layer<Layer.Success<ReturnType<typeof handlersOfActs>>, E>) =>
        Effect.provide(outcomeOfActs(acts, { concurrency: 16 }), [tasks, pools, MemoryJobStore.layer], { local: true })
      const plain = (come: object) => JSON.parse(JSON.stringify(come).replaceAll("\"thread\":true", "\"thread\":false"))
      const child = { module: new URL("./threadChild.ts", import.meta.url), execArgv: ["--conditions=@fanout/source"] }

      const onFibers = plain(yield* comesTo(handlersOfActs(false)))
      assert.deepStrictEqual(plain(yield* comesTo(onWorkers)), onFibers)
      assert.deepStrictEqual(plain(yield* comesTo(layerThreads(Acts, { ...child, size: 2 }))), onFibers)
      assert.deepStrictEqual(plain(yield* comesTo(layerProcesses(Acts, { ...child, size: 2 }))), onFibers)
    }))

  it.live("has enough with three connections for all, and refuses fewer", () =>
    Effect.gen(function*() {
      const registry = yield* database.schema
      const exitWith = (maxConnections: number) =>
        Effect.gen(function*() {
          const port = yield* freePort
          const client = clientOf({ ...registry, maxConnections })
          const at = { security, host: "127.0.0.1", port }
          const worker = Layer.provide(layerWorker(Acts, at), [handlersOfActs(false), pools])
          const store = Layer.effectDiscard(
            JobStore.use(({ changes }) => Effect.forkScoped(Stream.runDrain(changes)))
          ).pipe(Layer.provideMerge(Layer.fresh(SqlJobStore.layer)))
          const all = Layer.mergeAll(layerCluster(Acts, { security }), worker, store).pipe(
            Layer.provide([client, layerOwnerLiveness])
          )
          const act = outcomeOfActs([""], { concurrency: 1 })
          return yield* Effect.exit(Effect.provide(act, [all, pools], { local: true }))
        })

      const few = yield* exitWith(2)
      assert.include(Exit.isFailure(few) ? Cause.pretty(few.cause) : "", "has 2 connections. It needs 3")
      assert.isTrue(Exit.isSuccess(yield* exitWith(3)))
    }))

  it.live("carries what is large, and says of what is too large which task it was", () =>
    Effect.gen(function*() {
      const { registry } = yield* prepared
      yield* startWorker(registry)
      const app = appOf(layerTasks(registry))
      yield* Effect.gen(function*() {
        const { run } = yield* TaskDispatcher.TaskDispatcher
        const some = "\"é\"".repeat(200_000)
        const sizes = yield* Effect.forEach(
          Array.from({ length: 30 }),
          () => Effect.map(run(Echo, { text: some, size: 2 }), ({ length }) => length),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(new Set(sizes), new Set([2 * some.length]))
        assert.strictEqual(yield* run(Keep, { size: 2 ** 23 }), 2 ** 23)

        const most = 2 ** 24
        const why = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
          Effect.map(Effect.exit(effect), (exit) => Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")
        const reasons = yield* Effect.all([
          why(run(Echo, { text: "x".repeat(most), size: 1 })),
          why(run(Echo, { text: "x", size: most })),
          why(run(Keep, { size: most }))
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual(
          reasons.map((text) => /Its \w+ takes more than \d+ characters/.exec(text)?.[0]),
          ["payload", "result", "checkpoint"].map((what) => `Its ${what} takes more than ${most} characters`)
        )
        assert.strictEqual(yield* run(Echo, { text: "x", size: 1 }), "x")
      }).pipe(Effect.provide(app))
    }))

  it.live("runs what a killed worker had in hand again within 2 s, and names it", () =>
    Effect.gen(function*() {
      const { logged, notes, owner, registry } = yield* prepared
      const [killed, other] = yield* startWorkers(registry, 2)
      assert.isDefined(killed)
      const result = yield* Effect.gen(function*() {
        const manager = yield* JobManager
        const job = yield* manager.start(Walking, { count: 60, steps: 10, millis: 50, notes })
        yield* until("begin", () => notesOf(notes).filter(({ pid }) => pid === killed.pid).length > 20)
        yield* killed.kill("SIGKILL")
        const begins = notesOf(notes).filter(({ pid, what }) => pid === killed.pid && what === "begins")
        const had = new Set(begins.map(({ n }) => n))
        yield* until(
          "begin again",
          () => notesOf(notes).some(({ n, pid, what }) => pid === other?.pid && what === "begins" && had.has(n)),
          2000
        )
        return yield* job.await
      }).pipe(Effect.provide(owner))

      assert.deepStrictEqual(result, { done: 60, failed: 0, steps: 600 })
      const [, count = "0"] =
        new RegExp(`Warn: Worker ${killed.address} is lost with (\\d+) tasks`).exec(logged.join()) ?? []
      const all = notesOf(notes)
      const begins = all.filter(({ what }) => what === "begins")
      assert.isAbove(begins.length, 60)
      assert.isAtMost(begins.length, 60 + Number(count))
      assert.deepStrictEqual(overlaps(all), [])
    }))

  // They mostly wait, so they wait together.
  describe("with what ends by time", { concurrent: true }, () => {
    it.live("runs what workers had that are frozen or cut off again, when they surely have stopped", () =>
      Effect.gen(function*() {
        const { logged, notes, owner, registry } = yield* prepared
        const cpu = 3
        const [stopped, healthy] = yield* startWorkers(registry, 2, { cpu })
        const behindProxy = yield* startWorker(registry, { host: "127.0.0.2", cpu })
        const proxy = yield* startProxy(behindProxy.host, behindProxy.port)
        assert.isDefined(stopped)
        assert.isDefined(healthy)
        if (hasSpaces) yield* networkSpace
        const elsewhere = hasSpaces
          ? yield* startWorker(registry, { host: "10.231.7.2", listen: "10.231.7.2", cpu }, [
            "ip",
            "netns",
            "exec",
            space
          ])
          : undefined
        const lost = [stopped, behindProxy, ...elsewhere === undefined ? [] : [elsewhere]]
        let backAt = 0
        const result = yield* Effect.gen(function*() {
          const manager = yield* JobManager
          const walks = { count: 60, steps: 10, millis: 100, notes }
          const job = yield* manager.start(Walking, walks)
          yield* until("begin", () => lost.every(({ pid }) => notesOf(notes).some((note) => note.pid === pid)))
          yield* stopped.kill("SIGSTOP")
          proxy.isCut = true
          if (elsewhere !== undefined) ip("link", "set", "fanout-a", "down")
          const elapsed = startStopwatch()
          yield* until(
            "loss of all",
            () => logged.filter((line) => line.includes("is lost with")).length === lost.length
          )
          // What they had runs elsewhere before they are back.
          const had = new Set(notesOf(notes).filter(({ pid }) => lost.some((one) => one.pid === pid)).map(({ n }) => n))
          yield* until("again", () => {
            const all = notesOf(notes).filter(({ pid, what }) =>
              pid === healthy.pid && what === "begins" || what === "ends"
            )
            const elements = new Set(all.map(({ n }) => n))
            return Array.from(had).every((n) => elements.has(n))
          })
          assert.isBelow(elapsed(), 16_000)
          backAt = Date.now()
          yield* stopped.kill("SIGCONT")
          proxy.isCut = false
          if (elsewhere !== undefined) ip("link", "set", "fanout-a", "up")
          return yield* job.await
        }).pipe(Effect.provide(owner))

        assert.deepStrictEqual(result, { done: 60, failed: 0, steps: 600 })
        const all = notesOf(notes)
        assert.deepStrictEqual(overlaps(all), [])
        for (const { address, pid } of lost) {
          assert.include(logged.join(), `Warn: Worker ${address} is lost with`)
          assert.isTrue(
            all.some((note) => note.pid === pid && note.at > backAt && note.what === "ends"),
            `${address} is not back`
          )
        }
      }))

    it.live("goes on without a worker whose event loop is busy for too long", () =>
      Effect.gen(function*() {
        const { notes, registry } = yield* prepared
        yield* startWorkers(registry, 2, { cpu: 3 })
        const app = appOf(layerTasks(registry))
        const walks = yield* Effect.gen(function*() {
          const { run } = yield* TaskDispatcher.TaskDispatcher
          const walk = (n: number) => run(Walk, { n, steps: 20, millis: 50, notes })
          const wedge = Effect.andThen(Effect.sleep(500), run(Wedge, { millis: 6000, notes }))
          const [walks] = yield* Effect.all([Effect.forEach([1, 2, 3, 4], walk, { concurrency: 4 }), wedge], {
            concurrency: 2
          })
          return walks
        }).pipe(Effect.provide(app))

        assert.deepStrictEqual(walks, [1, 2, 3, 4])
        assert.strictEqual(notesOf(notes).filter(({ what }) => what === "wedges").length, 1)
        assert.deepStrictEqual(overlaps(notesOf(notes)), [])
      }))

    it.live("goes on while the database of the registry is away", () =>
      Effect.gen(function*() {
        const away = yield* PostgresServer.scoped
        const registry = yield* away.schema
        const worker = yield* startWorker(registry)
        yield* Effect.gen(function*() {
          const { run } = yield* TaskDispatcher.TaskDispatcher
          const echo = run(Echo, { text: "x", size: 1 })
          yield* echo
          away.halt()
          yield* Effect.sleep(4000)
          assert.strictEqual(yield* echo, "x")
          away.resume()
          yield* startWorker(registry)
          yield* worker.end
          assert.strictEqual(yield* Effect.timeout(echo, 20_000), "x")
        }).pipe(Effect.provide(appOf(layerTasks(registry))))
      }))

    it.live("has tasks end of an owner that is frozen or killed, and another owner goes on with its job", () =>
      Effect.gen(function*() {
        const { logged, notes, owner, registry } = yield* prepared
        const workers = yield* startWorkers(registry, 2, { cpu: 4 })
        const walks = { count: 8, steps: 50, millis: 100, notes }
        const first = yield* startOwner(registry, walks)
        yield* until("begin", () => notesOf(notes).length > 16)
        yield* first.kill("SIGSTOP")
        const stoppedAt = Date.now()
        const elapsed = startStopwatch()
        const isStopped = ({ at, what }: { readonly at: number; readonly what: string }) =>
          what.startsWith("stops: ") && at >= stoppedAt
        yield* until("stop", () => notesOf(notes).some(isStopped), 8000)
        // A worker that is asked to end does not wait for it.
        const [, leaves] = workers
        yield* leaves?.kill("SIGTERM") ?? Effect.void
        yield* until("end of the worker", () => leaves?.isAlive === false, 8000)
        yield* first.end
        const busyMillis = Date.now() - stoppedAt - elapsed()
        const killedAt = Date.now()
        const result = yield* Effect.gen(function*() {
          const manager = yield* JobManager
          const job = yield* manager.start(Walking, walks)
          yield* until("begin", () => notesOf(notes).some(({ at, what }) => what === "begins" && at > killedAt))
          return yield* job.await
        }).pipe(Effect.provide(owner))

        assert.deepStrictEqual(result, { done: 8, failed: 0, steps: 400 })
        const all = notesOf(notes)
        const stops = all.filter(isStopped)
        assert.isAtMost(Math.max(...stops.map(({ at }) => at)) - stoppedAt, 6000 + busyMillis)
        for (const { what } of stops) assert.match(what, /^stops: (?:LeaseLost|no lease)$/)
        assert.deepStrictEqual(overlaps(all), [])
        assert.notInclude(logged.join(), "is lost")
        for (const { output } of workers) assert.notMatch(output, /ERROR|WARN/)
      }))
  })

  it.live("leaves no socket to a frozen worker behind that keeps the process from its end", () =>
    Effect.gen(function*() {
      const { registry } = yield* prepared
      const worker = yield* startWorker(registry)
      const tasks = layerCluster(Walks, { security, grant: "1 second" }).pipe(
        Layer.provide([clientOf(registry), layerOwnerLiveness])
      )
      const sockets = () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length
      const before = sockets()
      yield* Effect.gen(function*() {
        const { run } = yield* TaskDispatcher.TaskDispatcher
        yield* run(Echo, { text: "x", size: 1 })
        assert.strictEqual(sockets(), before + 1)
        yield* worker.kill("SIGSTOP")
        // More than the system takes from a process whose peer does not read.
        yield* Effect.timeoutOption(run(Echo, { text: "x".repeat(2 ** 23), size: 1 }), 500)
      }).pipe(Effect.provide(Layer.fresh(appOf(tasks)), { local: true }))
      yield* until("end of all sockets", () => sockets() === before, 2000)
    }))

  it.live("runs nothing again when a worker is asked to end", () =>
    Effect.gen(function*() {
      const { logged, notes, owner, registry } = yield* prepared
      const [leaves] = yield* startWorkers(registry, 2, { cpu: 4 })
      assert.isDefined(leaves)
      const result = yield* Effect.gen(function*() {
        const manager = yield* JobManager
        const job = yield* manager.start(Walking, { count: 80, steps: 10, millis: 20, notes })
        yield* until("begin", () => notesOf(notes).some(({ pid, what }) => pid === leaves.pid && what === "ends"))
        yield* leaves.kill("SIGTERM")
        yield* Effect.promise(() => leaves.closed)
        return yield* job.await
      }).pipe(Effect.provide(owner))

      assert.deepStrictEqual(result, { done: 80, failed: 0, steps: 800 })
      assert.strictEqual(notesOf(notes).filter(({ what }) => what === "begins").length, 80)
      assert.notInclude(logged.join(), "is lost")
      assert.notMatch(leaves.output, /ERROR|WARN/)
    }))

  it.live("stops the tasks of an owner that was killed at once", () =>
    Effect.gen(function*() {
      const { notes, registry } = yield* prepared
      yield* startWorker(registry, { cpu: 4 })
      const first = yield* startOwner(registry, { count: 4, steps: 100, millis: 100, notes })
      yield* until("begin", () => notesOf(notes).length > 8)
      yield* first.end
      yield* until("stop", () => notesOf(notes).filter(({ what }) => what === "stops: LeaseLost").length === 4, 3000)
    }))

  const count = isLong ? 1_000_000 : 100_000
  it.live(
    `does ${count} elements while workers and owners are killed, and none that is recorded again`,
    () =>
      Effect.gen(function*() {
        const { notes, registry } = yield* prepared
        const everyMillis = isLong ? 2500 : 700
        const { done, failed, again, inHand, lost, neverRun, output, redone, residentMiB, twice } = yield* surviveKills(
          {
            registry,
            notes,
            count,
            workers: 3,
            everyMillis
          }
        )

        const ends = { done, failed, again, lost, neverRun, twice }
        assert.deepStrictEqual(ends, { done: count, failed: 0, again: 0, lost: 0, neverRun: 0, twice: 0 }, output)
        assert.isAtMost(redone, inHand, output)
        assert.isBelow(Math.max(...residentMiB.flat()), 512)
      }),
    isLong ? 1_200_000 : 120_000
  )

  it.live("ends unsettled where workers have another version of the task, and names both", () =>
    Effect.gen(function*() {
      const { notes, registry } = yield* prepared
      const worker = yield* startWorker(registry, { tasks: "an older version" })
      const tasks = layerCluster(Walks, { security, patience: "1 second" }).pipe(
        Layer.provide([clientOf(registry), layerOwnerLiveness])
      )
      const app = appOf(tasks)
      const exit = yield* TaskDispatcher.TaskDispatcher.use(({ run }) =>
        Effect.exit(run(Walk, { n: 1, steps: 1, millis: 1, notes }))
      ).pipe(Effect.provide(app))

      const text = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
      const why = "has another version of it, with other schemas"
      assert.include(text, `WorkersUnavailable: No worker takes the task "test/Walk": ${worker.address} ${why}`)
    }))

  it.live("gives tasks to a worker that comes late", () =>
    Effect.gen(function*() {
      const { notes, owner, registry } = yield* prepared
      yield* Effect.gen(function*() {
        const manager = yield* JobManager
        const job = yield* manager.start(Walking, { count: 10, steps: 1, millis: 1, notes })
        yield* Effect.sleep(1000)
        yield* startWorker(registry)
        yield* until("begin", () => notesOf(notes).length > 0, 3000)
        yield* job.await
      }).pipe(Effect.provide(owner))
    }))
})
