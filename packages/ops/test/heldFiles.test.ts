import { assert, describe, it } from "@effect/vitest"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HeldFiles from "../src/internal/heldFiles.ts"

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

describe("heldFiles", () => {
  it.effect("lets fewer files be held, in one batch, each time that there are no descriptors", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* held, Array.from({ length: 8 }, () => 64))
      for (const size of [16, 4]) {
        assert.isTrue(HeldFiles.narrow())
        assert.deepStrictEqual(yield* held, [size])
      }
      assert.isFalse(HeldFiles.narrow())
    }))
})
