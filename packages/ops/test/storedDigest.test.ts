import { assert, describe, it } from "@effect/vitest"
import type { ChecksumAlgorithm } from "@fanout/ops/ObjectStore"
import { common, digestOf, hasherOf, surest } from "../src/internal/hash/storedDigest.ts"

/** What the catalogue of CRCs, or coreutils, has for these bytes. */
const known: ReadonlyArray<readonly [ChecksumAlgorithm, string]> = [
  ["crc32", "cbf43926"],
  ["crc32c", "e3069283"],
  ["crc64nvme", "ae8b14860a799888"],
  ["md5", "25f9e794323b453885f5181f1b624d0b"],
  ["sha1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"],
  ["sha256", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"]
]

describe("digests of stores", () => {
  it.each(known)("has %s, of pieces too", (algorithm, digest) => {
    const hasher = hasherOf(algorithm)
    hasher.update(Buffer.from("1234"))
    hasher.update(Buffer.from("56789"))

    assert.strictEqual(hasher.digest(), digest)
    assert.strictEqual(digestOf(algorithm, Buffer.from("123456789")), digest)
  })

  it("prefers what is surest, and compares by what both have", () => {
    const all = known.map(([algorithm, digest]) => ({ algorithm, digest }))
    const crc = [{ algorithm: "crc32c", digest: "other" } as const]

    assert.strictEqual(surest(all)?.algorithm, "sha256")
    assert.strictEqual(surest([]), undefined)
    assert.deepStrictEqual(common(all, crc), { algorithm: "crc32c", a: "e3069283", b: "other" })
    assert.strictEqual(common(crc, all.slice(0, 1)), undefined)
  })
})
