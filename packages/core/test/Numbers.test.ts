import { assert, describe, it } from "@effect/vitest"
import * as ChildJobs from "@fanout/core/ChildJobs"
import { layerWorker } from "@fanout/core/cluster"
import type * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as JobId from "@fanout/core/JobId"
import type * as JobManager from "@fanout/core/JobManager"
import * as JobStore from "@fanout/core/JobStore"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import { layerSqlite } from "@fanout/core/node"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as ClusterPool from "../src/internal/cluster/clusterPoolLayer.ts"
import { ClusterLink } from "../src/internal/cluster/wire.ts"
import { Children } from "../src/internal/job/childrenOfRun.ts"
import { messageOf } from "../src/internal/messageOf.ts"
import * as ThreadPool from "../src/internal/threads/poolLayer.ts"
import { asRun, pools, runningJob } from "./fanOutHarness.ts"
import { process } from "./managers.ts"
import { Threads } from "./threadHarness.ts"

const { NEGATIVE_INFINITY, POSITIVE_INFINITY } = Number

/** A job that another process runs. */
const held = JobId.make("held")

const stores = [["memory", MemoryJobStore.layer], ["SQLite", layerSqlite({ filename: ":memory:" })]] as const

/** Numbers that no amount, count or duration may be. */
const none = [NaN, NEGATIVE_INFINITY, -1]
const noLimit = [...none, 1.5, 1e300]
const noCount = [...noLimit, 0]

const Work = Job.make("test/Work", { payload: Schema.Int })
const program = Work.toLayer(() => Effect.void)
type Start = Parameters<typeof Work.start>[1]

type Door = readonly [
  string,
  given: ReadonlyArray<number>,
  go: (given: number) => Effect.Effect<unknown, unknown, JobStore.JobStore | Scope.Scope>
]

const manager = (options: Omit<JobManager.Options<readonly [typeof Work]>, "jobs"> = {}) =>
  process([Work], program, options)
const starting = (options: Start) => Effect.flatMap(manager(), ({ jobs }) => jobs.start(Work, 1, options))
const limiting = (limits: TaskDispatcher.Limits) =>
  Layer.build(TaskDispatcher.layerLimited(limits).pipe(Layer.provide(TaskDispatcher.layer), Layer.provide(pools)))
const scheduling = (options: { readonly jitter?: number; readonly failures?: number }) =>
  Effect.flatMap(manager(), ({ jobs }) => jobs.schedule(Work, 1, { name: "s", cron: "@daily", ...options }))
