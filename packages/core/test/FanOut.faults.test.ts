import { assert, describe, it } from "@effect/vitest"
import * as Checkpoint from "@fanout/core/Checkpoint"
import * as ChildJobs from "@fanout/core/ChildJobs"
import type { FanOutOptions, OnCommit, Parts } from "@fanout/core/FanOut"
import { Interrupted, reason, stopped } from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import * as JobId from "@fanout/core/JobId"
import * as JobStore from "@fanout/core/JobStore"
import { JobStoreError, StorageFailure } from "@fanout/core/JobStoreError"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Source from "@fanout/core/Source"
import type { Element } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { asRun, pools, runningJob } from "./fanOutHarness.ts"
import { process } from "./managers.ts"
import { onStores } from "./stores.ts"

const Commit = Task.make("test/Commit", { payload: { n: Schema.Number }, pool: "io" })
const Failing = Task.make("test/Failing", { payload: { n: Schema.Number }, error: Schema.String, pool: "io" })
class Commits extends RpcGroup.make(Commit) {}
const place = TaskCheckpoint.make(Schema.Number)

const numbers = (count: number) => (after: Option.Option<string>): Stream.Stream<Element<{ readonly n: number }>> =>
  Stream.fromIterable(
    Array.from({ length: count }, (_, n) => ({ _tag: "Item" as const, cursor: String(n), payload: { n } }))
      .slice(Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 }))
  )

/** Runs as many elements as are asked for, and gives what came of them when time has passed. */
const committing = Effect.fnUntraced(function*<E>(
  handler: (n: number) => Effect.Effect<void>,
  options: FanOutOptions & { readonly onCommit: OnCommit<{ readonly n: number }, void, E, never> },
  pauseAfter?: number
) {
  yield* runningJob("commits")
  const running = yield* Effect.forkChild(asRun("commits", (signal) => {
    const pausing = pauseAfter === undefined
      ? Effect.void
      : Effect.delay(Effect.sync(() => signal.requestUnsafe("Pause")), pauseAfter)
    return Effect.andThen(
      Effect.forkChild(pausing),
      TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("all", Commit, numbers(2), options)).pipe(
        Effect.provide(Commits.toLayer({ "test/Commit": ({ n }) => handler(n) }))
      )
    )
  }))
  yield* settle
  return {
    after: (millis: number) =>
      Effect.gen(function*() {
        yield* TestClock.adjust(millis)
        yield* settle
        if (running.pollUnsafe() === undefined) return undefined
        return (yield* Fiber.join(running)).exit
      })
  }
})

const faults = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`FanOut that can't record (${backend})`, () => {
    const fresh = Effect.provide([pools, Layer.fresh(store)])

    it.effect.each(
      [
        ["fails", () => Effect.fail("insert failed")],
        ["dies", () => Effect.die("insert failed")],
        ["throws", () => {
          throw new Error("insert failed")
        }]
      ] as const
    )("ends with why its onCommit %s, and stops who waits for a checkpoint", ([, onCommit]) =>
      Effect.gen(function*() {
        let told = false
        let why: unknown
        const { after } = yield* committing(
          (n) =>
            n === 0 ? Effect.void : Effect.sleep(100).pipe(
              Effect.andThen(place.commit(n)),
              Effect.tap(() =>
                Effect.sync(() => {
                  told = true
                })
              ),
              Effect.onInterrupt(() =>
                Effect.map(reason, (given) => {
                  why = given
                })
              )
            ),
          { onCommit }
        )

        const exit = yield* after(300)

        assert.include(String(exit), "insert failed")
        assert.isFalse(told)
        assert.deepStrictEqual(why, Option.some("Sibling"))
      }).pipe(fresh))

    it.effect("fails where the last of it is not recorded, also if that was under way when all had ended", () =>
      Effect.gen(function*() {
        const { after } = yield* committing(
          (n) => Effect.sleep(n * 300),
          { onCommit: () => Effect.andThen(Effect.sleep(200), Effect.fail("insert failed")) }
        )

        assert.include(String(yield* after(1000)), "insert failed")
      }).pipe(fresh))

    it.effect("is stopped within the grace and a second also where its onCommit does not end", () =>
      Effect.gen(function*() {
        let told = false
        const { after } = yield* committing(
          (n) =>
            n === 0
              ? Effect.void
              : Effect.sleep(100).pipe(
                Effect.andThen(Effect.uninterruptible(place.commit(n))),
                Effect.andThen(Effect.sync(() => {
                  told = true
                }))
              ),
          { onCommit: () => Effect.never },
          5000
        )
        assert.isUndefined(yield* after(5100))

        const exit = yield* after(1900)

        assert.deepStrictEqual(exit && Exit.findErrorOption(exit), Option.some(new Interrupted({ reason: "Pause" })))
        assert.isFalse(told)
      }).pipe(fresh))
  })

