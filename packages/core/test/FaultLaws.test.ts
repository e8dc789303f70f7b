import { assert, describe, it } from "@effect/vitest"
import type { Parts } from "@fanout/core/FanOut"
import { Interrupter } from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import * as JobContext from "@fanout/core/JobContext"
import * as JobId from "@fanout/core/JobId"
import * as JobState from "@fanout/core/JobState"
import * as JobStore from "@fanout/core/JobStore"
import { JobStoreError, StorageFailure } from "@fanout/core/JobStoreError"
import type { Element } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { asRun, pools, runningJob } from "./fanOutHarness.ts"
import { GivingWay } from "./GivingWay.ts"
import { process } from "./managers.ts"
import { onStores } from "./stores.ts"

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** What one element does, or is. */
const Kind = Schema.Literals([
  "done",
  "commits",
  // In a region that can't be interrupted.
  "commitsDeaf",
  "fails",
  "dies",
  "skips",
  "hasParts",
  "misfit",
  "hasNoKey",
  "hasBadParts",
  "opens",
  "opensMisfit"
])
type Kind = typeof Kind.Type

const Settings = Schema.Struct({
  concurrency: int(1, 4),
  flushEvery: int(1, 6),
  flushInterval: Schema.Literals([1, 50, 250, 1000]),
  millis: Schema.Literals([0, 1, 60, 700])
})

class Bad extends Schema.TaggedError<Bad>("Bad")("Bad", { n: Schema.Number }) {}
const Payload = Schema.Struct({ n: Schema.Int, kind: Kind })
type Payload = typeof Payload.Type
const Act = Task.make("test/Act", {
  payload: Payload,
  error: Bad,
  key: ({ kind, n }) => {
    if (kind === "hasNoKey") throw new Error("no key")
    return `no. ${n}`
  },
  pool: "io"
})
class Acts extends RpcGroup.make(Act) {}
const place = TaskCheckpoint.make(Schema.String)

const isOpener = (kind: Kind): boolean => kind.startsWith("opens")

/** The elements of a program. What opens a bracket has the next one in it. */
const elementsOf = (kinds: ReadonlyArray<Kind>): ReadonlyArray<Element<Payload>> =>
  kinds.flatMap((kind, n): ReadonlyArray<Element<Payload>> => {
    const payload = { n: kind.toLowerCase().endsWith("misfit") ? n + 0.5 : n, kind }
    const item = { _tag: "Item", cursor: `at ${n}`, payload, opens: isOpener(kind) } as const
    const inside = kinds[n - 1]
    return inside !== undefined && isOpener(inside) && !isOpener(kind)
      ? [item, { _tag: "After", cursor: `end ${n}`, payload: { n, kind: "done" } }]
      : isOpener(kind) && (n === kinds.length - 1 || isOpener(kinds[n + 1] ?? "opens"))
      ? [item, { _tag: "After", cursor: `end ${n}`, payload: { n, kind: "done" } }]
      : [item]
  })

const sourceOf = (elements: ReadonlyArray<Element<Payload>>) => (after: Option.Option<string>) =>
  Stream.fromIterable(Option.match(after, {
    onNone: () => elements,
    onSome: (last) => elements.slice(elements.findIndex(({ cursor }) => cursor === last) + 1)
  }))

const parts: Parts<Payload, void> = ({ payload: { kind, n } }) =>
  kind === "hasBadParts"
    ? [{ _tag: "After", cursor: "none", payload: { n, kind: "done" } }]
    : kind === "hasParts"
    ? [{ _tag: "Item", cursor: `part of ${n}`, payload: { n: n + 0.5, kind: "done" } }]
    : undefined

const act = ({ kind, n }: Payload, millis: number): Effect.Effect<void, Bad | Task.Skipped> => {
  const commit = place.commit(`element ${n}`)
  switch (kind) {
    case "commits":
      return Effect.andThen(Effect.sleep(millis), commit)
    case "commitsDeaf":
      return Effect.andThen(Effect.sleep(millis), Effect.uninterruptible(commit))
    case "fails":
      return Effect.andThen(Effect.sleep(millis), Effect.fail(new Bad({ n })))
    case "dies":
      return Effect.die("it died")
    case "skips":
      return Task.skip("so it goes")
    default:
      return Effect.sleep(millis)
  }
}

