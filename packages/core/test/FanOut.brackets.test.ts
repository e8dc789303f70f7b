import { assert, describe, it } from "@effect/vitest"
import type { FailurePolicy } from "@fanout/core/FanOut"
import * as JobId from "@fanout/core/JobId"
import * as JobStore from "@fanout/core/JobStore"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import type { Element } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { asRun, pools, runningJob } from "./fanOutHarness.ts"

const concurrency = 4

const Visit = Task.make("test/Visit", {
  payload: { name: Schema.String },
  error: Schema.String,
  key: ({ name }) => name,
  pool: "io"
})
class Tasks extends RpcGroup.make(Visit) {}

/** Brackets one after another, of as many items each. */
const brackets = (count: number, items: number): ReadonlyArray<Element<{ readonly name: string }>> =>
  Array.from({ length: count }, (_, i) => [
    { _tag: "Item" as const, cursor: `${i}`, payload: { name: `open ${i}` }, opens: true },
    ...Array.from({ length: items }, (_, n) => ({
      _tag: "Item" as const,
      cursor: `${i}/${n}`,
      payload: { name: `item ${i}/${n}` }
    })),
    { _tag: "After" as const, cursor: `${i} end`, payload: { name: `end ${i}` } }
  ]).flat()

interface Options {
  readonly attempt?: number
  readonly failures?: FailurePolicy
  readonly lanes?: number
  readonly onGiven?: () => void
}

/** Runs a job that is stored; what a run before it has left, if there was one. */
const fanOut = (
  id: string,
  elements: ReadonlyArray<Element<{ readonly name: string }>>,
  visit: (name: string) => Effect.Effect<void, string>,
  { attempt = 1, failures = "collect", lanes = concurrency, onGiven = () => {} }: Options = {}
) =>
  asRun(
    id,
    () =>
      TaskDispatcher.TaskDispatcher.use((_) =>
        _.fanOut("all", Visit, (after) =>
          Stream.fromIterable(
            elements.slice(elements.findIndex(({ cursor }) => cursor === Option.getOrUndefined(after)) + 1)
          ).pipe(Stream.rechunk(1), Stream.tap(() => Effect.sync(onGiven))), { concurrency: lanes, failures })
      ).pipe(Effect.provide(Tasks.toLayer({ "test/Visit": ({ name }) => visit(name) }))),
    { attempt }
  )