const Whole = Task.make("test/Whole", {
  payload: { n: Schema.Int },
  key: ({ n }) => {
    if (n === 3) throw new Error("three has no key")
    return `no. ${n}`
  },
  pool: "io"
})
class Wholes extends RpcGroup.make(Whole) {}
type Whole = { readonly n: number }

const elements = (of: ReadonlyArray<Element<Whole>>) => (after: Option.Option<string>) =>
  Stream.fromIterable(
    Option.match(after, {
      onNone: () => of,
      onSome: (last) => of.slice(of.findIndex(({ cursor }) => cursor === last) + 1)
    })
  )
const item = (n: number, opens = false): Element<Whole> => ({ _tag: "Item", cursor: `at ${n}`, payload: { n }, opens })

/** Runs elements whose tasks take a time, and gives what came of each. */
const outcomesOf = Effect.fnUntraced(function*(
  of: ReadonlyArray<Element<Whole>>,
  options: FanOutOptions & { readonly parts?: Parts<Whole, void>; readonly millis?: number; readonly id?: string } = {},
  handler: (n: number) => Effect.Effect<void> = () => Effect.void
) {
  const { id = "wholes", millis = 0, ...rest } = options
  yield* runningJob(id)
  const running = yield* Effect.forkChild(
    asRun(id, () =>
      TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("all", Whole, elements(of), rest)).pipe(
        Effect.provide(Wholes.toLayer({ "test/Whole": ({ n }) => Effect.andThen(Effect.sleep(millis), handler(n)) }))
      ))
  )
  yield* settle
  yield* TestClock.adjust("10 seconds")
  const { exit } = yield* Fiber.join(running)
  assert.isTrue(Exit.isSuccess(exit), String(exit))
  const store = yield* JobStore.JobStore
  const rows = yield* store.outcomes(JobId.make(id), { after: 0, limit: 100 })
  return {
    counts: Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed, exit.value.skipped] : [],
    rows: rows.map(([, { cursor, key, outcome }]) => {
      const failure = outcome._tag === "Failed" ? outcome.failure : undefined
      return [cursor, key, failure?._tag === "Defect" ? failure.message : outcome._tag] as const
    })
  }
})

const Anything = Task.make("test/Anything", { payload: Schema.Any, success: Schema.Any, error: Schema.Any, pool: "io" })
const noJson = "its payload does not match its schema: Expected JSON value"