/** Runs a program under a scheduler and gives what came of it. */
const resultOf = Effect.fnUntraced(function*(
  id: string,
  kinds: ReadonlyArray<Kind>,
  { concurrency, flushEvery, flushInterval, millis }: typeof Settings.Type,
  givesWayAt: number
) {
  yield* runningJob(id)
  const running = yield* Effect.forkChild(
    asRun(
      id,
      () =>
        TaskDispatcher.TaskDispatcher.use((_) =>
          _.fanOut("all", Act, sourceOf(elementsOf(kinds)), {
            concurrency,
            flushEvery,
            flushInterval,
            parts,
            keep: "all"
          })
        ).pipe(Effect.provide(Acts.toLayer({ "test/Act": (payload) => act(payload, millis) })))
    ).pipe(
      Effect.provideService(Scheduler.Scheduler, new GivingWay(givesWayAt))
    )
  )
  for (let i = 0; i < 60 && running.pollUnsafe() === undefined; i++) {
    yield* settle
    yield* TestClock.adjust("500 millis")
  }
  if (running.pollUnsafe() === undefined) return "it hangs"
  const { exit } = yield* Fiber.join(running)
  const store = yield* JobStore.JobStore
  const rows = yield* store.outcomes(JobId.make(id), { after: 0, limit: 100 })
  return {
    exit: Exit.isSuccess(exit) ? { ...exit.value } : String(exit),
    rows: rows.map(([, { cursor, key, outcome, payload }]) => {
      const failure = outcome._tag === "Failed" ? outcome.failure : undefined
      return JSON.stringify([cursor, key, payload, failure?._tag === "Defect" ? failure.message : outcome])
    }).toSorted()
  }
})

const How = Schema.Literals(["fails", "dies", "throws", "never"])
const Where = Schema.Literals([
  "onCommit",
  "flush",
  "checkpoint",
  "beat",
  "requested",
  "source",
  "pauseOn",
  "weight",
  "cost",
  "key",
  "schedule",
  "listener",
  "handler",
  "finalizer of a task",
  "finalizer of the program"
])

/** What goes wrong, from which call on, and for how many. */
const Fault = Schema.Struct({ where: Where, how: How, at: int(0, 4), times: Schema.Literals([1, 1000]) })
type Fault = typeof Fault.Type

const ttlMillis = 3000
const graceMillis = 300

/** Does something to who asks, when it is time for that. */
class Faulty {
  private calls = 0
  private readonly fault: Fault

  constructor(fault: Fault) {
    this.fault = fault
  }

  /** Throws, or gives what goes wrong. */
  private next(where: Fault["where"], error: unknown): Effect.Effect<never, unknown> | undefined {
    const { at, how, times, where: here } = this.fault
    if (where !== here) return undefined
    const call = this.calls++
    if (call < at || call >= at + times) return undefined
    if (how === "throws") throw new Error(`${where} threw`)
    return how === "fails" ? Effect.fail(error) : how === "dies" ? Effect.die(`${where} died`) : Effect.never
  }

  around<A, E, R>(where: Fault["where"], error: E, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it fails with what it was given
    return Effect.suspend(() => this.next(where, error) as Effect.Effect<never, E> | undefined ?? effect)
  }

  /** Throws in a function that gives no effect, whatever else is asked for. */
  throwUnsafe(where: Fault["where"]): void {
    if (this.next(where, undefined) !== undefined) throw new Error(`${where} threw`)
  }
}

const failing = new JobStoreError({
  reason: new StorageFailure({ operation: "any", problem: "Unreachable", cause: "away" })
})

