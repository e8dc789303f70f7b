import { assert, beforeEach, describe, it, vi } from "@effect/vitest"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

// The bounds are one thing for all of a process, and a process that another test has killed may hold files for good.
vi.resetModules()
const HeldFiles = await import("../src/internal/heldFiles.ts")

/** Starts more batches than may run, and gives how many files each of those that do may hold. */
const held = Effect.gen(function*() {
  const sizes: Array<number> = []
  const fibers = yield* Effect.forEach(Array.from({ length: 10 }), () =>
    Effect.forkChild(HeldFiles.batch((size) => {
      sizes.push(size)
      return Effect.never
    })))
  yield* settle
  yield* Fiber.interruptAll(fibers)
  return sizes
})

/** Runs batches that meet no lack, one after the other, and gives how many files each of them may hold. */
const clean = (count: number) => Effect.forEach(Array.from({ length: count }), () => HeldFiles.batch(Effect.succeed))

const lacking = HeldFiles.batch(() => Effect.sync(HeldFiles.narrow))

const same = (length: number, size: number) => Array.from({ length }, () => size)

/** All tests share the bounds, as all jobs of a process do. */
const widest = Effect.repeat(HeldFiles.batch(Effect.succeed), { until: (size) => size === 64, times: 100 })

describe("heldFiles", () => {
  beforeEach(() => Effect.runPromise(widest))

  it.effect("lets fewer files be held, in one batch, each time that there are no descriptors", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* held, same(8, 64))
      for (const size of [16, 4]) {
        assert.isTrue(HeldFiles.narrow())
        assert.deepStrictEqual(yield* held, [size])
      }
      assert.isFalse(HeldFiles.narrow())
    }))

  it.effect("lets as many be held as before, step by step, once batches have met no lack for long", () =>
    Effect.gen(function*() {
      for (const _ of [1, 2]) HeldFiles.narrow()
      for (const size of [4, 8, 16]) assert.deepStrictEqual(yield* clean(16), same(16, size))
      assert.deepStrictEqual(yield* clean(15), same(15, 32))
      assert.deepStrictEqual(yield* held, [32])
      yield* clean(1)
      assert.deepStrictEqual(yield* held, same(8, 64))
      // There are never more.
      yield* clean(40)
      assert.deepStrictEqual(yield* held, same(8, 64))
    }))

  it.effect("counts no batches that were interrupted, have failed, or met a lack, nor those before one", () =>
    Effect.gen(function*() {
      HeldFiles.narrow()
      yield* clean(15)
      assert.deepStrictEqual(yield* held, [16])
      yield* Effect.ignore(HeldFiles.batch(() => Effect.fail("broken")))
      assert.deepStrictEqual(yield* held, [16])
      assert.isTrue(yield* lacking)
      assert.deepStrictEqual(yield* clean(15), same(15, 4))
      // With the least there may be a lack, too.
      assert.isFalse(yield* lacking)
      assert.deepStrictEqual(yield* clean(16), same(16, 4))
      assert.deepStrictEqual(yield* clean(1), [8])
    }))

  it.effect("counts no batches that had begun before there was a lack", () =>
    Effect.gen(function*() {
      const fibers = yield* Effect.forEach(Array.from({ length: 8 }), () =>
        Effect.forkChild(HeldFiles.batch(() => Effect.yieldNow), { startImmediately: true }))
      HeldFiles.narrow()
      yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(yield* clean(17), [...same(16, 16), 32])
    }))

  it.effect("lets those begin that wait once there is room for more batches", () =>
    Effect.gen(function*() {
      HeldFiles.narrow()
      yield* clean(16 + 15)
      const sizes: Array<number> = []
      const last = yield* Effect.forkChild(HeldFiles.batch(() => Effect.yieldNow), { startImmediately: true })
      const waiting = yield* Effect.forEach(Array.from({ length: 10 }), () =>
        Effect.forkChild(
          HeldFiles.batch((size) => {
            sizes.push(size)
            return Effect.never
          }),
          { startImmediately: true }
        ))
      assert.deepStrictEqual(sizes, [])
      yield* Fiber.join(last)
      yield* settle
      assert.deepStrictEqual(sizes, same(8, 64))
      yield* Fiber.interruptAll(waiting)
    }))
})