/** Runs payloads of any kind, and gives the counts and the rows in the order of the payloads. */
const anythings = Effect.fnUntraced(function*(
  payloads: ReadonlyArray<unknown>,
  handler: (payload: unknown) => Effect.Effect<unknown, unknown>
) {
  yield* runningJob("anythings")
  const source = () => Stream.fromIterable(payloads.map((payload, n) => Source.item(`at ${n}`, payload)))
  const { exit } = yield* asRun(
    "anythings",
    () =>
      TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("all", Anything, source, { keep: "all" })).pipe(
        Effect.provide(RpcGroup.make(Anything).toLayer({ "test/Anything": handler }))
      )
  )
  const store = yield* JobStore.JobStore
  const rows = yield* store.outcomes(JobId.make("anythings"), { after: 0, limit: 100 })
  return {
    counts: Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed, exit.value.skipped] : exit,
    rows: rows.map(([, { cursor, outcome }]) => {
      const failure = outcome._tag === "Failed" ? outcome.failure : undefined
      return [cursor, failure?._tag === "Defect" ? failure.message : failure?._tag ?? outcome._tag] as const
    }).toSorted(([one], [other]) => one.localeCompare(other))
  }
})

const misfit = "its payload does not match its schema: Expected an integer\n  at [\"n\"]"

