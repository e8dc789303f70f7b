import { assert, describe, it } from "@effect/vitest"
import * as Lease from "@fanout/core/Lease"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/testing/TestClock"
import { codecs, protocol, textsOf } from "../src/internal/cluster/messages.ts"
import { RemoteTask } from "../src/internal/cluster/remoteTask.ts"
import { RemoteWorker } from "../src/internal/cluster/remoteWorker.ts"
import { most, OwnSlots, Slots } from "../src/internal/cluster/slots.ts"
import { Work } from "./ClusterWorld.ts"

const process = { machine: "m", boot: "b", process: "p" }

const workerOf = (clock: Clock.Clock, sizes: ReadonlyArray<number> = [2]) =>
  new RemoteWorker(
    "one",
    { protocol, now: [0, 0], process, pools: sizes.map((size) => ["io", size]), tasks: [0] },
    clock,
    5000,
    () => undefined
  )

const taskOf = (
  n: number,
  onSettle: (effect: Effect.Effect<unknown, unknown>) => void = () => undefined,
  context: Context.Context<never> = Context.empty()
) => new RemoteTask({ task: Work, index: 0 }, { n, steps: 1 }, context, onSettle)

/** The messages that tell a worker what is new. */
const told = Effect.fnUntraced(function*(worker: RemoteWorker) {
  const sent = yield* Queue.unbounded<string>()
  const send = (text: string) => Effect.asVoid(Queue.offer(sent, text))
  yield* Effect.forkChild(worker.talk({ receive: Effect.never, send }))
  yield* TestClock.adjust(1)
  return (yield* Queue.takeAll(sent)).map((text) => text.slice(text.indexOf(" ")))
})

describe("RemoteWorker", () => {
  it.effect("tells of a lease before its tasks, and of a task before its end", () =>
    Effect.gen(function*() {
      const worker = workerOf(yield* Clock.Clock)
      const task = taskOf(1)
      worker.take(task, 0)
      worker.tell("stops", [task.id, "Cancel"])
      worker.tell("interrupts", task.id)

      const keys = (yield* told(worker)).flatMap((text) => Object.keys(JSON.parse(text)))
      assert.deepStrictEqual(keys, ["leases", "tasks", "stops", "interrupts"])
    }))

  it.effect("grants a lease no longer than its owner holds it, by neither clock", () =>
    Effect.gen(function*() {
      const worker = workerOf(yield* Clock.Clock)
      const held = [[2000, 9000], [9000, 3000], [9000, 9000]] as const
      for (const [monotonic, wallMillis] of held) {
        const until = { monotonicNanos: BigInt(monotonic) * 1_000_000n, wallMillis }
        const lease = { ...Lease.Lease.defaultValue(), heldUntilUnsafe: () => Option.some(until) }
        worker.take(taskOf(1, undefined, Context.make(Lease.Lease, lease)), 0)
      }

      const leases = (yield* told(worker)).flatMap((text) => codecs.toWorker.decode(text).leases ?? [])
      assert.deepStrictEqual(leases.map(({ heldUntil }) => heldUntil), [[2000, 5000], [5000, 3000], [5000, 5000]])
    }))

  it.effect("does not take a stall of the owner for silence of the worker, and hears of silence after it", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let stalled = 0n
      const late: Clock.Clock = Object.create(clock, {
        monotonicTimeNanosUnsafe: { value: () => clock.monotonicTimeNanosUnsafe() + stalled }
      })
      const worker = workerOf(late)
      const fiber = yield* Effect.forkChild(worker.talk({ receive: Effect.never, send: () => Effect.void }))
      yield* TestClock.adjust(1000)
      stalled = 10_000_000_000n
      yield* TestClock.adjust(2500)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1000)

      assert.isTrue(Exit.isFailure(fiber.pollUnsafe() ?? Exit.void))
    }))

  it.effect("does not take a long message for silence while its parts arrive", () =>
    Effect.gen(function*() {
      const worker = workerOf(yield* Clock.Clock)
      let [arrived, isArriving] = [0, true]
      const arrivedUnsafe = () => isArriving ? ++arrived : arrived
      const fiber = yield* Effect.forkChild(
        worker.talk({ receive: Effect.never, send: () => Effect.void, arrivedUnsafe })
      )
      yield* TestClock.adjust(20_000)
      assert.isUndefined(fiber.pollUnsafe())
      isArriving = false
      yield* TestClock.adjust(5000)

      assert.isTrue(Exit.isFailure(fiber.pollUnsafe() ?? Exit.void))
    }))

  it.effect("bounds what a worker has in hand, whatever sizes of pools it claims", () =>
    Effect.gen(function*() {
      const worker = workerOf(yield* Clock.Clock, [Number.MAX_SAFE_INTEGER, 1e9])
      assert.strictEqual(worker.windowOf([0]), most)
      assert.deepStrictEqual(worker.loads.map(({ size }) => size), [most, most])
      for (let n = 0; n < most; n++) worker.take(taskOf(n), 0)
      assert.isTrue(worker.isFull)
      let settled = 0
      worker.take(taskOf(most, () => settled++), 0)

      assert.deepStrictEqual([settled, worker.tasks.size], [1, most])
      assert.isDefined(worker.tasks.get(0))
    }))
})

describe("textsOf", () => {
  const kilo = "x".repeat(1000)

  it("writes each element once, however many messages they take", () => {
    let written = 0
    const element = (n: number) => ({ toJSON: () => [n, written++ < 0 ? "" : kilo] })
    const texts = textsOf("some", Arr.makeBy(10_000, element), () => undefined, { now: [1, 2] })
    const read = texts.map((text): { readonly now: unknown; readonly some: ReadonlyArray<[number, string]> } =>
      JSON.parse(text)
    )

    assert.strictEqual(written, 10_000)
    assert.isAbove(texts.length, 9)
    assert.isBelow(Math.max(...texts.map(({ length }) => length)), 2 ** 20 + 100)
    assert.deepStrictEqual(read.flatMap(({ some }) => some.map(([n]) => n)), Arr.makeBy(10_000, (n) => n))
    assert.deepStrictEqual(read[0]?.now, [1, 2])
  })

  it("replaces what has no JSON, and leaves out what nothing stands for", () => {
    const told: Array<string> = []
    const texts = textsOf<unknown>("some", [1, 2n, [3n], "four"], (element, why) => {
      told.push(why)
      return element === 2n ? "two" : undefined
    })

    assert.deepStrictEqual(texts, [JSON.stringify({ some: [1, "two", "four"] })])
    assert.match(told.join(), /^has no JSON: .*BigInt.*,has no JSON: /)
  })
})

describe("Slots", () => {
  it("take no more memory for members that have come and gone under ids of others", () => {
    const own = new OwnSlots<string>()
    const theirs = new Slots<string>()
    for (let n = 0; n < 10_000; n++) {
      const id = own.add("a")
      theirs.put(id, "a")
      own.delete(id)
      theirs.delete(id)
    }

    assert.deepStrictEqual([own.size, theirs.size], [0, 0])
    assert.isBelow(JSON.stringify([own, theirs]).length, 200)
  })
})
