import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Hasher from "../src/internal/hash/hasher.ts"
import * as SampledHash from "../src/internal/hash/sampledHash.ts"

/** Reads a file whose byte at an offset is that modulo 251, at most so many bytes at once. */
const pattern =
  (sizeBytes: number, atOnceBytes = Number.POSITIVE_INFINITY): SampledHash.ReadAt<never> => (buffer, offset) =>
    Effect.sync(() => {
      const got = Math.max(0, Math.min(buffer.length, atOnceBytes, sizeBytes - offset))
      for (let i = 0; i < got; i++) buffer[i] = (offset + i) % 251
      return got
    })

const Size = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000_000 }))

describe("SampledHash", () => {
  it.effect("gives the ids that Spacedrive gives", () =>
    Effect.gen(function*() {
      const vectors: ReadonlyArray<readonly [number, string]> = [
        [1, "9b779f74b305adc3"],
        [102_400, "c66a52267c7e5ee9"],
        [102_401, "17f74805066119da"],
        [1_048_576, "5aefa86eb26df03d"],
        [10_000_000, "8122bdf31bfaa3a0"]
      ]
      const hasher = Hasher.make("blake3")
      for (const [sizeBytes, id] of vectors) {
        for (const atOnceBytes of [Number.POSITIVE_INFINITY, 1000]) {
          const computed = yield* SampledHash.compute(hasher, sizeBytes, pattern(sizeBytes, atOnceBytes))
          assert.deepStrictEqual(computed, Option.some(id))
        }
      }
    }))

  it.prop("reads nothing outside of the file, and not much", { sizeBytes: Size }, ({ sizeBytes }) => {
    const samples = SampledHash.samples(sizeBytes)
    const last = samples.at(-1) ?? assert.fail()
    const read = samples.reduce((sum, sample) => sum + sample.sizeBytes, 0)

    assert.strictEqual(last.offset + last.sizeBytes, sizeBytes)
    assert.isAtMost(read, SampledHash.wholeUpToBytes)
    assert.deepStrictEqual(samples, samples.toSorted((a, b) => a.offset - b.offset))
    assert.isTrue(samples.every((sample) => sample.offset + sample.sizeBytes <= sizeBytes))
  })

  it.effect("gives no id to a file that got shorter, and the right one to the next", () =>
    Effect.gen(function*() {
      const hasher = Hasher.make("blake3")
      for (const sizeBytes of [1, 102_400, 1_048_576]) {
        assert.deepStrictEqual(yield* SampledHash.compute(hasher, sizeBytes, pattern(sizeBytes - 1)), Option.none())
        assert.deepStrictEqual(yield* SampledHash.compute(hasher, 1, pattern(1)), Option.some("9b779f74b305adc3"))
      }
    }))

  it.effect("takes the content of a file that says to be empty, as those of the kernel do", () =>
    Effect.gen(function*() {
      const hasher = Hasher.make("blake3")
      const empty = yield* SampledHash.compute(hasher, 0, pattern(0))

      assert.isTrue(Option.isSome(empty))
      assert.notDeepEqual(yield* SampledHash.compute(hasher, 0, pattern(10)), empty)
    }))
})
