import { assert, describe, it } from "@effect/vitest"
import * as ChecksumLine from "@fanout/ops/ChecksumLine"
import * as FilePath from "@fanout/ops/FilePath"
import { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import * as HashAlgorithms from "@fanout/ops/HashAlgorithm"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

const bytes = (latin1: string): Uint8Array => Buffer.from(latin1, "latin1")
const text = (line: Uint8Array): string => Buffer.from(line).toString("latin1")
const path = (latin1: string): FilePath.FilePath => FilePath.fromBytes(bytes(latin1))

/** Bytes that mean something in a line, and any others. */
const Byte = Schema.Union([
  Schema.Literals(Array.from(bytes("\n\r\\nr )(=*#-aA0\t\xc3\xa9\xff\x80"))),
  Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 255 }))
])
const Name = Schema.NonEmptyArray(Byte)
const Entry = Schema.Struct({ algorithm: HashAlgorithm, name: Name, style: Schema.Literals(["plain", "tagged"]) })

const digestOf = (algorithm: HashAlgorithm): string =>
  "0123456789abcdef".repeat(8).slice(0, HashAlgorithms.digits(algorithm))

const checksum = (algorithm: HashAlgorithm, name: FilePath.FilePath): ChecksumLine.Checksum => ({
  algorithm,
  digest: digestOf(algorithm),
  path: name
})

const sha256 = digestOf("sha256")

/** What a line in latin-1 is read as: the name in latin-1, or the problem. */
const readOne = (line: string): ReadonlyArray<string> =>
  ChecksumLine.read(bytes(line)).map((read) =>
    read._tag === "Malformed" ? read.problem : `name ${text(FilePath.toBytes(read.path))}`
  )

