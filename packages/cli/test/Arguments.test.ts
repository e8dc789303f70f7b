import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Arguments from "../src/options/Arguments.ts"

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

  it("takes the commands `help` and `version` of other programs for the flags", () => {
    assert.deepStrictEqual(Arguments.withFlags(["help"]), ["--help"])
    assert.deepStrictEqual(Arguments.withFlags(["help", "jobs", "list"]), ["jobs", "list", "--help"])
    assert.deepStrictEqual(Arguments.withFlags(["version"]), ["--version"])
    for (const args of [[], ["copy", "help", "version"], ["version", "a"]]) {
      assert.deepStrictEqual(Arguments.withFlags(args), args)
    }
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

  it("follows links whose names are not UTF-8, or lead to such", () => {
    const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "fanout-arguments-")))
    try {
      const at = (name: string) => Buffer.from(`${folder}/${name}`, "latin1")
      fs.mkdirSync(at("in\xff"))
      fs.writeFileSync(at("in\xff/target"), "")
      fs.symlinkSync(at("in\xff/target"), at("link\xff"))
      fs.symlinkSync(at("in\xff"), at("folder"))
      for (const name of ["link\xff", "folder/target"]) {
        assert.deepStrictEqual(
          Arguments.realPath(FilePath.fromBytes(at(name))),
          FilePath.fromBytes(at("in\xff/target"))
        )
      }
      const missing = FilePath.fromBytes(at("in\xff/missing"))
      assert.deepStrictEqual(Arguments.realPath(FilePath.fromBytes(at("folder/missing"))), missing)
    } finally {
      fs.rmSync(folder, { recursive: true })
    }
  })
})