describe("FanOut with an element that is wrong", () => {
  const fresh = Effect.provide([pools, Layer.fresh(MemoryJobStore.layer)])

  it.effect.each([0, 50, 600])(
    "fails it by itself where its payload is none, if tasks take %d ms",
    (millis) =>
      Effect.gen(function*() {
        const { counts, rows } = yield* outcomesOf([item(1), item(1.5), item(2)], { millis })

        assert.deepStrictEqual(counts, [2, 1, 0])
        assert.deepStrictEqual(rows, [["at 1.5", "no. 1.5", misfit]])
      }).pipe(fresh)
  )

  it.effect.each([0, 600])(
    "skips what it opens, and ends what it closes, if tasks take %d ms",
    (millis) =>
      Effect.gen(function*() {
        const open = (n: number) => item(n, true)
        const close = (n: number): Element<Whole> => ({ _tag: "After", cursor: `at ${n}`, payload: { n } })
        const { counts, rows } = yield* outcomesOf(
          [open(1.5), item(2), close(4), open(5), item(6.5), item(7), close(8.5), item(9)],
          { millis }
        )

        assert.deepStrictEqual(counts, [3, 3, 1])
        assert.deepStrictEqual(rows.map(([cursor]) => cursor).toSorted(), [
          "at 1.5",
          "at 4#skipped",
          "at 6.5",
          "at 8.5"
        ])
      }).pipe(fresh)
  )

  it.effect("fails it by itself where its payload is no JSON, and its handler would fail as well", () =>
    Effect.gen(function*() {
      const { counts, rows } = yield* anythings([1, { n: 1n }, () => 2, { n: undefined }, 3], () => Effect.fail("odd"))

      assert.deepStrictEqual(counts, [0, 5, 0])
      assert.deepStrictEqual(rows, [
        ["at 0", "Error"],
        ["at 1", noJson],
        ["at 2", noJson],
        ["at 3", noJson],
        ["at 4", "Error"]
      ])
    }).pipe(fresh))

  it.effect("fails it by itself where its success or its error is no JSON", () =>
    Effect.gen(function*() {
      const { counts, rows } = yield* anythings(
        [1, 2, 3],
        (n) => n === 1 ? Effect.succeed(1n) : n === 2 ? Effect.fail({ n: 2n }) : Effect.succeed(3)
      )

      assert.deepStrictEqual(counts, [1, 2, 0])
      assert.deepStrictEqual(rows, [
        ["at 0", noJson.replace("payload", "success")],
        ["at 1", noJson.replace("payload", "error")],
        ["at 2", "Done"]
      ])
    }).pipe(fresh))

  it.effect("fails it by itself where a field of its payload throws", () =>
    Effect.gen(function*() {
      const odd: Whole = {
        get n(): number {
          throw new Error("there is none")
        }
      }
      const { counts, rows } = yield* outcomesOf([
        Source.item("at 1", { n: 2 }),
        Source.item("at 2", odd),
        Source.item("at 3", { n: 4 })
      ])

      assert.deepStrictEqual(counts, [2, 1, 0])
      assert.deepStrictEqual(rows.map(([cursor, , told]) => [cursor, told]), [
        ["at 2", "its payload does not match its schema: there is none"]
      ])
    }).pipe(fresh))

  it.effect("fails it by itself where its count or its outcome is none", () =>
    Effect.gen(function*() {
      const done = (count: number): Element<Whole> =>
        Source.settled(`done ${count}`, { key: "done", outcome: { _tag: "Done", value: null, count } })
      const { counts, rows } = yield* outcomesOf([
        Source.item("at 1", { n: 1 }, { count: Number.NaN }),
        done(Number.NaN),
        done(-1),
        done(2),
        Source.item("at 2", { n: 2 }, { count: 1.5, opens: true }),
        Source.item("at 4", { n: 4 }, { count: Number.POSITIVE_INFINITY }),
        Source.closes("end", { n: 2 })
      ])

      assert.deepStrictEqual(counts, [2, 4, 1])
      assert.deepStrictEqual(rows.map(([cursor, , told]) => [cursor, told.replace(/ does not .*/s, "")]), [
        ["at 1", "its count"],
        ["done NaN", "its outcome"],
        ["done -1", "its outcome"],
        ["at 2", "its count"],
        ["end#skipped", "Skipped"]
      ])
    }).pipe(fresh))

  it.effect("counts it as failed where its handler has changed its payload, and the attempt that follows, too", () =>
    Effect.gen(function*() {
      const run = (attempt: number) =>
        asRun(
          "changed",
          () =>
            TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("all", Failing, numbers(6))).pipe(
              Effect.provide(
                RpcGroup.make(Failing).toLayer({
                  "test/Failing": (payload) => {
                    if (payload.n !== 3) return Effect.void
                    Object.assign(payload, { n: "three" })
                    return Effect.fail("odd")
                  }
                })
              )
            ),
          { attempt }
        )
      yield* runningJob("changed")
      const exits = [(yield* run(1)).exit, (yield* run(2)).exit]

      assert.deepStrictEqual(
        exits.map((exit) => Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed] : exit),
        [[5, 1], [5, 1]]
      )
    }).pipe(fresh))

  it.effect("keeps why it is wrong through a pause, also while it waits to be its turn", () =>
    Effect.gen(function*() {
      yield* runningJob("paused")
      const run = (stop: boolean) =>
        Effect.gen(function*() {
          const running = yield* Effect.forkChild(asRun("paused", (signal) =>
            TaskDispatcher.TaskDispatcher.use((_) =>
              _.fanOut(
                "all",
                Whole,
                elements([item(1, true), item(1.5), {
                  _tag: "After",
                  cursor: "at 2.5",
                  payload: { n: 2.5 }
                }, item(4)])
              )
            ).pipe(
              Effect.provide(Wholes.toLayer({
                "test/Whole": ({ n }) =>
                  n === 1 && stop
                    ? Effect.sleep(100).pipe(
                      Effect.andThen(Effect.sync(() => signal.requestUnsafe("Pause"))),
                      Effect.andThen(Effect.orDie(stopped))
                    )
                    : Effect.void
              }))
            )))
          yield* settle
          yield* TestClock.adjust("10 seconds")
          return (yield* Fiber.join(running)).exit
        })
      assert.isTrue(Exit.isFailure(yield* run(true)))
      const store = yield* JobStore.JobStore
      const stored = yield* store.checkpoint(JobId.make("paused"), "all")
      assert.include(Option.getOrThrow(stored), "does not match its schema")

      const exit = yield* run(false)

      assert.deepStrictEqual(Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed] : exit, [2, 2])
    }).pipe(fresh))

  it.effect("fails it where its key can't be told, and says why", () =>
    Effect.gen(function*() {
      const { counts, rows } = yield* outcomesOf([item(1), item(3), item(4)], { keep: "all" })

      assert.deepStrictEqual(counts, [2, 1, 0])
      assert.deepStrictEqual(rows, [
        ["at 1", "no. 1", "Done"],
        ["at 3", "at 3", "three has no key"],
        ["at 4", "no. 4", "Done"]
      ])
    }).pipe(fresh))

  it.effect("tells the failure of one that has failed, by its cursor where it has no key", () =>
    Effect.gen(function*() {
      const { counts, rows } = yield* outcomesOf(
        [item(1), item(3)],
        {},
        (n) => n === 3 ? Effect.die("broken") : Effect.void
      )

      assert.deepStrictEqual(counts, [1, 1, 0])
      assert.deepStrictEqual(rows, [["at 3", "at 3", "broken"]])
    }).pipe(fresh))

  it.effect.each(
    [
      ["throw", () => {
        throw new Error("no parts")
      }, "no parts"],
      [
        "end what does not begin",
        () => [item(11), { _tag: "After", cursor: "x", payload: { n: 1 } }],
        "Parts gave After \"x\" where no bracket of theirs is open"
      ],
      [
        "begin what does not end",
        () => [item(11), item(12, true)],
        "The bracket \"at 12\" among parts does not end"
      ]
    ] as ReadonlyArray<readonly [string, Parts<Whole, void>, string]>
  )("fails it where its parts %s, and nothing takes its place", ([, parts, message]) =>
    Effect.gen(function*() {
      const { counts, rows } = yield* outcomesOf([item(1), item(2)], {
        parts: (element, value) => element.payload.n === 2 ? parts(element, value) : undefined
      })

      assert.deepStrictEqual(counts, [1, 1, 0])
      assert.deepStrictEqual(rows, [["at 2", "no. 2", message]])
    }).pipe(fresh))

  it.effect("fails a part by itself, and an ending whose retry has no payload", () =>
    Effect.gen(function*() {
      const { counts, rows } = yield* outcomesOf([item(1)], {
        parts: (element) =>
          element.payload.n !== 1 ? undefined : [item(2), item(2.5), {
            _tag: "Settled",
            cursor: "at 4",
            key: "four",
            outcome: { _tag: "Failed", failure: { _tag: "Timeout", millis: 1 } },
            retry: { payload: { n: 4.5 } }
          }]
      })

      assert.deepStrictEqual(counts, [1, 2, 0])
      assert.deepStrictEqual(rows, [["at 4", "four", misfit], ["at 2.5", "no. 2.5", misfit]])
    }).pipe(fresh))
})

