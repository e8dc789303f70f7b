import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import * as HashAlgorithms from "@fanout/ops/HashAlgorithm"
import * as Option from "effect/Option"

describe("HashAlgorithm", () => {
  it.each(HashAlgorithm.literals)("is found by the name %s, its tag, and either in another case", (algorithm) => {
    const tag = HashAlgorithms.tag(algorithm)
    for (const name of [algorithm, algorithm.toUpperCase(), tag, tag.toLowerCase()]) {
      assert.deepStrictEqual(HashAlgorithms.find(name), Option.some(algorithm))
    }
  })

  it("is found by the names that people and programs give it", () => {
    const cases: ReadonlyArray<readonly [string, HashAlgorithm]> = [
      ["SHA-256", "sha256"],
      ["sha-1", "sha1"],
      ["SHA2-512", "sha512"],
      ["BLAKE2B-512", "blake2b"],
      ["b3", "blake3"],
      ["SHA3_256", "sha3-256"]
    ]
    for (const [name, algorithm] of cases) assert.deepStrictEqual(HashAlgorithms.find(name), Option.some(algorithm))
  })

  it("is not found by other names", () => {
    for (const name of ["", "sha", "sha3", "BLAKE2b-256", "SHA512/256", "crc32", "constructor", "md5sum"]) {
      assert.deepStrictEqual(HashAlgorithms.find(name), Option.none(), name)
    }
  })

  it("is told by the name of a checksum file", () => {
    const cases: ReadonlyArray<readonly [string, HashAlgorithm | undefined]> = [
      ["/d/SHA256SUMS", "sha256"],
      ["sha512sum.txt", "sha512"],
      ["B3SUMS", "blake3"],
      ["b2sum", "blake2b"],
      ["image.iso.sha256", "sha256"],
      ["image.b3", "blake3"],
      ["image.md5.txt", "md5"],
      ["checksums.sha3-256", "sha3-256"],
      ["sums-sha1", "sha1"],
      ["blake3", "blake3"],
      ["checksums", undefined],
      ["checksums.txt", undefined],
      ["sums", undefined],
      ["", undefined],
      ["notes.txt", undefined]
    ]
    for (const [name, algorithm] of cases) {
      assert.deepStrictEqual(
        HashAlgorithms.fromFileName(FilePath.make(name)),
        Option.fromUndefinedOr(algorithm),
        name
      )
    }
  })

  it("is told by the length of a digest, BLAKE3 before SHA-256", () => {
    assert.deepStrictEqual(HashAlgorithms.ofDigits(64), ["blake3", "sha256"])
    assert.deepStrictEqual(HashAlgorithms.ofDigits(128), ["sha512", "blake2b"])
    assert.deepStrictEqual(HashAlgorithms.ofDigits(32), ["md5"])
    assert.deepStrictEqual(HashAlgorithms.ofDigits(16), [])
  })
})
