import { assert, describe, it } from "@effect/vitest"
import type { FanOutOptions } from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as JobId from "@fanout/core/JobId"
import * as JobManager from "@fanout/core/JobManager"
import * as Lease from "@fanout/core/Lease"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Outcome from "@fanout/core/Outcome"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { layerProcesses, layerThreads, ThreadsUnavailable } from "@fanout/core/threads"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { performance } from "node:perf_hooks"
import { startStopwatch } from "../../../test/stopwatch.ts"
import type { Options } from "../src/internal/threads/poolLayer.ts"
import { asRun, pools, runningJob } from "./fanOutHarness.ts"
import { outcomesOf } from "./FanOutLaws.ts"
import { deterministic, outcomeOfActs, sourceOf } from "./threadActs.ts"
import { Act, Bytes, handlers, Tasks } from "./threadTasks.ts"

const running = (module: string) => ({
  module: new URL(module, import.meta.url),
  execArgv: ["--conditions=@fanout/source"],
  resourceLimits: { maxOldGenerationSizeMb: 32 }
})

const threads = (options: Options = { size: 2 }) => layerThreads(Tasks, { ...running("./threadChild.ts"), ...options })

const processes = (options: Options = { size: 2 }) =>
  layerProcesses(Tasks, { ...running("./threadChild.ts"), ...options })

const app = <E>(tasks: Layer.Layer<Layer.Success<ReturnType<typeof handlers>>, E>) =>
  Layer.merge(tasks, TaskDispatcher.layer.pipe(Layer.provide(Pools.layer())))

const run = (act: string, n = 1) => TaskDispatcher.TaskDispatcher.use((_) => _.run(Act, { n, act, when: new Date(n) }))

/** A fan-out over payloads whose acts are given by their number. */
const fanOut = (id: string, count: number, act: (n: number) => string, options: FanOutOptions = {}) =>
  Effect.gen(function*() {
    yield* runningJob(id)
    const acts = Array.from({ length: count }, (_, n) => act(n))
    return yield* asRun(
      id,
      () => TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("acts", Act, sourceOf(acts), options))
    )
  })

const failuresOf = (id: string) =>
  Effect.map(
    outcomesOf(id),
    (rows) =>
      rows.flatMap(([, { key, outcome }]) =>
        outcome._tag === "Failed" ? [[Number(key), outcome.failure._tag, Outcome.message(outcome.failure)]] : []
      )
  )

const fromNow = (monotonicMillis: number, wallMillis: number): Option.Option<Lease.Instant> =>
  Option.some({
    monotonicNanos: process.hrtime.bigint() + BigInt(monotonicMillis) * 1_000_000n,
    wallMillis: Date.now() + wallMillis
  })

/** A lease that is over in so many milliseconds of each clock, and not renewed. */
const leaseFor = (monotonicMillis: number, wallMillis: number): Lease.Lease => {
  const until = fromNow(monotonicMillis, wallMillis)
  return {
    job: Option.some(JobId.make("leased")),
    token: 7,
    isHeldUnsafe: () =>
      Option.exists(until, (_) => process.hrtime.bigint() < _.monotonicNanos && Date.now() < _.wallMillis),
    heldUntilUnsafe: () => until
  }
}