describe("FanOut whose job can't be paused", () => {
  it.effect("ends when whoever waits for it is interrupted, although the pause is not written", () =>
    Effect.gen(function*() {
      yield* runningJob("deaf")
      const running = yield* Effect.forkChild(
        asRun("deaf", () =>
          TaskDispatcher.TaskDispatcher.use((_) =>
            // A job that runs by itself has a pause that never ends.
            _.fanOut("all", Failing, numbers(4), { pauseOn: () => ({ by: "disk", message: "full" }) })
          ).pipe(Effect.provide(RpcGroup.make(Failing).toLayer({ "test/Failing": () => Effect.fail("full") }))))
      )
      yield* settle
      yield* TestClock.adjust("1 second")
      running.interruptUnsafe()
      yield* settle
      yield* TestClock.adjust("5 seconds")

      assert.isDefined(running.pollUnsafe())
    }).pipe(Effect.provide([pools, Layer.fresh(MemoryJobStore.layer)])))
})

describe("FanOut that asks for more than its pool has", () => {
  it.effect("says so once, with both numbers", () =>
    Effect.gen(function*() {
      yield* runningJob("many")
      const said: Array<string> = []
      const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
        if (logLevel === "Warn") said.push(String(message))
      })
      const all = (name: string, options: FanOutOptions) =>
        TaskDispatcher.TaskDispatcher.use((_) => _.fanOut(name, Failing, numbers(20), options))
      yield* asRun("many", () =>
        Effect.andThen(
          all("thirty", { concurrency: 30 }),
          Effect.andThen(all("eight", { concurrency: 8 }), all("any", {}))
        )
          .pipe(
            Effect.provide(
              RpcGroup.make(Failing).toLayer({ "test/Failing": () => Effect.void })
            ),
            Effect.provide(Logger.layer([logger]))
          ))

      assert.lengthOf(said, 1)
      assert.match(said[0] ?? "", /"thirty" asks for 30 tasks at once, and its pool "io" has 8 permits: 8 run at once/)
    }).pipe(Effect.provide([pools, Layer.fresh(MemoryJobStore.layer)])))
})

