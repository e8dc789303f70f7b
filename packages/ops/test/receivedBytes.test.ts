/**
 * Buffers of bytes that came over connections are given back by collections of young objects alone.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { constants, PerformanceObserver } from "node:perf_hooks"
import { setTimeout } from "node:timers/promises"
import { received } from "../src/internal/cloud/receivedBytes.ts"

const isMinor = (entry: object): boolean =>
  "detail" in entry && typeof entry.detail === "object" && entry.detail !== null && "kind" in entry.detail &&
  entry.detail.kind === constants.NODE_PERFORMANCE_GC_MINOR

/** How many collections of young objects alone there are meanwhile. */
const collectionsOf = async (run: () => void): Promise<number> => {
  let count = 0
  const observer = new PerformanceObserver((list) => void (count += list.getEntries().filter(isMinor).length))
  observer.observe({ entryTypes: ["gc"] })
  run()
  await setTimeout(50)
  observer.disconnect()
  return count
}

describe("bytes that were received", () => {
  it.effect("are collected after each 4 MiB", () =>
    Effect.gen(function*() {
      const receive = (pieces: number) =>
        Effect.promise(() =>
          collectionsOf(() => {
            for (let n = 0; n < pieces; n++) received(2 ** 16)
          })
        )
      const few = yield* receive(63)
      const all = yield* receive(64 * 4)
      assert.strictEqual(few, 0)
      assert.isAtLeast(all, 4)
    }))
})