describe("ThreadPool", () => {
  describe.each(
    [["fibers", handlers(false)], ["threads", threads()], ["processes", processes()]] as const
  )("on %s", (_, tasks) => {
    const onThreads = _ !== "fibers"
    const layer = app(tasks)

    it.live("gives values, typed errors, skips and defects", () =>
      Effect.gen(function*() {
        const value = yield* run("", 7)
        assert.deepStrictEqual({ ...value, thread: undefined }, {
          n: 7,
          thread: undefined,
          at: Option.some(new Date(7))
        })
        assert.strictEqual(value.thread, onThreads)
        const failed = yield* Effect.flip(run("fails", 3))
        assert.deepStrictEqual([failed._tag, "n" in failed && failed.n], ["Bad", 3])
        const skipped = yield* Effect.flip(run("skips", 3))
        assert.deepStrictEqual([skipped._tag, "reason" in skipped && skipped.reason], ["Skipped", "skipped 3"])
        const died = yield* Effect.exit(run("dies", 3))
        assert.match(String(died), /RangeError: died 3/)
      }).pipe(Effect.provide(layer)))

    it.live("keeps what a task has saved and added for its next attempt", () =>
      Effect.gen(function*() {
        const { exit } = yield* fanOut(`pages on ${_}`, 3, () => "pages")
        assert.deepStrictEqual(
          Exit.isSuccess(exit) ? [exit.value.done, exit.value.units] : exit,
          [3, { pages: 15 }]
        )
      }).pipe(Effect.provide([layer, pools, MemoryJobStore.layer])))

    it.live("counts nothing of what a task had done before it started over", () =>
      Effect.gen(function*() {
        const { exit } = yield* fanOut(`starts over on ${_}`, 3, () => "starts over")
        assert.deepStrictEqual(
          Exit.isSuccess(exit) ? [exit.value.done, exit.value.units] : exit,
          [3, { pages: 27 }]
        )
      }).pipe(Effect.provide([layer, pools, MemoryJobStore.layer])))

    it.live("tries again what a busy service has refused, and counts no failed attempt", () =>
      Effect.gen(function*() {
        const { exit } = yield* fanOut(`refused on ${_}`, 3, () => "is refused twice")
        assert.deepStrictEqual(Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed] : exit, [3, 0])
      }).pipe(Effect.provide([layer, pools, MemoryJobStore.layer])))

    it.live("knows which attempt it is, also after a saved checkpoint", () =>
      Effect.gen(function*() {
        const acts = ["tells its attempt", "fails, then tells its attempt", "pages, then tells its attempt"]
        const told = yield* Effect.forEach(acts, (act) => run(act), { concurrency: "unbounded" })
        assert.deepStrictEqual(told.map(({ n }) => n), [1, 2, 2])
      }).pipe(Effect.provide(layer)))

    it.live("knows the job's lease, and publishes no more once that is over by one of the clocks", () =>
      Effect.gen(function*() {
        const later = 1_000_000
        const known = yield* Effect.provideService(run("has a lease"), Lease.Lease, leaseFor(later, later))
        assert.strictEqual(known.n, 7)
        for (const [monotonic, wall] of [[50, later], [later, 50]] as const) {
          const lost = yield* Effect.flip(
            Effect.provideService(run("publishes while it may"), Lease.Lease, leaseFor(monotonic, wall))
          )
          assert.deepStrictEqual([lost._tag, "reason" in lost && lost.reason], ["Interrupted", "LeaseLost"])
        }
      }).pipe(Effect.provide(layer)))

    it.live("goes on as long as the job's lease is renewed", () =>
      Effect.gen(function*() {
        const renewed: Lease.Lease = {
          ...leaseFor(0, 0),
          isHeldUnsafe: () => true,
          heldUntilUnsafe: () => fromNow(150, 150)
        }
        const stopped = yield* Effect.flip(
          Effect.provideService(run("publishes while it may"), Lease.Lease, renewed)
        )
        assert.deepStrictEqual([stopped._tag, "reason" in stopped && stopped.reason], ["Interrupted", "Timeout"])
      }).pipe(Effect.provide(layer)))

    it.live("stops a task that checks at its timeout", () =>
      Effect.gen(function*() {
        const stopped = yield* Effect.flip(run("checks"))
        assert.deepStrictEqual([stopped._tag, "reason" in stopped && stopped.reason], ["Interrupted", "Timeout"])
        const waited = yield* Effect.flip(run("waits for the stop"))
        assert.deepStrictEqual([waited._tag, "reason" in waited && waited.reason], ["Interrupted", "Timeout"])
      }).pipe(Effect.provide(layer)))
  })

  describe("a task that takes its thread down", () => {
    it.live.each([
      { act: "exits", tag: "Quarantined", message: /exited with code 7/ },
      { act: "throws", tag: "Quarantined", message: /thrown 700/ },
      { act: "fills", tag: "Quarantined", message: /memory/ },
      { act: "spins", tag: "Timeout", message: /longer than 1000 ms/ }
    ])("fails alone among 1,000 when it $act", ({ act, message, tag }) =>
      Effect.gen(function*() {
        const id = `one ${act}`
        const { exit } = yield* fanOut(id, 1000, (n) => n === 700 ? act : "", { concurrency: 256 })
        assert.deepStrictEqual(Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed] : exit, [999, 1])
        const failures = yield* failuresOf(id)
        assert.deepStrictEqual(failures.map(([n, tag]) => [n, tag]), [[700, tag]])
        assert.match(String(failures[0]?.[2]), message)
      }).pipe(Effect.provide([threads(), pools, MemoryJobStore.layer])))

    it.live("fails alone with another one of its batch, although they were in one batch", () =>
      Effect.gen(function*() {
        const { exit } = yield* fanOut("two", 1000, (n) => n === 700 || n === 720 ? "exits" : "", { concurrency: 256 })
        assert.deepStrictEqual(Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed] : exit, [998, 2])
        const failures = yield* failuresOf("two")
        assert.deepStrictEqual(failures.map(([n]) => n).toSorted((a, b) => Number(a) - Number(b)), [700, 720])
      }).pipe(Effect.provide([threads({ size: 2 }), pools, MemoryJobStore.layer])))
  })

  it.live.each([["threads", threads], ["processes", processes]] as const)(
    "counts attempts that were lost with one of the %s, and no others",
    ([, make]) =>
      Effect.gen(function*() {
        const acts = ["tells its attempt", "exits, then tells its attempt", "fails, then exits, then tells its attempt"]
        const told = yield* Effect.forEach(acts, (act) => run(act), { concurrency: "unbounded" })
        assert.deepStrictEqual(told.map(({ n }) => n), [1, 2, 3])
      }).pipe(Effect.provide(app(make({ size: 3 }))))
  )

  it.live("gives a thread's module its arguments", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* run("reads its arguments")).n, 41)
    }).pipe(Effect.provide(app(
      layerThreads(Tasks, { ...running("./threadChild.ts"), size: 1, argv: ["41"] })
    ))))

  it.live("runs again whatever was on a thread that something else has taken down", () =>
    Effect.gen(function*() {
      const { exit } = yield* fanOut("bomb", 200, (n) => n === 100 ? "leaves a bomb" : n > 100 ? "naps" : "")
      assert.deepStrictEqual(Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed] : exit, [200, 0])
    }).pipe(Effect.provide([threads(), pools, MemoryJobStore.layer])))

  it.live("ends threads that spin when they are cancelled, and runs what comes next", () =>
    Effect.gen(function*() {
      yield* runningJob("spinning")
      const fiber = yield* Effect.forkChild(fanOut("spinners", 8, () => "spins", { concurrency: 4 }))
      yield* Effect.sleep(300)
      const elapsed = startStopwatch()
      yield* Fiber.interrupt(fiber)
      assert.isBelow(elapsed(), 1000 + 400)
      assert.strictEqual((yield* run("", 5)).n, 5)
    }).pipe(Effect.provide([app(threads()), pools, MemoryJobStore.layer])))

  it.live("says so when no thread can be had", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Layer.build(
        layerThreads(Tasks, { ...running("./nowhere.ts"), size: 1 })
      ))
      assert.instanceOf(error, ThreadsUnavailable)
      assert.match(error.message, /nowhere\.ts/)
    }).pipe(Effect.scoped))

  it.live("says of a module that does not call runThread what is missing", () =>
    Effect.gen(function*() {
      for (const make of [layerThreads, layerProcesses]) {
        const error = yield* Effect.flip(Layer.build(
          make(Tasks, { ...running("./threadTasks.ts"), size: 1 })
        ))
        assert.match(error.message, /exited with code 0: its module, file:.*threadTasks\.ts, did not call runThread/)
      }
    }).pipe(Effect.scoped))

  it.live("takes from a busy thread what an idle one can begin", () =>
    Effect.gen(function*() {
      const elapsed = startStopwatch()
      // The first is slow, and those behind it were given to the same thread.
      const { exit } = yield* fanOut("shared", 200, (n) => n === 150 ? "spins a while" : "", { concurrency: 128 })
      assert.strictEqual(Exit.isSuccess(exit) ? exit.value.done : exit, 200)
      assert.isBelow(elapsed(), 3000)
    }).pipe(Effect.provide([threads(), pools, MemoryJobStore.layer])))

  it.live.each([1, 4, 64])("comes to the same as fibers, %d at a time", (concurrency) =>
    Effect.gen(function*() {
      const acts = Array.from({ length: 300 }, (_, n) => deterministic[(n * 7 + n % 3) % deterministic.length] ?? "")
      const comesTo = <E>(tasks: Layer.Layer<Layer.Success<ReturnType<typeof handlers>>, E>) =>
        Effect.provide(outcomeOfActs(acts, { concurrency }), [tasks, pools, MemoryJobStore.layer], { local: true })
      // The values say where they come from.
      const plain = (come: object) => JSON.parse(JSON.stringify(come).replaceAll("\"thread\":true", "\"thread\":false"))
      assert.deepStrictEqual(plain(yield* comesTo(threads())), plain(yield* comesTo(handlers(false))))
    }))

  it.live("keeps the message, the name and the stack of a defect", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(run("dies", 3))
      const defect = Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isDieReason)?.defect : undefined
      assert.instanceOf(defect, Error)
      assert.deepStrictEqual([defect.name, defect.message], ["RangeError", "died 3"])
      assert.match(String(defect.stack), /threadTasks\.ts/)
    }).pipe(Effect.provide(app(threads()))))

  it.live("moves bytes that the schema marks, and copies them on fibers", () =>
    Effect.gen(function*() {
      const bytes = (size: number) => TaskDispatcher.TaskDispatcher.use((_) => _.run(Bytes, { size }))
      const twice = Effect.gen(function*() {
        const first = yield* bytes(100)
        const second = yield* bytes(200)
        return [first.bytes.length, first.bytes[99], second.bytes.length, second.left]
      })
      assert.deepStrictEqual(yield* Effect.provide(twice, app(threads({ size: 1 }))), [100, 100, 200, 0])
      assert.deepStrictEqual(yield* Effect.provide(twice, app(handlers(false))), [100, 100, 200, 100])
    }))

  it.live("replaces a thread that a system call holds, and can be closed beside it", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "fanout-threads-"))),
        (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
      )
      const pipe = path.join(folder, "pipe")
      spawnSync("mkfifo", [pipe])
      const release = Effect.sync(() =>
        fs.closeSync(fs.openSync(pipe, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK))
      )
      const opens = Effect.sleep(10).pipe(
        Effect.repeat({ until: () => fs.existsSync(`${pipe} is opened`) }),
        Effect.andThen(Effect.sync(() => fs.rmSync(`${pipe} is opened`)))
      )
      yield* Effect.gen(function*() {
        const stuck = yield* Effect.forkChild(run(`opens ${pipe}`))
        yield* opens
        const elapsed = startStopwatch()
        yield* Fiber.interrupt(stuck)
        assert.isBelow(elapsed(), 600)
        assert.strictEqual((yield* run("", 5)).n, 5)
        assert.strictEqual((yield* Metric.value(Metric.gauge("fanout_threads_abandoned"))).value, 1)
        yield* release
        while ((yield* Metric.value(Metric.gauge("fanout_threads_abandoned"))).value > 0) yield* Effect.sleep(10)
        const again = yield* Effect.forkChild(run(`opens ${pipe}`))
        yield* opens
        yield* Effect.forkDetach(Effect.andThen(Effect.sleep(1500), Effect.ignore(release)))
        yield* Fiber.interrupt(again)
      }).pipe(Effect.provide(app(threads({ size: 1 }))), Effect.provideService(Metric.MetricRegistry, new Map()))
      yield* Effect.sleep(1500)
    }))

  it.live("renews the lease of a job, and leaves the event loop alone, while all threads spin", () =>
    Effect.gen(function*() {
      const Acts = Job.make("test/Acts", { success: Schema.Number })
      const program = Acts.toLayer(() =>
        TaskDispatcher.TaskDispatcher.use((_) =>
          _.fanOut("acts", Act, sourceOf(Array.from({ length: 20 }, () => "spins long")))
        ).pipe(Effect.map(({ done }) => done), Effect.orDie)
      )
      const manager = JobManager.layer({ jobs: [Acts], leaseTtl: 1000 }).pipe(
        Layer.provide(program),
        Layer.provide(threads()),
        Layer.provideMerge(MemoryJobStore.layer),
        Layer.provide([Pools.layer(), OwnerLiveness.layerBlind])
      )
      yield* Effect.gen(function*() {
        const jobs = yield* JobManager.JobManager
        const before = performance.eventLoopUtilization()
        const { id, await: result } = yield* jobs.start(Acts, undefined)
        assert.strictEqual(yield* result, 20)
        const used = performance.eventLoopUtilization(before)
        assert.strictEqual((yield* jobs.get(id)).state._tag, "Completed")
        // Of about 3 seconds, those included in which other work had its core.
        assert.isBelow(used.utilization, 0.5)
      }).pipe(Effect.provide(manager))
    }))

  it.live("leaves the output of the process to the process", () =>
    Effect.gen(function*() {
      const { status, stderr, stdout } = spawnSync(process.execPath, [
        "--conditions=@fanout/source",
        path.join(import.meta.dirname, "threadOwnerChild.ts")
      ], { encoding: "utf8" })
      assert.strictEqual(stdout, "{\"n\":1}\n{\"n\":2}\n")
      assert.match(stderr, /printed by 1[^]*logged by 1/)
      assert.strictEqual(status, 0)
    }))
})