describe("FanOut whose pauseOn throws", () => {
  it.effect("fails the element with its defect, and runs the others", () =>
    Effect.gen(function*() {
      yield* runningJob("throws")
      const { exit } = yield* asRun("throws", () =>
        TaskDispatcher.TaskDispatcher.use((_) =>
          _.fanOut("all", Failing, numbers(3), {
            pauseOn: () => {
              throw new Error("no such error")
            }
          })
        ).pipe(Effect.provide(
          RpcGroup.make(Failing).toLayer({
            "test/Failing": () =>
              Effect.fail("full")
          })
        )))

      assert.strictEqual(Exit.isSuccess(exit) ? exit.value.failed : exit, 3)
      const store = yield* JobStore.JobStore
      const rows = yield* store.outcomes(JobId.make("throws"), { after: 0, limit: 10 })
      const messages = rows.map(([, { outcome }]) =>
        outcome._tag === "Failed" && outcome.failure._tag === "Defect" ? outcome.failure.message : outcome
      )
      assert.deepStrictEqual(
        messages,
        Array.from({ length: 3 }, () =>
          "no such error")
      )
    }).pipe(Effect.provide([pools, Layer.fresh(MemoryJobStore.layer)])))
})

describe("FanOut whose source goes back", () => {
  const fresh = Effect.provide([pools, Layer.fresh(MemoryJobStore.layer)])

  /** Runs ten elements, is paused at the sixth, and goes on with another source; gives what ran the second time. */
  const goingOn = Effect.fnUntraced(function*(
    second: (after: Option.Option<string>) => Stream.Stream<Element<{ readonly n: number }>>,
    isOld = false
  ) {
    yield* runningJob("back")
    const store = yield* JobStore.JobStore
    const run = (source: typeof second, stop: boolean) =>
      Effect.gen(function*() {
        const ran: Array<number> = []
        const running = yield* Effect.forkChild(asRun("back", (signal) =>
          TaskDispatcher.TaskDispatcher.use((_) =>
            _.fanOut("all", Commit, source, { concurrency: 2 })
          ).pipe(
            Effect.provide(Commits.toLayer({
              "test/Commit": ({ n }) => {
                ran.push(n)
                if (stop && n === 5) signal.requestUnsafe("Pause")
                // The fourth is unsettled then.
                return stop && n >= 4 ? Effect.orDie(stopped) : Effect.void
              }
            }))
          ), {
          store: {
            ...store,
            checkpoint: (id, name) =>
              Effect.map(
                store.checkpoint(id, name),
                Option.map((text) =>
                  isOld ? text.replace("\"first\":\"0\",", "") : text
                )
              )
          }
        }))
        yield* settle
        yield* TestClock.adjust("10 seconds")
        return { exit: (yield* Fiber.join(running)).exit, ran }
      })
    assert.isTrue(Exit.isFailure((yield* run(numbers(10), true)).exit))
    return yield* run(second, false)
  })
  const from = (first: number) => () => Stream.drop(numbers(10)(Option.none()), first)

  it.effect("goes on where its source does", () =>
    Effect.gen(function*() {
      const { exit, ran } = yield* goingOn(numbers(10))

      assert.deepStrictEqual(Exit.isSuccess(exit) ? exit.value.done : exit, 10)
      assert.deepStrictEqual(ran, [4, 5, 6, 7, 8, 9])
    }).pipe(fresh))

  it.effect.each(
    [
      ["begins anew", 0, false],
      ["gives what is unsettled again", 4, true],
      ["gives the one before again", 5, true]
    ] as const
  )("dies where it %s, and runs nothing twice", ([, first, isOld]) =>
    Effect.gen(function*() {
      const { exit, ran } = yield* goingOn(from(first), isOld)

      const message = `The source of fan-out "all" gave the cursor "${first}" again: each is there once, ` +
        "and its source has to go on behind the one that it is given as `after`"
      assert.include(String(exit), message)
      assert.deepStrictEqual(ran, [4, 5])
    }).pipe(fresh))
})

