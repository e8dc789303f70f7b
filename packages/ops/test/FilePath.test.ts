import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Schema from "effect/Schema"

/** Bytes that meet often enough to form every kind of whole, broken, overlong and surrogate sequence. */
const Byte = Schema.Literals([
  0x61,
  0x62,
  0x2e,
  0x2f,
  0x0a,
  0x1b,
  0x5c,
  0x7f,
  0x80,
  0x82,
  0x8f,
  0x90,
  0x98,
  0x9f,
  0xa0,
  0xa9,
  0xac,
  0xbb,
  0xbd,
  0xbf,
  0xc0,
  0xc3,
  0xe0,
  0xe2,
  0xed,
  0xef,
  0xf0,
  0xf4,
  0xf5,
  0xff
])
const AnyByte = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 255 }))
const Bytes = Schema.Array(Schema.Union([Byte, AnyByte]))

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))
const path = (latin1: string): FilePath.FilePath => FilePath.fromBytes(bytes(latin1))

describe("FilePath", () => {
  it.prop("gives back the bytes it was made from, through JSON too", { input: Bytes }, ({ input }) => {
    const text = FilePath.fromBytes(Uint8Array.from(input))
    const stored: unknown = JSON.parse(Buffer.from(JSON.stringify(text), "utf8").toString("utf8"))

    assert.deepStrictEqual(Array.from(FilePath.toBytes(text)), Array.from(input))
    assert.strictEqual(FilePath.fromLatin1(Buffer.from(input).toString("latin1")), text)
    assert.strictEqual(stored, text)
    assert.isTrue(FilePath.toText(text).isWellFormed())
    assert.strictEqual(FilePath.fromText(FilePath.toText(text)), text)
    assert.strictEqual(Schema.decodeUnknownSync(FilePath.FilePath)(stored), text)
  })

  it.prop("is well-formed text exactly where the bytes are UTF-8", { input: Bytes }, ({ input }) => {
    const text = FilePath.fromBytes(Uint8Array.from(input))

    assert.strictEqual(text.isWellFormed(), Buffer.compare(Buffer.from(text), Buffer.from(input)) === 0)
  })

  it("keeps what looks like a replacement, a byte order mark or an encoded surrogate", () => {
    assert.strictEqual(path("\xef\xbf\xbd"), "\ufffd")
    assert.strictEqual(path("\xef\xbb\xbfa"), "\ufeffa")
    assert.strictEqual(path("\xed\xb2\x80"), "\udced\udcb2\udc80")
    assert.strictEqual(path("\xf0\x9f\x98\x80\xff"), "\u{1f600}\udcff")
  })

  it("refuses NUL, stray surrogates and escapes of what is UTF-8", () => {
    for (const text of ["a\0b", "\ud800", "\udc7f", "\udd00", "\udcc3\udca9"]) {
      assert.throws(() => FilePath.make(text))
    }
  })

  it.prop(
    "orders by component and then by byte",
    { a: Bytes, b: Bytes },
    ({ a, b }) => {
      const components = (input: ReadonlyArray<number>) =>
        Buffer.from(input).toString("latin1").split("/").map((name) => Buffer.from(name, "latin1"))
      const [x, y] = [components(a), components(b)]
      const index = x.findIndex((name, i) => y[i] === undefined || Buffer.compare(name, y[i]) !== 0)
      const expected = index < 0
        ? Math.sign(x.length - y.length)
        : y[index] === undefined
        ? 1
        : Buffer.compare(x[index] ?? Buffer.alloc(0), y[index])

      const actual = FilePath.order(FilePath.fromBytes(Uint8Array.from(a)), FilePath.fromBytes(Uint8Array.from(b)))
      assert.strictEqual(actual, expected === 0 ? 0 : expected < 0 ? -1 : 1)
    }
  )

  it("orders what is in a folder before a longer name", () => {
    const sorted = ["a.txt", "a/b", "b", "a", "\u{1f600}", "\uffee"].map(FilePath.make).toSorted(FilePath.order)

    assert.deepStrictEqual(sorted, ["a", "a/b", "a.txt", "b", "\uffee", "\u{1f600}"].map(FilePath.make))
  })

  it.prop("splits what it joined", { a: Bytes, b: Bytes }, ({ a, b }) => {
    const name = FilePath.fromBytes(Uint8Array.from([0x78, ...b.filter((byte) => byte !== 0x2f)]))
    const folder = FilePath.fromBytes(Uint8Array.from([0x2f, 0x78, ...a.filter((byte) => byte !== 0x2f)]))

    const joined = FilePath.join(folder, name)

    assert.strictEqual(FilePath.parent(joined), folder)
    assert.strictEqual(FilePath.name(joined), name)
    assert.isTrue(FilePath.isWithin(joined, folder))
    assert.isFalse(FilePath.isWithin(folder, joined))
  })

  it("knows parents and names at the edges", () => {
    const cases: ReadonlyArray<readonly [string, string, string]> = [
      ["/", "/", ""],
      ["//", "/", ""],
      ["", "", ""],
      ["a", "", "a"],
      ["a/", "", "a"],
      ["/a", "/", "a"],
      ["/a//b//", "/a", "b"],
      ["a/.", "a", "."],
      ["s3://bucket", "s3://bucket", ""],
      ["s3://bucket//", "s3://bucket", ""],
      ["s3://bucket/a", "s3://bucket", "a"],
      ["s3://bucket/a/b/", "s3://bucket/a", "b"],
      ["s3://bucket/://a", "s3://bucket/:", "a"],
      ["a/s3://b", "a/s3:", "b"]
    ]
    for (const [input, parent, name] of cases) {
      assert.strictEqual(FilePath.parent(FilePath.make(input)), parent, `parent of ${input}`)
      assert.strictEqual(FilePath.name(FilePath.make(input)), name, `name of ${input}`)
    }
  })

  it("tells a folder's content from a longer name beside it", () => {
    assert.isTrue(FilePath.isWithin(FilePath.make("/a/b"), FilePath.make("/a")))
    assert.isTrue(FilePath.isWithin(FilePath.make("/a"), FilePath.make("/")))
    assert.isTrue(FilePath.isWithin(FilePath.make("/a"), FilePath.make("/a")))
    assert.isFalse(FilePath.isWithin(FilePath.make("/ab"), FilePath.make("/a")))
  })

  it("shows nothing that a terminal would obey", () => {
    assert.strictEqual(FilePath.display(path("a\n\r\t\x1b[2J\x7f\\\xff")), "a\\n\\r\\t\\x1b[2J\\x7f\\\\\\xff")
    assert.strictEqual(
      FilePath.display(FilePath.make("\u0085\u2028\u202e\u2069é😀 x")),
      "\\u0085\\u2028\\u202e\\u2069é😀 x"
    )
  })

  it.prop("shows any name on one line of printable text", { input: Bytes }, ({ input }) => {
    const shown = FilePath.display(FilePath.fromBytes(Uint8Array.from(input)))

    assert.isTrue(shown.isWellFormed())
    assert.notMatch(shown, /[\p{Cc}\p{Zl}\p{Zp}]/u)
  })
})
