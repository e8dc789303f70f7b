import { assert, describe, it } from "@effect/vitest"
import * as ChecksumLine from "@fanout/ops/ChecksumLine"
import type { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import * as Arr from "effect/Array"
import * as Option from "effect/Option"
import * as ChecksumCheck from "../src/internal/hash/checksumCheck.ts"

const digits = (length: number): string => "ab".repeat(length / 2)

/** Plans a file of these lines, and tells of each the algorithms or the problem. */
const planned = (lines: ReadonlyArray<string>, algorithm?: HashAlgorithm, likely?: HashAlgorithm) => {
  const options = { algorithm: Option.fromUndefinedOr(algorithm), likely: Option.fromUndefinedOr(likely) }
  const [checks, refused] = Arr.partition(
    ChecksumLine.read(Buffer.from(lines.join("\n"))),
    (line) => ChecksumCheck.fromLine(line, options)
  )
  return {
    checks: checks.map(({ algorithms, lineNumber, path }): ReadonlyArray<unknown> => [lineNumber, path, algorithms]),
    refused: refused.map((line) => [line.lineNumber, line.problem])
  }
}

const file = [
  `${digits(64)}  plain`,
  `SHA256 (tagged) = ${digits(64)}`,
  "nonsense",
  `${digits(128)} *long`,
  `${digits(64)}  -`,
  `${digits(64)}  ./-`,
  `SHA3-256 (three) = ${digits(64)}`
]

describe("ChecksumCheck", () => {
  it("takes a line by its tag or by the length of its digest, in order", () => {
    assert.deepStrictEqual(planned(file), {
      checks: [
        [1, "plain", ["blake3", "sha256"]],
        [2, "tagged", ["sha256"]],
        [4, "long", ["sha512", "blake2b"]],
        [6, "./-", ["blake3", "sha256"]],
        [7, "three", ["sha3-256"]]
      ],
      refused: [[3, "NoChecksum"], [5, "StandardInput"]]
    })
  })

  it("tries the algorithm first that the name of the file tells, where it is possible", () => {
    const lines = [...file.slice(0, 1), ...file.slice(3, 4)]

    assert.deepStrictEqual(planned(lines, undefined, "sha256").checks, [
      [1, "plain", ["sha256", "blake3"]],
      [2, "long", ["sha512", "blake2b"]]
    ])
    assert.deepStrictEqual(planned(lines, undefined, "sha3-256").checks[0], [
      1,
      "plain",
      ["sha3-256", "blake3", "sha256"]
    ])
  })

  it("takes only lines of the algorithm that was asked for", () => {
    assert.deepStrictEqual(planned(file, "sha3-256"), {
      checks: [[1, "plain", ["sha3-256"]], [6, "./-", ["sha3-256"]], [7, "three", ["sha3-256"]]],
      refused: [[2, "OtherAlgorithm"], [3, "NoChecksum"], [4, "WrongLength"], [5, "StandardInput"]]
    })
  })
})