onStores(faults)

const Reading = Job.make("test/Reading", {})
const Child = Job.make("test/Child", {})
const ownPlace = Checkpoint.make("own", Schema.Number)
const failing = new JobStoreError({
  reason: new StorageFailure({ operation: "read", problem: "Unreachable", cause: "away" })
})

/** Runs a job whose program goes on whatever happens, on a store of which a method fails the first time. */
const ignoring = Effect.fnUntraced(function*(method: "checkpoint" | "outcomes" | "ownCheckpoint" | "child" | "get") {
  const store = yield* JobStore.JobStore
  let left = 1
  const faulty = new Proxy(store, {
    get: (target, name, receiver) => {
      const member: unknown = Reflect.get(target, name, receiver)
      return typeof member !== "function" ?
        member :
        (...args: ReadonlyArray<unknown>) =>
          Effect.suspend(() =>
            name === method && runs > 0 && left-- > 0 ? Effect.fail(failing) : member.apply(target, args)
          )
    }
  })
  let runs = 0
  let isWell = false
  const ran: Array<number> = []
  const programs = Layer.mergeAll(
    Reading.toLayer(() =>
      Effect.gen(function*() {
        runs++
        if (method === "ownCheckpoint") {
          return ran.push(Option.getOrElse(yield* ownPlace.get, () => 0))
        }
        if (method === "child" || method === "get") {
          const { await: ended } = yield* ChildJobs.start("child", Child, undefined)
          return yield* ended
        }
        return yield* TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("all", Commit, numbers(3)))
      }).pipe(Effect.ignore)
    ),
    Child.toLayer(() => Effect.sync(() => ran.push(0)))
  ).pipe(
    Layer.provide(Commits.toLayer({
      "test/Commit": ({ n }) =>
        Effect.suspend(() => {
          ran.push(n)
          return isWell || method !== "outcomes" ? Effect.void : Effect.die("not yet")
        })
    }))
  )
  const { jobs } = yield* process([Reading, Child], programs).pipe(
    Effect.provideService(JobStore.JobStore, faulty)
  )
  const { id } = yield* jobs.start(Reading, undefined)
  yield* settle
  yield* TestClock.adjust("1 second")
  if (method === "outcomes") {
    isWell = true
    ran.length = 0
    yield* jobs.retry(id)
    yield* TestClock.adjust("1 second")
  }
  const before = (yield* store.get(id)).state._tag
  yield* TestClock.adjust("1 minute")
  return { before, after: (yield* store.get(id)).state._tag, ran }
})

describe("a program that goes on whatever happens", () => {
  it.effect.each(["checkpoint", "outcomes", "ownCheckpoint", "child", "get"] as const)(
    "is not done where its store can't be read (%s), and runs again",
    (method) =>
      Effect.gen(function*() {
        const { after, before, ran } = yield* ignoring(method)

        assert.deepStrictEqual([before, after], ["Running", "Completed"])
        assert.isAbove(ran.length, 0)
      }).pipe(Effect.scoped, Effect.provide(Layer.fresh(MemoryJobStore.layer)))
  )
})