const reading = <E>(source: Source.Source<unknown, E>) => Stream.runDrain(source(Option.none()))
const asking = <A, E>(ask: (jobs: JobManager.JobManager["Service"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(manager(), ({ jobs }) => ask(jobs))
const sizing = (sizes: Parameters<typeof Pools.layer>[0]) => Layer.build(Pools.layer(sizes))

const Plain = Task.make("test/Plain", { payload: { n: Schema.Int } })
const Plains = RpcGroup.make(Plain)
const plain = Plains.toLayer({ "test/Plain": () => Effect.void })
const threading = (options: { readonly size?: number; readonly batch?: number; readonly idle?: number }) =>
  Layer.build(Layer.provide(ThreadPool.layer(Plains, options), new Threads(Plains, plain).layer))
const nobody = Layer.mock(ClusterLink, { workers: Effect.succeed([]) })
const clustering = (options: { readonly grant?: number; readonly patience?: number }) =>
  Layer.build(Layer.provide(ClusterPool.layer(Plains, options), [nobody, OwnerLiveness.layerBlind]))
const working = (options: { readonly port?: number; readonly leave?: number }) => {
  const address = { security: { secret: Redacted.make("x".repeat(32)) }, host: "localhost", port: 1 }
  return Layer.build(Layer.provide(layerWorker(Plains, { ...address, ...options }), [
    plain,
    pools,
    OwnerLiveness.layerBlind,
    // Nothing is asked of the database before the numbers are right.
    Layer.succeed(SqlClient.SqlClient, Object.assign({}))
  ]))
}
const fanningOut = (options: FanOut.FanOutOptions) =>
  asRun(
    held,
    () =>
      TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("all", Plain, Source.fromIterable([{ n: 1 }]), options)).pipe(
        Effect.provide(plain)
      )
  ).pipe(Effect.flatMap(({ exit }) => exit), Effect.provide(pools))
const partitioning = (concurrency: number) =>
  asRun(held, () => ChildJobs.partitioned("all", Work, Source.fromIterable([1]), { concurrency })).pipe(
    Effect.flatMap(({ exit }) => exit),
    Effect.provide([pools, Layer.mock(Children, {})])
  )

const doors: ReadonlyArray<Door> = [
  ["a manager's concurrency", noCount, (concurrency) => manager({ concurrency })],
  ["a manager's concurrencyByName", noCount, (most) => manager({ concurrencyByName: { "test/Work": most } })],
  ["a manager's leaseTtl", [...none, POSITIVE_INFINITY], (leaseTtl) => manager({ leaseTtl })],
  ["a manager's pollInterval", none, (pollInterval) => manager({ pollInterval })],
  ["a manager's grace", none, (grace) => manager({ grace })],
  ["a manager's shutdownDeadline", none, (shutdownDeadline) => manager({ shutdownDeadline })],
  ["runAt", [NaN, POSITIVE_INFINITY, 1e300], (runAt) => starting({ runAt })],
  ["deadline", [NaN, POSITIVE_INFINITY, 1e300], (deadline) => starting({ deadline })],
  ["priority", [NaN, POSITIVE_INFINITY, 1.5], (priority) => starting({ priority })],
  ["the limit concurrency", [...noCount, POSITIVE_INFINITY], (concurrency) => starting({ limits: { concurrency } })],
  ["the limit bytesPerSecond", [...none, 0], (bytesPerSecond) => starting({ limits: { bytesPerSecond } })],
  ["a schedule's jitter", [...none, POSITIVE_INFINITY], (jitter) => scheduling({ jitter })],
  ["a schedule's failures", noCount, (failures) => scheduling({ failures })],
  [
    "a rate of the store",
    [...none, POSITIVE_INFINITY],
    (most) => Effect.flatMap(manager(), ({ jobs }) => jobs.setRate("api", most))
  ],
  [
    "a concurrency of the store",
    [...none, 1.5, POSITIVE_INFINITY],
    (most) => Effect.flatMap(manager(), ({ jobs }) => jobs.setConcurrency("test/Work", most))
  ],
  ["a job's version", noCount, (version) => Effect.sync(() => Job.make("test/Odd", { version }))],
  ["a job's timeout", none, (timeout) => Effect.sync(() => Job.make("test/Odd", { timeout }))],
  ["a job's retry", [...none, 1.5], (times) => Effect.sync(() => Job.make("test/Odd", { retry: { times } }))],
  ["a task's weight", [...none, POSITIVE_INFINITY], (weight) => Effect.sync(() => Task.make("test/Odd", { weight }))],
  ["a task's timeout", none, (timeout) => Effect.sync(() => Task.make("test/Odd", { timeout }))],
  ["a task's retry", [...none, 1.5], (times) => Effect.sync(() => Task.make("test/Odd", { retry: { times } }))],
  ["a pool's size", noCount, (io) => sizing({ io })],
  ["a pool's least size", [...noCount, 9], (least) => sizing({ io: { least, first: 2, most: 3 } })],
  ["a pool's most size", noCount, (most) => sizing({ io: { least: 1, first: 1, most } })],
  ["the new size of a pool", noCount, (size) => Effect.flatMap(manager(), (_) => _.pools.resize("io", size))],
  ["a dispatcher's concurrency", noCount, (concurrency) => limiting({ concurrency })],
  ["a dispatcher's permits", noCount, (io) => limiting({ permits: { io } })],
  ["a dispatcher's tasksPerSecond", [...none, 0], (tasksPerSecond) => limiting({ tasksPerSecond })],
  ["a dispatcher's bytesPerSecond", [...none, 0], (bytesPerSecond) => limiting({ bytesPerSecond })],
  ["a range", [NaN, 1.5, POSITIVE_INFINITY], (last) => reading(Source.range(0, last))],
  ["the size of ranges", noCount, (size) => reading(Source.ranges(0, 9, size))],
  ["a list's limit", noLimit, (limit) => asking((_) => _.list({ limit }))],
  ["a list's since", [NaN], (since) => asking((_) => _.list({ since }))],
  ["an overview's limit", noLimit, (limit) => asking((_) => _.overview({ limit }))],
  ["the limit of unreadable jobs", noLimit, (limit) => asking((_) => _.unreadable({ limit }))],
  ["the limit of the newest outcomes", noLimit, (limit) => asking((_) => _.newestOutcomes(held, { limit }))],
  ["the limit of outcomes", noLimit, (limit) => asking((_) => _.outcomePage(held, { after: 0, limit }))],
  [
    "the place behind which outcomes are",
    [...noLimit, POSITIVE_INFINITY],
    (after) => asking((_) => _.outcomePage(held, { after, limit: 1 }))
  ],
  ["the limit of log lines", noLimit, (limit) => JobStore.JobStore.use((_) => _.logs(held, { after: 0, limit }))],
  ["the time of a prune", [NaN], (before) => asking((_) => _.prune(before))],
  [
    "the number of ticks",
    [...noLimit, POSITIVE_INFINITY],
    (count) => asking((_) => _.nextTicks("none", count))
  ],
  ["a priority that is set", [NaN, POSITIVE_INFINITY, 1.5], (priority) => asking((_) => _.set(held, { priority }))],
  [
    "a concurrency that is set",
    [...noCount, POSITIVE_INFINITY],
    (concurrency) => asking((_) => _.set(held, { limits: { concurrency } }))
  ],
  ["a fan-out's concurrency", [...noCount, POSITIVE_INFINITY], (concurrency) => fanningOut({ concurrency })],
  ["a fan-out's flushEvery", [...noCount, POSITIVE_INFINITY], (flushEvery) => fanningOut({ flushEvery })],
  ["a fan-out's flushInterval", [...none, POSITIVE_INFINITY], (flushInterval) => fanningOut({ flushInterval })],
  ["a fan-out's maxFailures", noLimit, (maxFailures) => fanningOut({ failures: { maxFailures } })],
  ["the concurrency of partitions", [...noCount, POSITIVE_INFINITY], partitioning],
  ["a thread pool's size", [...noCount, POSITIVE_INFINITY], (size) => threading({ size })],
  ["a thread pool's batch", [...noCount, POSITIVE_INFINITY], (batch) => threading({ batch })],
  ["a thread pool's idle", none, (idle) => threading({ idle })],
  ["a cluster's grant", [...none, POSITIVE_INFINITY], (grant) => clustering({ grant })],
  ["a cluster's patience", none, (patience) => clustering({ patience })],
  ["a worker's leave", none, (leave) => working({ leave })],
  ["a worker's port", [...noCount, POSITIVE_INFINITY, 65_536], (port) => working({ port })],
  [
    "the size of a page",
    noCount,
    (size) => reading(Source.paged(Schema.Int, () => Effect.succeed([]), () => 1, { size }))
  ]
]

describe.each(stores)("a number from outside (%s)", (_, layer) => {
  it.effect.each(doors)("is refused as %s, with a sentence that names it", ([, given, go]) =>
    Effect.gen(function*() {
      const store = yield* JobStore.JobStore
      const before = yield* runningJob(held)
      for (const number of given) {
        const exit = yield* Effect.exit(Effect.scoped(go(number)))
        const why = Exit.isFailure(exit) ? messageOf(Cause.squash(exit.cause)) : "nothing"
        assert.match(why, /has to be|needs? (a|whole)|does not match/, `${number}: ${why}`)
      }
      assert.deepStrictEqual(yield* store.list({ limit: 9 }), [before])
      assert.deepStrictEqual(yield* store.schedules, [])
      assert.deepStrictEqual([yield* store.rates, yield* store.concurrencies].flat(), [])
    }).pipe(Effect.provide(Layer.fresh(layer))))
})

const Odd = Task.make("test/Odd", {
  payload: { n: Schema.Int },
  pool: "io",
  weight: ({ n }) => n === 1 ? NaN : 1,
  cost: ({ n }) => n === 2 ? NaN : 1
})

/** Does what each element says with a number that is none. */
const acts: Readonly<Record<number, Effect.Effect<void>>> = {
  3: Progress.add("bytes", NaN),
  4: Progress.add("bytes", POSITIVE_INFINITY),
  5: Progress.total("bytes", NaN),
  6: TaskDispatcher.throttle(NaN),
  7: TaskDispatcher.throttle(POSITIVE_INFINITY),
  8: Effect.asVoid(TaskDispatcher.pieceBytes(NaN)),
  9: Effect.repeat(Progress.add("most", 2 ** 53), { times: 2 })
}

describe("a number from a handler", () => {
  it.effect.each(stores)(
    "fails its element alone, and the job goes on as before (%s)",
    ([, store]) =>
      Effect.gen(function*() {
        yield* runningJob("odd")
        const payloads = Source.map(Source.range(0, 19), (n) => ({ n }))
        const run = (attempt: number) =>
          asRun("odd", () =>
            TaskDispatcher.TaskDispatcher.use(({ limited }) => limited({ bytesPerSecond: 1000 })).pipe(
              Effect.flatMap((_) => _.fanOut("all", Odd, payloads)),
              Effect.provide(
                RpcGroup.make(Odd).toLayer({
                  "test/Odd": ({ n }) =>
                    Effect.all([acts[n] ?? Effect.void, TaskDispatcher.throttle(10), Progress.add("bytes", 10)], {
                      discard: true
                    })
                })
              )
            ), { attempt })
        const counts = []
        for (const attempt of [1, 2]) {
          const running = yield* Effect.forkChild(run(attempt))
          yield* TestClock.adjust("1 minute")
          const { exit } = yield* Fiber.join(running)
          counts.push(Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed, exit.value.units] : exit)
        }
        const rows = yield* (yield* JobStore.JobStore).outcomes(JobId.make("odd"), { after: 0, limit: 99 })

        // A sum may be larger than an amount.
        const units = { bytes: 120, most: 3 * 2 ** 53 }
        assert.deepStrictEqual(counts, [[12, 8, units], [12, 8, units]])
        for (const [, { outcome }] of rows) {
          assert.match(JSON.stringify(outcome), /has to be a number .* was given (NaN|Infinity)/)
        }
      }).pipe(Effect.provide([pools, Layer.fresh(store)]))
  )
})
