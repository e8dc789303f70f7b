import { assert, describe, type Vitest } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import * as HashCache from "../src/internal/hash/hashCache.ts"

const entry = (file: string, state: string, digest: string): HashCache.Entry => ({
  algorithm: "blake3",
  file,
  state,
  digest
})

/** What every cache of digests does. */
export const hashCacheContract = <E>(name: string, it: Vitest.MethodsNonLive, layer: Layer.Layer<never, E>): void => {
  const test = <E>(name: string, body: (cache: HashCache.HashCache) => Effect.Effect<void, E>) =>
    it.effect(name, () => Effect.provide(Effect.flatMap(HashCache.HashCache, body), layer))
  const digestOf = (cache: HashCache.HashCache, file: string, state: string) =>
    Effect.map(cache.find("blake3", { file, state }), Option.map((found) => found.digest))

  describe(`HashCache: ${name}`, () => {
    test("finds nothing before anything was recorded", (cache) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* digestOf(cache, "a", "1"), Option.none())
      }))

    test("finds the digest of a file in the same state, by the same algorithm alone", (cache) =>
      Effect.gen(function*() {
        yield* TestClock.adjust(1234)
        yield* cache.recording(cache.remember([entry("a", "1", "digest")]))
        const stamp = { file: "a", state: "1" }
        assert.deepInclude(yield* Effect.map(cache.find("blake3", stamp), Option.getOrThrow), {
          digest: "digest",
          usedAt: 1234
        })
        assert.deepStrictEqual(yield* cache.find("sha256", stamp), Option.none())
        assert.deepStrictEqual(yield* digestOf(cache, "a", "2"), Option.none())
        assert.deepStrictEqual(yield* digestOf(cache, "b", "1"), Option.none())
      }))

    test("keeps the last digest of a file, told twice at once or one after the other", (cache) =>
      Effect.gen(function*() {
        yield* cache.recording(Effect.andThen(
          cache.remember([entry("a", "1", "first"), entry("a", "2", "second")]),
          cache.remember([entry("b", "1", "first")])
        ))
        yield* cache.recording(cache.remember([entry("b", "2", "second")]))
        for (const file of ["a", "b"]) {
          assert.deepStrictEqual(yield* digestOf(cache, file, "1"), Option.none())
          assert.deepStrictEqual(yield* digestOf(cache, file, "2"), Option.some("second"))
        }
      }))

    test("forgets what nobody has used for 90 days, however much that is", (cache) =>
      Effect.gen(function*() {
        const old = Arr.makeBy(1203, (i) => entry(`old ${i}`, "1", `digest ${i}`))
        yield* cache.recording(Effect.andThen(cache.remember(old), cache.remember([entry("used", "1", "digest")])))
        assert.deepStrictEqual(yield* digestOf(cache, "old 1202", "1"), Option.some("digest 1202"))
        yield* TestClock.adjust("2 days")
        yield* cache.recording(cache.remember([entry("used", "1", "digest")]))
        yield* TestClock.adjust("88 days")
        yield* cache.recording(Effect.void)
        assert.deepStrictEqual(yield* digestOf(cache, "old 0", "1"), Option.some("digest 0"))
        yield* TestClock.adjust(1)
        yield* cache.recording(Effect.void)
        for (const { file } of old) assert.deepStrictEqual(yield* digestOf(cache, file, "1"), Option.none())
        assert.deepStrictEqual(yield* digestOf(cache, "used", "1"), Option.some("digest"))
      }))

    test("gives what the fan-out gives, and fails as it does", (cache) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* cache.recording(Effect.succeed(7)), 7)
        assert.strictEqual(yield* Effect.flip(cache.recording(Effect.fail("so"))), "so")
      }))
  })
}
