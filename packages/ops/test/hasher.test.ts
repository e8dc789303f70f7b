import { assert, describe, it } from "@effect/vitest"
import { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import * as HashAlgorithms from "@fanout/ops/HashAlgorithm"
import { blake2b } from "@noble/hashes/blake2.js"
import { blake3 } from "@noble/hashes/blake3.js"
import { md5, sha1 } from "@noble/hashes/legacy.js"
import { sha224, sha256, sha384, sha512 } from "@noble/hashes/sha2.js"
import { sha3_224, sha3_256, sha3_384, sha3_512 } from "@noble/hashes/sha3.js"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Hasher from "../src/internal/hash/hasher.ts"
import * as ResumableHasher from "../src/internal/hash/resumableHasher.ts"

/** The pattern that BLAKE3's own test vectors have. */
const content = Uint8Array.from({ length: 102_400 }, (_, index) => index % 251)

const chunkBytes = 1024
const blake3Sizes = [
  0,
  1,
  ...Array.from({ length: 16 }, (_, index) => (index + 1) * chunkBytes).flatMap((end) => [end - 1, end, end + 1]),
  31_744,
  102_400
]
const sizes = [0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 143, 144, 200, 10_007]

/** An implementation in JavaScript, which shares nothing with the native ones. */
const independent: Readonly<Record<HashAlgorithm, (bytes: Uint8Array) => Uint8Array>> = {
  blake3,
  sha256,
  sha512,
  sha384,
  sha224,
  sha1,
  md5,
  blake2b,
  "sha3-224": sha3_224,
  "sha3-256": sha3_256,
  "sha3-384": sha3_384,
  "sha3-512": sha3_512
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

const expected = (algorithm: HashAlgorithm, sizeBytes: number): string =>
  hex(independent[algorithm](content.subarray(0, sizeBytes)))

/** Gives a hasher the content from an offset on, in pieces of 1, 3, 5… bytes, some of them empty. */
const updateInOddPieces = (hasher: Hasher.Hasher, sizeBytes: number, from = 0): void => {
  for (let at = from, length = 1; at < sizeBytes; at += length, length += length < 2000 ? 2 : -1999) {
    hasher.update(content.subarray(at, Math.min(at + length, sizeBytes)))
    hasher.update(new Uint8Array(0))
  }
}

const sizesOf = (algorithm: HashAlgorithm): ReadonlyArray<number> => algorithm === "blake3" ? blake3Sizes : sizes

describe("Hasher", () => {
  it.each(HashAlgorithm.literals)(
    "agrees with another implementation of %s, for one content after the other",
    (algorithm) => {
      const hasher = Hasher.make(algorithm)
      for (const sizeBytes of sizesOf(algorithm)) {
        updateInOddPieces(hasher, sizeBytes)
        const inPieces = hasher.digest()
        hasher.update(content.subarray(0, sizeBytes))

        assert.strictEqual(inPieces, expected(algorithm, sizeBytes), `${sizeBytes} bytes`)
        assert.strictEqual(hasher.digest(), inPieces)
        assert.lengthOf(inPieces, HashAlgorithms.digits(algorithm))
      }
    }
  )

  it("gives the digests that the authors of BLAKE3 publish", () => {
    const published: ReadonlyArray<readonly [number, string]> = [
      [0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"],
      [1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"],
      [1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"],
      [31_744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47"],
      [102_400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"]
    ]
    const hasher = Hasher.make("blake3")
    for (const [sizeBytes, digest] of published) {
      hasher.update(content.subarray(0, sizeBytes))
      assert.strictEqual(hasher.digest(), digest)
    }
  })

  it("takes a part of a buffer, memory that threads share, and a buffer that is used again", () => {
    const hasher = Hasher.make("blake3")
    const shared = new Uint8Array(new SharedArrayBuffer(100)).fill(7)
    const buffer = new Uint8Array(100).fill(7)

    hasher.update(buffer.subarray(3, 60))
    buffer.fill(0)
    hasher.update(shared.subarray(60))

    assert.strictEqual(hasher.digest(), hex(blake3(new Uint8Array(97).fill(7))))
  })
})

describe("ResumableHasher", () => {
  it.effect.each(HashAlgorithm.literals)(
    "agrees with another implementation of %s, saved at any place",
    (algorithm) =>
      Effect.gen(function*() {
        const hasher = yield* ResumableHasher.make(algorithm)
        const other = yield* ResumableHasher.make(algorithm)
        const Stored = Schema.fromJsonString(ResumableHasher.HasherState)
        for (const [index, sizeBytes] of sizesOf(algorithm).entries()) {
          const savedAt = Math.floor(sizeBytes * (index % 7) / 6)

          updateInOddPieces(hasher, savedAt)
          const stored = yield* Schema.encodeEffect(Stored)(hasher.save())
          updateInOddPieces(hasher, sizeBytes, savedAt)
          other.update(content)
          const restored = other.restore(yield* Schema.decodeEffect(Stored)(stored))
          other.update(content.subarray(savedAt, sizeBytes))

          assert.isTrue(restored)
          assert.strictEqual(hasher.digest(), expected(algorithm, sizeBytes), `${sizeBytes} bytes`)
          assert.strictEqual(other.digest(), expected(algorithm, sizeBytes), `${sizeBytes} bytes from ${savedAt} on`)
        }
      })
  )

  it.effect("starts anew where a state is not its own", () =>
    Effect.gen(function*() {
      const hasher = yield* ResumableHasher.make("sha256")
      const states = [
        (yield* ResumableHasher.make("blake3")).save(),
        (yield* ResumableHasher.make("sha224")).save(),
        hasher.save().subarray(1),
        hasher.save().map((byte, index) => index === 0 ? byte ^ 1 : byte),
        new Uint8Array(0)
      ]
      for (const state of states) {
        hasher.update(content)

        assert.isFalse(hasher.restore(state))
        assert.strictEqual(hasher.digest(), expected("sha256", 0))
      }
    }))
})
