import { assert, describe, it } from "@effect/vitest"
import { type Call, code, make as makeCall } from "@fanout/ops/Calls"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import * as CallWays from "../src/internal/files/callWays.ts"

type Made = "at once" | "later"

/** Calls that take some time each, and note which way they were made. */
const make = () => {
  const made: Array<Made> = []
  let [now, delay] = [0, 0]
  const pass = (millis: number, waited = 0): void => {
    now += millis
    delay += waited
  }
  const quick = new CallWays.Quick(() => now, () => delay)
  const call = (millis: number, waited: number): Call<void> =>
    makeCall<void>(
      () => {
        made.push("at once")
        pass(millis, waited)
      },
      (done) => {
        made.push("later")
        done(undefined)
      }
    )
  return {
    quick,
    /** Makes a call that takes so many milliseconds, some of which other work had the processors. */
    make: (millis: number, waited = 0, isLong = false): void => quick.make(call(millis, waited), () => {}, isLong),
    /** Does work that takes so long, until it must not go on. */
    work: (millis: number, step = millis, isNeeded = false) =>
      quick.atOnce((mayGoOn) => {
        let steps = 0
        do {
          steps++
          pass(step)
        } while (steps * step < millis && mayGoOn())
        return steps
      }, isNeeded),
    isSlow: quick.isSlow,
    made: () => made.splice(0),
    pass
  }
}

const nextTurn = () => new Promise<void>((resolve) => void setImmediate(resolve))

describe("calls at once for as long as they are quick", () => {
  it("are made for some milliseconds in a turn of the event loop", async () => {
    const { made, make: call } = make()
    for (let i = 0; i < 20; i++) call(1)
    assert.lengthOf(made(), 9)
    await nextTurn()
    assert.deepStrictEqual(made(), Array.from({ length: 9 }, () => "at once"))
    await nextTurn()
    assert.deepStrictEqual(made(), ["at once", "at once"])
  })

  it("are handed on for a while once one was slow", async () => {
    const { isSlow, made, make: call, pass } = make()
    call(21)
    call(0)
    assert.isFalse(isSlow())
    await nextTurn()
    call(0)
    assert.deepStrictEqual(made(), ["at once", "later", "later"])
    pass(200)
    call(21)
    await nextTurn()
    assert.deepStrictEqual(made(), ["at once"])
    // The second time it takes twice as long.
    pass(399)
    call(0)
    assert.isTrue(isSlow())
    pass(1)
    assert.isFalse(isSlow())
    call(0)
    assert.deepStrictEqual(made(), ["later", "at once"])
  })

  it("are not misled by other work on the machine", async () => {
    const { made, make: call, pass } = make()
    call(0)
    call(500, 480)
    await nextTurn()
    call(21, 1)
    await nextTurn()
    pass(1000)
    call(0, 300)
    await nextTurn()
    // That was long ago.
    pass(1000)
    call(21)
    call(0)
    assert.deepStrictEqual(made(), [...Array.from({ length: 5 }, (): Made => "at once"), "later"])
  })

  const statistics = "/proc/thread-self/schedstat"

  it.skipIf(!fs.existsSync(statistics))("know how long the thread has waited for a processor", () => {
    const look = () => Number(fs.readFileSync(statistics, "utf8").split(" ")[1]) / 1e6
    const [before, read, after] = [look(), CallWays.runDelay(), look()]
    assert.isAtLeast(read, before)
    assert.isAtMost(read, after)
  })

  it("have slow ones forgotten once others were quick for long", async () => {
    const { made, make: call, pass } = make()
    call(21)
    pass(200)
    await nextTurn()
    call(21)
    pass(400 + 10 * 800)
    await nextTurn()
    call(22)
    made()
    pass(200)
    await nextTurn()
    call(0)
    assert.deepStrictEqual(made(), ["at once"])
  })

  it("are handed on where they may take any time, however quick others are", () => {
    const { made, make: call } = make()
    call(0, 0, true)
    call(0)
    assert.deepStrictEqual(made(), ["later", "at once"])
  })

  it("hand on what a call has come to", async () => {
    const { quick } = make()
    const answers: Array<unknown> = []
    for (const answer of [1, code("EIO")]) {
      quick.make(makeCall(() => answer, () => {}), (made) => void answers.push(made))
    }
    assert.deepStrictEqual(answers, [1, code("EIO")])
  })
})

describe("work of many calls, at once for as long as they are quick", () => {
  it.effect("may go on for some milliseconds once it has the thread", () =>
    Effect.gen(function*() {
      const { work } = make()
      assert.deepStrictEqual(yield* work(1000, 1), Option.some(20))
      // By then the slice of this turn is over: it has the next one.
      assert.deepStrictEqual(yield* work(10, 5), Option.some(2))
    }))

  it.effect("is left undone for a while once it was slow, unless it has to be done", () =>
    Effect.gen(function*() {
      const { made, make: call, pass, work } = make()
      assert.deepStrictEqual(yield* work(100), Option.some(1))
      assert.deepStrictEqual(yield* work(101), Option.some(1))
      assert.deepStrictEqual(yield* work(1), Option.none())
      assert.deepStrictEqual(yield* work(1, 1, true), Option.some(1))
      call(0)
      assert.deepStrictEqual(made(), ["later"])
      pass(200)
      assert.deepStrictEqual(yield* work(1), Option.some(1))
    }))
})

describe("other ways", () => {
  it.effect("wait for each call, or for none", () =>
    Effect.gen(function*() {
      const made: Array<Made> = []
      const call = makeCall<void>(() => void made.push("at once"), () => void made.push("later"))
      for (const way of [CallWays.blocking, CallWays.later]) {
        for (const isLong of [false, true]) way.make(call, () => {}, isLong)
      }
      assert.deepStrictEqual(made, ["at once", "at once", "later", "later"])
      for (const isNeeded of [false, true]) {
        assert.deepStrictEqual(yield* CallWays.blocking.atOnce((mayGoOn) => mayGoOn(), isNeeded), Option.some(true))
        assert.deepStrictEqual(yield* CallWays.later.atOnce(() => assert.fail(), isNeeded), Option.none())
      }
    }))

  it("do work that throws in a later turn, and die of that", async () => {
    const { make: call, quick } = make()
    for (let i = 0; i < 20; i++) call(1)
    const exit = await Effect.runPromiseExit(quick.atOnce(() => {
      throw new Error("a mistake")
    }))
    assert.include(String(exit), "a mistake")
  })
})
