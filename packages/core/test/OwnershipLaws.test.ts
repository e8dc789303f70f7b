import { assert, describe, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import * as JobStore from "@fanout/core/JobStore"
import * as Lease from "@fanout/core/Lease"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import { layerSqlite } from "@fanout/core/node"
import { Owner, OwnerLiveness } from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import { settle } from "@fanout/core/testing"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { isDead } from "../src/internal/node/processOwner.ts"

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** How long an answer of the store takes: what was due when a process stood still may be first. */
const latency = Duration.millis(5)

/** A process: the time to live of its leases, and by how much its clock is wrong. */
const Machine = Schema.Struct({ ttlSeconds: int(3, 40), skewMinutes: int(-300, 300) })
type Machine = typeof Machine.Type

/** What happens to a process after some time. */
const Act = Schema.Struct({
  afterMillis: int(0, 9000),
  at: Schema.Literals([0, 1]),
  what: Schema.Union([
    Schema.Struct({ _tag: Schema.tag("Start"), seconds: int(1, 60) }),
    // Half of the time to live at most: the next renewal of a lease can be a third of that time away.
    Schema.Struct({ _tag: Schema.tag("Stall"), percentOfTtl: int(5, 50) }),
    Schema.Struct({ _tag: Schema.tag("SetClock"), byMinutes: int(-300, 300) })
  ])
})

const Work = Job.make("test/Work", { payload: Schema.Struct({ n: Schema.Number, seconds: Schema.Number }) })

/** Steps of a job, and when the first one of each job was done. */
interface Seen {
  readonly steps: Map<number, number>
  readonly began: Map<number, number>
}

const work = (seen: Seen, clock: Clock.Clock) =>
  Work.toLayer(({ n, seconds }) =>
    Effect.repeat(
      Effect.gen(function*() {
        if (!seen.began.has(n)) seen.began.set(n, clock.currentTimeMillisUnsafe())
        yield* Effect.sleep(100)
        yield* Lease.check
        seen.steps.set(n, (seen.steps.get(n) ?? 0) + 1)
      }),
      { times: seconds * 10 - 1 }
    ).pipe(Effect.asVoid, Effect.orDie)
  )

/** A clone of one image: the same machine, and a boot of its own. No process of the others can be seen. */
const clone = (n: number) => {
  const self = new Owner({ machine: "image", boot: `boot ${n}`, process: "7-100" })
  return Layer.succeed(OwnerLiveness, { self, isDead: (owner) => Effect.sync(() => isDead(self, owner, () => "Gone")) })
}

/** A manager on the store of the test, with a clock of its own that can be wrong, and that can stand still with it. */
const open = Effect.fnUntraced(function*(seen: Seen, n: number, { skewMinutes, ttlSeconds }: Machine) {
  const clock = yield* Clock.Clock
  const store = yield* JobStore.JobStore
  const scope = yield* Scope.fork(yield* Effect.scope)
  const runsOn = Latch.makeUnsafe(true)
  let skewMillis = skewMinutes * 60_000
  const own: Clock.Clock = {
    ...clock,
    currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + skewMillis,
    currentTimeMillis: Effect.sync(() => clock.currentTimeMillisUnsafe() + skewMillis),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + BigInt(n) * 1_000_000_000_000n,
    sleep: (duration) => Effect.andThen(clock.sleep(duration), runsOn.await)
  }
  const stalling = <A, E, R>(call: Effect.Effect<A, E, R>) =>
    runsOn.await.pipe(Effect.andThen(call), Effect.tap(clock.sleep(latency)), Effect.tap(runsOn.await))
  const near = new Proxy(store, {
    get: (target, name, receiver) => {
      const member: unknown = Reflect.get(target, name, receiver)
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what of a store is no method is an effect
      if (Effect.isEffect(member)) return stalling(member as Effect.Effect<unknown, unknown>)
      return typeof member === "function"
        ? (...args: ReadonlyArray<unknown>) => stalling(Effect.suspend(() => member.apply(target, args)))
        : member
    }
  })
  const context = yield* JobManager.layer({
    jobs: [Work],
    concurrency: 100,
    leaseTtl: `${ttlSeconds} seconds`,
    shutdownDeadline: 0
  }).pipe(
    Layer.provide(work(seen, clock)),
    Layer.provide([Layer.fresh(Pools.layer()), clone(n), Layer.succeed(JobStore.JobStore, near)]),
    Layer.buildWithScope(scope),
    Effect.provideService(Clock.Clock, own)
  )
  const jobs = Context.get(context, JobManager.JobManager)
  // A process that stands still could not be shut down at the end of the test.
  yield* Effect.addFinalizer(() => Effect.sync(() => runsOn.openUnsafe()))
  return {
    start: (payload: typeof Work.payload.Type) => Effect.provideService(jobs.start(Work, payload), Clock.Clock, own),
    setClock: (minutes: number) => Effect.sync(() => void (skewMillis += minutes * 60_000)),
    stall: (millis: number) =>
      Effect.sync(() => runsOn.closeUnsafe()).pipe(
        Effect.andThen(clock.sleep(Duration.millis(millis))),
        Effect.andThen(Effect.sync(() => runsOn.openUnsafe())),
        Effect.forkIn(scope),
        Effect.andThen(settle)
      ),
    kill: Effect.sync(() => runsOn.closeUnsafe())
  }
})

const noon = Date.UTC(2030, 0, 1, 12)

const laws = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`two processes whose clocks and settings differ (${backend})`, () => {
    const fresh = <A, E2>(body: Effect.Effect<A, E2, JobStore.JobStore | Scope.Scope>) =>
      Effect.scoped(Effect.andThen(TestClock.setTime(noon), body)).pipe(
        Effect.provide(Layer.fresh(store)),
        Effect.provide(Layer.fresh(TestClock.layer({ warningDelay: "1 minute" })))
      )

    it.effect.prop(
      "no live owner loses a job, and no job waits for a clock",
      { machines: Schema.Tuple([Machine, Machine]), acts: Schema.Array(Act).check(Schema.isMaxLength(8)) },
      ({ acts, machines }) =>
        fresh(Effect.gen(function*() {
          const seen: Seen = { steps: new Map(), began: new Map() }
          const processes = [yield* open(seen, 0, machines[0]), yield* open(seen, 1, machines[1])] as const
          const started: Array<{ readonly seconds: number; readonly at: number; readonly stalledBy: number }> = []
          const clock = yield* Clock.Clock
          let freeFrom = 0
          yield* settle
          for (
            const { afterMillis, at, what } of [...acts, {
              afterMillis: 0,
              at: 0,
              what: { _tag: "Start", seconds: 30 }
            }] as typeof acts
          ) {
            yield* TestClock.adjust(afterMillis)
            const now = clock.currentTimeMillisUnsafe()
            if (what._tag === "SetClock") yield* processes[at].setClock(what.byMinutes)
            // One stall after the other: a stall of a stalled process would be a longer one.
            if (what._tag === "Stall" && now >= freeFrom) {
              const millis = machines[at].ttlSeconds * 10 * what.percentOfTtl
              freeFrom = now + millis
              // Some time in which leases can be renewed.
              yield* processes[at].stall(millis)
              freeFrom += machines[at].ttlSeconds * 500
            }
            if (what._tag === "Start") {
              const n = started.push({ seconds: what.seconds, at: now, stalledBy: Math.max(0, freeFrom - now) }) - 1
              yield* Effect.forkChild(processes[at].start({ n, seconds: what.seconds }))
              yield* settle
            }
          }
          yield* TestClock.adjust("2 minutes")

          const records = yield* JobStore.JobStore.use((store) => store.list({ limit: 100 }))
          assert.deepStrictEqual(
            records.map(({ ownersLost, state, token }) => [state._tag, token, ownersLost]),
            started.map(() => ["Completed", 1, 0])
          )
          for (const [n, { at, seconds, stalledBy }] of started.entries()) {
            assert.strictEqual(seen.steps.get(n), seconds * 10)
            // A stalled process may have claimed the job, or is to store it, and goes on after the stall.
            assert.isBelow((seen.began.get(n) ?? Infinity) - at, 1000 + stalledBy)
          }
        })),
      { arbitrary: { runs: runs(40) } }
    )

    it.effect.prop(
      "an owner that stood still for any time goes on with what nobody has taken",
      { machine: Machine, afterMillis: int(0, 20_000), seconds: int(1, 300), byMinutes: int(-300, 300) },
      ({ afterMillis, byMinutes, machine, seconds }) =>
        fresh(Effect.gen(function*() {
          const seen: Seen = { steps: new Map(), began: new Map() }
          const owner = yield* open(seen, 0, machine)
          const { id } = yield* Effect.forkChild(owner.start({ n: 0, seconds: 60 })).pipe(
            Effect.tap(TestClock.adjust("1 second")),
            Effect.flatMap(Fiber.join)
          )
          yield* TestClock.adjust(afterMillis)
          yield* owner.stall(seconds * 1000)
          yield* owner.setClock(byMinutes)
          yield* TestClock.adjust((seconds + 70) * 1000)

          const { ownersLost, state, token } = yield* JobStore.JobStore.use((store) => store.get(id))
          assert.deepStrictEqual([state._tag, token, ownersLost], ["Completed", 1, 0])
          assert.strictEqual(seen.steps.get(0), 600)
        })),
      { arbitrary: { runs: runs(20) } }
    )

    it.effect.prop(
      "the job of a dead owner is taken over after the time of its own lease",
      { machines: Schema.Tuple([Machine, Machine]), restMillis: int(0, 30_000), byMinutes: int(-300, 300) },
      ({ byMinutes, machines: [dying, other], restMillis }) =>
        fresh(Effect.gen(function*() {
          const seen: Seen = { steps: new Map(), began: new Map() }
          const owner = yield* open(seen, 0, dying)
          const { id } = yield* Effect.forkChild(owner.start({ n: 0, seconds: 600 })).pipe(
            Effect.tap(TestClock.adjust("1 second")),
            Effect.flatMap(Fiber.join)
          )
          const process = yield* open(seen, 1, other)
          yield* TestClock.adjust(restMillis)
          const { token } = yield* JobStore.JobStore.use((store) => store.get(id))
          assert.strictEqual(token, 1)

          yield* owner.kill
          yield* process.setClock(byMinutes)
          const tokenAfter = Effect.fnUntraced(function*(millis: number) {
            yield* TestClock.adjust(millis)
            return (yield* JobStore.JobStore.use((store) => store.get(id))).token
          })
          // The last renewal may be a third of the time ago, and a poll.
          assert.strictEqual(yield* tokenAfter(dying.ttlSeconds * 1000 * 0.55), 1)
          assert.strictEqual(yield* tokenAfter(dying.ttlSeconds * 1000 * 0.45 + 1000), 2)
        })),
      { arbitrary: { runs: runs(20) } }
    )
  })

laws("memory", MemoryJobStore.layer)
laws("SQLite", layerSqlite({ filename: ":memory:" }))
