import { assert, describe, it } from "@effect/vitest"
import type * as Task from "@fanout/core/Task"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { agingMillis, makePermits, type PermitPool, ranks, type Share } from "../src/internal/permits/permits.ts"

const share = (): Share => {
  const own: Share = {
    get root() {
      return own
    },
    rankOf: (priority) => ranks[priority]
  }
  return own
}

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const Priority = Schema.Literals(["critical", "high", "normal", "low"])

const Step = Schema.TaggedUnion({
  Take: { share: int(0, 3), priority: Priority, weight: int(0, 6), returning: Schema.Boolean },
  Release: { at: int(0, 20) },
  Cancel: { at: int(0, 20) },
  Resize: { size: int(1, 6) },
  Wait: { millis: int(1, 5000) }
})

interface Taken {
  readonly weight: number
  readonly release: () => void
}

/** Does what the steps say, and checks after each what holds at any time. */
const play = Effect.fnUntraced(function*(size: number, steps: ReadonlyArray<typeof Step.Type>) {
  const pool = makePermits(size, yield* Clock.Clock)
  const shares = [share(), share(), share(), share()].map((one) => pool.of(one))
  const held: Array<Taken> = []
  const waiting: Array<{ readonly weight: number; readonly cancel: () => void }> = []
  const grant = (taken: Taken) => {
    const before = held.reduce((sum, { weight }) => sum + weight, 0)
    assert.isTrue(before + taken.weight <= pool.size || before === 0, `${taken.weight} more than ${before} are out`)
    held.push(taken)
  }
  for (const step of steps) {
    if (step._tag === "Take") {
      const permits = shares[step.share] ?? assert.fail("no share")
      const taken = { weight: step.weight, release: () => permits.releaseUnsafe(step.weight) }
      if (permits.tryTakeUnsafe(step.weight)) {
        grant(taken)
      } else {
        const waiter = { weight: step.weight, cancel: () => {} }
        waiting.push(waiter)
        waiter.cancel = permits.waitUnsafe(step.weight, step.priority, step.returning, () => {
          waiting.splice(waiting.indexOf(waiter), 1)
          grant(taken)
        })
      }
    } else if (step._tag === "Release") {
      held.splice(step.at, 1)[0]?.release()
    } else if (step._tag === "Cancel") {
      waiting.splice(step.at, 1)[0]?.cancel()
    } else if (step._tag === "Resize") {
      pool.resizeUnsafe(step.size)
    } else {
      yield* TestClock.adjust(step.millis)
    }
    check(pool, held, waiting)
  }
  while (held.length > 0) {
    held.pop()?.release()
    check(pool, held, waiting)
  }
  assert.deepStrictEqual([pool.held, pool.waiting, waiting.length], [0, 0, 0])
})

const check = (pool: PermitPool, held: ReadonlyArray<Taken>, waiting: ReadonlyArray<{ readonly weight: number }>) => {
  assert.strictEqual(pool.held, held.reduce((sum, { weight }) => sum + weight, 0))
  assert.strictEqual(pool.waiting, waiting.length)
  const lightest = Math.max(...waiting.map(({ weight }) => weight))
  const isIdle = waiting.length > 0 && (pool.held === 0 || pool.held + lightest <= pool.size) && pool.held < pool.size
  assert.isFalse(isIdle, "somebody waits for what is free")
}

/** Runs tasks of so many milliseconds each in a pool, one after the other for each lane, and tells when each began. */
const lanes = (
  pool: PermitPool,
  of: Share,
  priority: Task.Priority,
  options: { readonly lanes: number; readonly millis: number; readonly weight?: number }
) => {
  const { millis, weight = 1 } = options
  const began: Array<number> = []
  const permits = pool.of(of)
  const lane = Effect.gen(function*() {
    yield* Effect.callback<void>((resume) => {
      permits.waitUnsafe(weight, priority, false, () => resume(Effect.void))
    })
    began.push(yield* Clock.currentTimeMillis)
    yield* Effect.sleep(millis)
    permits.releaseUnsafe(weight)
  }).pipe(Effect.forever)
  return Effect.as(
    Effect.forEach(Array.from({ length: options.lanes }), () => Effect.forkScoped(lane), { discard: true }),
    began
  )
}