describe("ChecksumLine", () => {
  it.prop("reads any name as it was written, from one line", { entry: Entry }, ({ entry }) => {
    const { algorithm, name, style } = entry
    const given = checksum(algorithm, FilePath.fromBytes(Uint8Array.from(name)))

    const line = ChecksumLine.write(given, style)

    assert.deepStrictEqual(ChecksumLine.read(line), [{
      _tag: "Checksum",
      lineNumber: 1,
      algorithm: style === "tagged" ? Option.some(algorithm) : Option.none(),
      digest: given.digest,
      path: given.path
    }])
    assert.strictEqual(line.indexOf(0x0a), line.length - 1)
    assert.isFalse(line.includes(0x0d))
  })

  it.prop(
    "reads as many lines as were written, in pieces of any length",
    { entries: Schema.Array(Entry), pieceBytes: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })) },
    ({ entries, pieceBytes }) => {
      const given = entries.map(({ algorithm, name, style }) => ({
        ...checksum(algorithm, FilePath.fromBytes(Uint8Array.from(name))),
        style
      }))
      const file = Buffer.concat(given.map((entry) => ChecksumLine.write(entry, entry.style)))
      const reader = new ChecksumLine.Reader()
      const lines: Array<ChecksumLine.Line> = []
      const buffer = new Uint8Array(pieceBytes)

      for (let at = 0; at < file.length; at += pieceBytes) {
        const piece = buffer.subarray(0, file.copy(buffer, 0, at))
        lines.push(...reader.add(piece))
        buffer.fill(0)
      }
      lines.push(...reader.rest)

      const found = lines.map((line) => line._tag === "Checksum" ? [line.lineNumber, line.digest, line.path] : line)
      assert.deepStrictEqual(found, given.map(({ digest, path }, index) => [index + 1, digest, path]))
    }
  )

  it.prop(
    "reads any bytes, and any file that was damaged",
    { entry: Entry, at: Byte, by: Byte },
    ({ at, by, entry }) => {
      const { algorithm, name, style } = entry
      const line = ChecksumLine.write(checksum(algorithm, FilePath.fromBytes(Uint8Array.from(name))), style)
      line[at % line.length] = by

      for (const input of [line, Uint8Array.from(name)]) {
        const lines = ChecksumLine.read(input)
        assert.isAtMost(lines.length, input.filter((byte) => byte === 0x0a).length + 1)
      }
    }
  )

  it("writes what coreutils and b3sum write", () => {
    const cases: ReadonlyArray<readonly [string, string, string]> = [
      ["a b", `${sha256}  a b`, `SHA256 (a b) = ${sha256}`],
      ["n\nn", `\\${sha256}  n\\nn`, `\\SHA256 (n\\nn) = ${sha256}`],
      ["r\r", `\\${sha256}  r\\r`, `\\SHA256 (r\\r) = ${sha256}`],
      ["b\\n", `\\${sha256}  b\\\\n`, `\\SHA256 (b\\\\n) = ${sha256}`],
      [") = x", `${sha256}  ) = x`, `SHA256 () = x) = ${sha256}`],
      ["\xff\t*", `${sha256}  \xff\t*`, `SHA256 (\xff\t*) = ${sha256}`]
    ]
    for (const [name, plain, tagged] of cases) {
      const given = checksum("sha256", path(name))
      assert.strictEqual(text(ChecksumLine.write(given, "plain")), `${plain}\n`)
      assert.strictEqual(text(ChecksumLine.write(given, "tagged")), `${tagged}\n`)
    }
  })

  it("reads what other programs write", () => {
    const cases: ReadonlyArray<readonly [string, string]> = [
      [`${sha256} *a`, "name a"],
      [`${sha256}   a`, "name  a"],
      [`${sha256}  *a`, "name *a"],
      [`${sha256} * a `, "name  a "],
      [`${sha256.toUpperCase()}  a`, "name a"],
      [`${sha256}  a\r\n`, "name a"],
      [`  ${sha256}  a`, "name a"],
      [`${sha256}  a\\n\\`, "name a\\n\\"],
      [`SHA2-256(a)= ${sha256}`, "name a"],
      [`SHA256 (a)\t=\t${sha256}`, "name a"],
      [`SHA256 (a) = (b) = ${sha256}`, "name a) = (b"],
      [`\\SHA256 (a\\r\\\\n) = ${sha256}`, "name a\r\\n"],
      [`${sha256}  a (x) = ${sha256}`, `name a (x) = ${sha256}`]
    ]
    for (const [line, expected] of cases) assert.deepStrictEqual(readOne(line), [expected], line)
  })

  it("tells what is wrong with a line", () => {
    const cases: ReadonlyArray<readonly [string, ChecksumLine.Problem]> = [
      ["hello", "NoChecksum"],
      [sha256, "NoChecksum"],
      [`${sha256}  `, "NoChecksum"],
      [`${sha256} a`, "NoChecksum"],
      [`${sha256}\ta`, "NoChecksum"],
      [`\\`, "NoChecksum"],
      [`SHA256 () = ${sha256}`, "NoChecksum"],
      [`SHA256 (a) = `, "NoChecksum"],
      [`SHA256 (a) = ${sha256} x`, "NoChecksum"],
      [`CRC32 (a) = ${sha256}`, "UnknownAlgorithm"],
      [`SHA512 (a) = ${sha256}`, "WrongLength"],
      [`${sha256}0  a`, "WrongLength"],
      [`\\${sha256}  a\\x`, "BadEscape"],
      [`\\${sha256}  a\\`, "BadEscape"],
      [`\\${sha256}  a\\\\\\`, "BadEscape"],
      [`${sha256}  a\0b`, "Nul"],
      [`${sha256}  ${"a".repeat(2 ** 20)}`, "TooLong"]
    ]
    for (const [line, problem] of cases) {
      assert.deepStrictEqual(readOne(line), [problem], line.slice(0, 200))
      assert.match(ChecksumLine.explain(problem), /^(?:is|has) /)
    }
  })

  it("numbers lines, those too that it passes over, and goes on after a bad one", () => {
    const good = `${sha256}  a`
    const file = ["# comment", good, "", "\r", "bad", "x".repeat(2 ** 21), good].join("\n")

    const lines = ChecksumLine.read(bytes(file))

    assert.deepStrictEqual(lines.map((line) => [line.lineNumber, line._tag]), [
      [2, "Checksum"],
      [5, "Malformed"],
      [6, "Malformed"],
      [7, "Checksum"]
    ])
  })
})
