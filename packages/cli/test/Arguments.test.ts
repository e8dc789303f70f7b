import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Arguments from "../src/Arguments.ts"

const line = (...args: ReadonlyArray<string>) => Buffer.from(args.map((arg) => `${arg}\0`).join(""), "latin1")

describe("Arguments", () => {
  it("keeps bytes that are not UTF-8", () => {
    const args = Arguments.fromBytes(["copy", "a\ufffd", "b"], line("node", "bin.js", "copy", "a\xff", "b"))
    assert.deepStrictEqual(args.map((arg) => Array.from(FilePath.toBytes(FilePath.make(arg)))), [
      [0x63, 0x6f, 0x70, 0x79],
      [0x61, 0xff],
      [0x62]
    ])
  })

  it("finds them behind Node's own options", () => {
    assert.deepStrictEqual(
      Arguments.fromBytes(["", "x"], line("node", "--conditions=y", "bin.js", "", "x")),
      ["", "x"]
    )
  })

  it("takes Node's where the command line says something else", () => {
    assert.deepStrictEqual(Arguments.fromBytes(["a", "b"], line("title")), ["a", "b"])
    assert.deepStrictEqual(Arguments.fromBytes(["a", "b"], line("node", "bin.js", "a", "c")), ["a", "b"])
    assert.deepStrictEqual(Arguments.fromBytes([], line("node", "bin.js")), [])
  })
})