describe("permits of a pool", () => {
  it.effect.prop(
    "are never more than there are, through weights, cancels and other sizes, and none is lost or kept back",
    { size: int(1, 6), steps: Schema.Array(Step).check(Schema.isMaxLength(60)) },
    ({ size, steps }) => play(size, steps),
    { arbitrary: { runs: runs(400), size: 60 } }
  )

  it.effect.prop(
    "come to a class of every urgency at last: each second without any counts as one more urgent",
    {
      size: int(1, 4),
      others: int(1, 24),
      millis: int(1, 1500),
      priority: Schema.Literals(["critical", "high", "normal"])
    },
    ({ millis, others, priority, size }) =>
      Effect.gen(function*() {
        const pool = makePermits(size, yield* Clock.Clock)
        yield* lanes(pool, share(), priority, { lanes: others + size, millis })
        yield* TestClock.adjust(1)
        const low = yield* lanes(pool, share(), "low", { lanes: 1, millis })
        // The others wait for as long as one of them runs, and count for more by that, too. It is passed over until it
        // counts for more than they do, then it has the next permit that comes back.
        const bound = (ranks[priority] + 1) * agingMillis + 2 * millis
        yield* TestClock.adjust(bound + 1)
        assert.isAtLeast(low.length, 1, `nothing within ${bound} ms`)
        yield* TestClock.adjust(9 * (bound + millis))
        assert.isAtLeast(low.length, 9)
      }).pipe(Effect.scoped),
    { arbitrary: { runs: runs(40) } }
  )

  it.effect.prop(
    "are shared evenly by those of one urgency, however many tasks each of them has",
    { size: int(1, 8), many: int(8, 40), few: int(8, 12), millis: int(1, 500) },
    ({ few, many, millis, size }) =>
      Effect.gen(function*() {
        const pool = makePermits(size, yield* Clock.Clock)
        const [a, b] = [share(), share()]
        const first = yield* lanes(pool, a, "normal", { lanes: many, millis })
        yield* TestClock.adjust(5 * millis)
        const before = first.length
        const second = yield* lanes(pool, b, "normal", { lanes: few, millis })
        yield* TestClock.adjust(40 * millis)
        assert.isAtMost(Math.abs(first.length - before - second.length), 2 * size)
      }).pipe(Effect.scoped),
    { arbitrary: { runs: runs(100) } }
  )

  it.effect("go to what has become more urgent while it waits", () =>
    Effect.gen(function*() {
      const pool = makePermits(1, yield* Clock.Clock)
      let urgency = 0
      const plain = share()
      const raised: Share = {
        get root() {
          return raised
        },
        rankOf: (priority) => ranks[priority] + urgency
      }
      const order: Array<string> = []
      const wait = (of: Share, name: string) => pool.of(of).waitUnsafe(1, "normal", false, () => order.push(name))
      wait(plain, "first")
      wait(plain, "plain")
      wait(raised, "raised")
      urgency = 1
      pool.of(plain).releaseUnsafe(1)
      assert.deepStrictEqual(order, ["first", "raised"])
    }))

  it.effect("go to who waits behind one that stops waiting", () =>
    Effect.gen(function*() {
      const pool = makePermits(4, yield* Clock.Clock)
      const own = pool.of(share())
      const order: Array<string> = []
      assert.isTrue(own.tryTakeUnsafe(3))
      const cancel = own.waitUnsafe(2, "normal", false, () => order.push("heavy"))
      own.waitUnsafe(1, "normal", false, () => order.push("light"))
      assert.deepStrictEqual(order, [])
      assert.isFalse(own.tryTakeUnsafe(1), "nobody passes those that wait")
      cancel()
      assert.deepStrictEqual(order, ["light"])
    }))

  it.effect("are handed out also after somebody has set the clock back", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let off = 0
      const pool = makePermits(1, { ...clock, currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() - off })
      const order: Array<string> = []
      const own = pool.of(share())
      own.waitUnsafe(1, "normal", false, () => order.push("first"))
      own.waitUnsafe(1, "normal", false, () => order.push("second"))
      own.waitUnsafe(1, "normal", false, () => order.push("third"))
      own.releaseUnsafe(1)
      off = 3_600_000
      own.releaseUnsafe(1)
      assert.deepStrictEqual(order, ["first", "second", "third"])
    }))
})