describe("brackets of a fan-out", () => {
  it.effect.each([1, 2, 4, 12])(
    "open while what lies before them still runs, with %s in each",
    (items) =>
      Effect.gen(function*() {
        yield* runningJob("ahead")
        const running = yield* Effect.forkChild(
          fanOut(
            "ahead",
            brackets(16, items),
            (name) => name.startsWith("end") ? Effect.void : Effect.sleep("1 second")
          )
        )
        yield* settle
        let seconds = 0
        for (; seconds < 300 && running.pollUnsafe() === undefined; seconds++) {
          yield* TestClock.adjust("1 second")
        }
        const { exit } = yield* Fiber.join(running)
        assert.strictEqual(Exit.isSuccess(exit) && exit.value.done, 16 * (items + 2))
        // Four lanes do four each second, but for the first that opens, and the last that end.
        assert.isAtMost(seconds, 16 * (items + 1) / concurrency + 1)
      }).pipe(Effect.provide([pools, MemoryJobStore.layer]))
  )

  it.effect("have what is in them wait for them, as much as may run at the same time", () =>
    Effect.gen(function*() {
      yield* runningJob("waits")
      const gate = Latch.makeUnsafe(false)
      let given = 0
      const ran: Array<string> = []
      const running = yield* Effect.forkChild(fanOut(
        "waits",
        [...brackets(1, 100), ...brackets(1, 1)],
        (name) => {
          ran.push(name)
          return name === "open 0" ? gate.await : Effect.void
        },
        { onGiven: () => given++ }
      ))
      yield* settle
      assert.deepStrictEqual(ran, ["open 0"])
      assert.isAtMost(given, 1 + 2 * concurrency + 2)
      yield* TestClock.adjust("1 second")
      yield* gate.open
      const { exit } = yield* Fiber.join(running)
      assert.strictEqual(Exit.isSuccess(exit) && exit.value.done, 105)
      // What opens the next one has gone before them; they themselves come in their order.
      const items = ran.filter((name) => name.startsWith("item 0/"))
      assert.deepStrictEqual(items, [...Array.from({ length: 100 }, (_, n) => `item 0/${n}`), "item 0/0"])
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("hold nothing up, however many empty ones follow each other", () =>
    Effect.gen(function*() {
      yield* runningJob("empty")
      const root: Element<{ readonly name: string }> = {
        _tag: "Item",
        cursor: "root",
        payload: { name: "root" },
        opens: true
      }
      const elements = [
        root,
        { _tag: "Item" as const, cursor: "first", payload: { name: "first" } },
        ...brackets(500, 0),
        { _tag: "After" as const, cursor: "root end", payload: { name: "root end" } }
      ]
      const ran: Array<string> = []
      const running = yield* Effect.forkChild(fanOut("empty", elements, (name) => {
        ran.push(name)
        return Effect.sleep("10 millis")
      }))
      yield* settle
      for (let i = 0; i < 400 && running.pollUnsafe() === undefined; i++) yield* TestClock.adjust("10 millis")
      const { exit } = yield* Fiber.join(running)
      assert.strictEqual(Exit.isSuccess(exit) && exit.value.done, 1003)
      assert.isBelow(ran.indexOf("first"), 20)
      assert.isBelow(ran.indexOf("end 0"), 30)
      assert.isBelow(ran.indexOf("end 400"), 900)
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("are skipped with what waited for them, and the rest goes on", () =>
    Effect.gen(function*() {
      yield* runningJob("skipped")
      const at: Array<number> = []
      const ran: Array<string> = []
      const elements = brackets(8, 2)
      const running = yield* Effect.forkChild(fanOut("skipped", elements, (name) =>
        Effect.gen(function*() {
          at.push(yield* Clock.currentTimeMillis)
          ran.push(name)
          yield* Effect.sleep("1 second")
          if (name.startsWith("open") && name !== "open 7") return yield* Effect.fail("not made")
        })))
      for (let i = 0; i < 100 && running.pollUnsafe() === undefined; i++) yield* TestClock.adjust("1 second")
      const { exit } = yield* Fiber.join(running)
      assert.deepStrictEqual(
        Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed, exit.value.skipped] : exit,
        [4, 7, 14]
      )
      assert.deepStrictEqual(ran.filter((name) => !name.startsWith("open")), ["item 7/0", "item 7/1", "end 7"])
      // Openings three at a time, since what waits for them has no more room; one after another would take 9000.
      assert.isAtMost(at.at(-1) ?? 0, 5000)
      const rows = yield* JobStore.JobStore.use((store) =>
        store.outcomes(JobId.make("skipped"), { after: 0, limit: 100 })
      )
      const skipped = new Map(
        rows.flatMap(([, { key, outcome }]) => outcome._tag === "Skipped" ? [[key, outcome.count] as const] : [])
      )
      assert.deepStrictEqual(skipped, new Map(Array.from({ length: 7 }, (_, i) => [`open ${i}`, 2])))
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("skip what the source knows, too, when another run goes on", () =>
    Effect.gen(function*() {
      yield* runningJob("known")
      const failure = { _tag: "Error", error: {}, message: "the source knows" } as const
      const before: Element<{ readonly name: string }> = { _tag: "Item", cursor: "x", payload: { name: "before" } }
      const [opening, item, end] = brackets(1, 1)
      const known = { _tag: "Settled", cursor: "known", key: "known", outcome: { _tag: "Failed", failure } } as const
      const elements = [before, opening, item, known, end].flatMap((element) => element ?? [])
      const run = (open: Effect.Effect<void, string>) =>
        Effect.forkChild(fanOut("known", elements, (name) => name === "before" ? Effect.void : open))
      const first = yield* run(Effect.never)
      yield* settle
      // Long enough for a flush.
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(first)
      const second = yield* run(Effect.andThen(Effect.sleep("1 second"), Effect.fail("not made")))
      yield* settle
      yield* TestClock.adjust("2 seconds")
      const { exit } = yield* Fiber.join(second)
      assert.deepStrictEqual(
        Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed, exit.value.skipped] : exit,
        [1, 1, 2]
      )
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("are skipped no more once a retry has run them, although the source was still in them", () =>
    Effect.gen(function*() {
      yield* runningJob("retried")
      // More than can wait, so that the source has not given its end when it fails.
      const elements = brackets(2, 12)
      const open = (isMade: boolean) => (name: string) =>
        name === "open 0" && !isMade ? Effect.andThen(Effect.yieldNow, Effect.fail("not made")) : Effect.void
      const first = yield* fanOut("retried", elements, open(false), { failures: "failFast" })
      assert.match(String(first.exit), /gave up after 1 failure:/)
      const { exit } = yield* fanOut("retried", elements, open(true), { attempt: 2 })
      assert.deepStrictEqual(
        Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed, exit.value.skipped, exit.value.reasons] : exit,
        [28, 0, 0, undefined]
      )
      const store = yield* JobStore.JobStore
      assert.lengthOf(yield* store.outcomes(JobId.make("retried"), { after: 0, limit: 100 }), 0)
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("are opened by a retry that goes on from what it had saved, and leave nothing each time it stops", () =>
    Effect.gen(function*() {
      yield* runningJob("saved")
      const step = TaskCheckpoint.make(Schema.Number)
      const store = yield* JobStore.JobStore
      const run = (opening: Effect.Effect<void, string>, attempt: number) =>
        fanOut("saved", brackets(1, 1), (name) => name === "open 0" ? opening : Effect.void, { attempt })
      yield* run(Effect.fail("not made"), 1)
      const before: Array<number> = []
      const stored: Array<number> = []
      const save = Effect.gen(function*() {
        const steps = Option.getOrElse(yield* step.get, () => 0)
        before.push(steps)
        yield* step.save(steps + 1)
      })
      for (let stop = 0; stop < 3; stop++) {
        const running = yield* Effect.forkChild(run(Effect.andThen(save, Effect.never), 2))
        yield* settle
        // Long enough for a flush.
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(running)
        stored.push(Option.getOrThrow(yield* store.checkpoint(JobId.make("saved"), "all")).length)
      }
      const { exit } = yield* run(save, 2)
      assert.deepStrictEqual(before, [0, 1, 2, 3])
      assert.deepStrictEqual(new Set(stored).size, 1)
      assert.deepStrictEqual(
        Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed, exit.value.skipped] : exit,
        [3, 0, 0]
      )
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect.each(
    [
      { what: "open", left: [0, 1], why: /The source of fan-out "all" ended in an open bracket/ },
      { what: "closed without being opened", left: [2], why: /The source gave After "0 end" where no bracket is open/ }
    ]
  )("end the fan-out where its source leaves them $what", ({ left, why }) =>
    Effect.gen(function*() {
      yield* runningJob("left")
      const elements = brackets(1, 1).filter((_, n) => left.includes(n))
      assert.match(String((yield* fanOut("left", elements, () => Effect.void)).exit), why)
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("need not be there for a retry to keep what was saved of elements that it has not come to", () =>
    Effect.gen(function*() {
      yield* runningJob("kept")
      const step = TaskCheckpoint.make(Schema.String)
      const before: Array<string> = []
      const items = brackets(1, 2).slice(1, 3)
      const run = (attempt: number, lanes: number, work: (name: string) => Effect.Effect<void, string>) =>
        fanOut("kept", items, work, { attempt, lanes })
      const goOn = (name: string) =>
        Effect.map(step.get, (saved) => void before.push(`${name}: ${Option.getOrElse(saved, () => "nothing")}`))
      yield* run(1, 2, () => Effect.fail("not yet"))
      const stops = [(name: string) => Effect.andThen(step.save(`half of ${name}`), Effect.never), () => Effect.never]
      for (const [n, work] of stops.entries()) {
        const running = yield* Effect.forkChild(run(2, 2 - n, work))
        yield* settle
        // Long enough for a flush.
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(running)
      }
      yield* run(2, 1, goOn)
      assert.deepStrictEqual(before, ["item 0/0: half of item 0/0", "item 0/1: half of item 0/1"])
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))

  it.effect("still hold back what waited for them when another run goes on", () =>
    Effect.gen(function*() {
      yield* runningJob("again")
      const before: Element<{ readonly name: string }> = { _tag: "Item", cursor: "x", payload: { name: "before" } }
      let ran: Array<string> = []
      const run = (opening: Effect.Effect<void>) =>
        Effect.forkChild(fanOut("again", [before, ...brackets(1, 2)], (name) => {
          ran.push(name)
          return name === "open 0" ? opening : Effect.void
        }))
      const first = yield* run(Effect.never)
      yield* settle
      // Long enough for a flush.
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(first)
      assert.deepStrictEqual(ran, ["before", "open 0"])
      ran = []
      const second = yield* run(Effect.sleep("1 second"))
      yield* settle
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(ran, ["open 0"])
      yield* TestClock.adjust("1 second")
      const { exit } = yield* Fiber.join(second)
      assert.strictEqual(Exit.isSuccess(exit) && exit.value.done, 5)
      assert.deepStrictEqual(ran, ["open 0", "item 0/0", "item 0/1", "end 0"])
    }).pipe(Effect.provide([pools, MemoryJobStore.layer])))
})