/** Runs a job until it is over, and asks it to pause where it is not; gives what was seen. */
const withFault = Effect.fnUntraced(function*(
  kinds: ReadonlyArray<Kind>,
  { concurrency, flushEvery, flushInterval, millis }: typeof Settings.Type,
  fault: Fault
) {
  const faulty = new Faulty(fault)
  const store = yield* JobStore.JobStore
  const wrong: Array<string> = []
  const methods = new Set<string>(["flush", "checkpoint", "beat", "requested"])
  const seen = new Proxy(store, {
    get: (target, name, receiver) => {
      const member: unknown = Reflect.get(target, name, receiver)
      const where = Where.literals.find((one) => one === name && methods.has(one))
      return typeof member !== "function" || where === undefined ?
        member :
        (...args: ReadonlyArray<unknown>) =>
          faulty.around(where, failing, Effect.suspend(() => member.apply(target, args)))
    }
  })
  const Program = Job.make("test/Program", { error: Schema.Unknown })
  const Weighed = Task.make("test/Weighed", {
    payload: Payload,
    error: Bad,
    pool: "io",
    key: ({ n }) => {
      faulty.throwUnsafe("key")
      return `no. ${n}`
    },
    weight: () => {
      faulty.throwUnsafe("weight")
      return 1
    },
    cost: () => {
      faulty.throwUnsafe("cost")
      return 1
    },
    retry: Schedule.recurs(1).pipe(
      Schedule.tap(() => Effect.orDie(faulty.around("schedule", "no schedule", Effect.void)))
    )
  })
  const finalizer = (where: "finalizer of a task" | "finalizer of the program") =>
    Effect.orDie(faulty.around(where, "no finalizer", Effect.void))
  const programs = Program.toLayer(() =>
    Effect.flatMap(
      JobContext.JobContext,
      ({ id }) =>
        TaskDispatcher.TaskDispatcher.use(({ fanOut }) =>
          fanOut("all", Weighed, (after) =>
            Stream.mapEffect(sourceOf(elementsOf(kinds))(after), (one) =>
              faulty.around("source", "no source", Effect.succeed(one))), {
            concurrency,
            flushEvery,
            flushInterval,
            parts,
            pauseOn: () => {
              faulty.throwUnsafe("pauseOn")
              return undefined
            },
            onCommit: () =>
              faulty.around("onCommit", "no insert", Effect.void)
          })
        ).pipe(
          Effect.provide(
            RpcGroup.make(Weighed).toLayer({
              "test/Weighed": (payload) =>
                Effect.map(Interrupter, (interrupter) =>
                  interrupter.onRequestUnsafe(() =>
                    faulty.throwUnsafe("listener")
                  )).pipe(
                    Effect.andThen(faulty.around("handler", new Bad({ n: 0 }), act(payload, millis))),
                    Effect.ensuring(finalizer("finalizer of a task")),
                    Effect.tap(() =>
                      payload.kind.startsWith("commits")
                        ? Effect.map(store.checkpoint(id, "all"), (stored) => {
                          const isThere = Option.exists(stored, (text) =>
                            text.includes(`element ${payload.n}"`))
                          if (!isThere) {
                            wrong.push(`element ${payload.n} was told that it is recorded`)
                          }
                        }).pipe(Effect.ignore)
                        : Effect.void
                    )
                  )
            })
          ),
          Effect.asVoid,
          Effect.ensuring(finalizer("finalizer of the program"))
        )
    )
  )
  const { jobs } = yield* process([Program], programs, { leaseTtl: ttlMillis, grace: graceMillis }, { io: 8 }).pipe(
    Effect.provideService(JobStore.JobStore, seen)
  )
  const { await: ended, id } = yield* jobs.start(Program, undefined)
  const waiting = yield* Effect.forkChild(Effect.exit(ended))
  const isOver = Effect.map(store.get(id), ({ state }) => JobState.isTerminal(state) || state._tag === "Paused")
  const until = Effect.fnUntraced(function*(millis: number) {
    for (let i = 0; i < millis / 500; i++) {
      yield* settle
      yield* TestClock.adjust(500)
      // A store that is held up by its transaction answers later.
      const over = yield* Effect.timeoutOption(isOver, 1).pipe(Effect.forkChild)
      yield* TestClock.adjust(1)
      if (Option.contains(yield* Fiber.join(over), true)) return true
    }
    return false
  })
  // Finalizers are given a minute, those of tasks and then those of their job.
  const patienceMillis = fault.where.startsWith("finalizer") && fault.how === "never" ? 150_000 : 15_000
  if (!(yield* until(15_000))) {
    yield* Effect.forkChild(Effect.ignore(jobs.pause(id)))
    if (!(yield* until(patienceMillis))) wrong.push("it hangs")
  }
  yield* settle
  const record = yield* store.get(id)
  if (JobState.isTerminal(record.state)) {
    if (Option.isNone(record.exit)) wrong.push("it does not say why it ended")
    yield* TestClock.adjust("1 second")
    if (waiting.pollUnsafe() === undefined) wrong.push("who waits is not told")
  }
  return wrong
})

const Kinds = Schema.Array(Kind).check(Schema.isMinLength(1), Schema.isMaxLength(8))

const laws = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`the laws of faults (${backend})`, () => {
    const fresh = Effect.provide([pools, Layer.fresh(store)])

    it.effect.prop(
      "timing decides nothing: a program comes to the same in any schedule of its fibers",
      { kinds: Kinds, one: Settings, other: Settings, at: int(0, 4000) },
      ({ at, kinds, one, other }) =>
        Effect.gen(function*() {
          const first = yield* resultOf("one", kinds, one, -1)
          const second = yield* resultOf("other", kinds, other, at)

          assert.notStrictEqual(first, "it hangs")
          assert.deepStrictEqual(second, first)
        }).pipe(fresh),
      { arbitrary: { runs: runs(40) } }
    )

    it.effect.prop(
      "nothing hangs: a job ends, pauses or goes on whatever fails, dies, throws or never ends",
      { kinds: Kinds, settings: Settings, fault: Fault },
      ({ fault, kinds, settings }) =>
        Effect.map(withFault(kinds, settings, fault), (wrong) => assert.deepStrictEqual(wrong, [])).pipe(
          Effect.scoped,
          fresh,
          Effect.provide(Layer.fresh(TestClock.layer({ warningDelay: "1 minute" })))
        ),
      { arbitrary: { runs: runs(80) } }
    )
  })

onStores(laws)
