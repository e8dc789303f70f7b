import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { freshPlace, hasStrace, lines, meeting, run, works } from "./faults.ts"

/** Names as bytes, in latin1. */
const odd = [
  "n".repeat(255),
  "\xc3\xa9".repeat(127),
  "new\nline",
  "esc\x1b[31mred\x07",
  "\xff\xfe",
  "caf\xc3\xa9",
  "cafe\xcc\x81",
  "\xf0\x9f\x98\x80\xff",
  "\xed\xa0\x80",
  "\xe2\x80\xae turned",
  "\xc2\x9b31m",
  "-rf",
  "--help",
  " ",
  "*",
  "\\",
  "\\xff",
  "\\n",
  "'\"",
  "\t\r",
  "...",
  "~",
  "$(id)",
  "\x7f",
  ".fanout-",
  ".fanout-lookalike",
  ".fanout-00000000000000-0000001-00000000000000",
  ".fanout-zzzzzzzzzzzzzz-0000000-zzzzzzzzzzzzzz"
]

const at = (folder: string, name: string) => Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name, "latin1")])

/** Makes folders in one another until a path to the last one is longer than any call takes. */
const makeDeep = (root: string): void => {
  const script = `const fs = require("node:fs")
    for (let i = 0; i < 18; i++) {
      fs.mkdirSync("d".repeat(250))
      process.chdir("d".repeat(250))
    }
    fs.writeFileSync("deep", "at the end")
    fs.symlinkSync("deep", "link")`
  const { status, stderr } = spawnSync(process.execPath, ["-e", script], { cwd: root, encoding: "utf8" })
  assert.strictEqual(status, 0, stderr)
}

/** What is in a tree, by programs that know no longest path. */
const everythingIn = (root: string) => {
  const list = spawnSync("find", [".", "-printf", "%P %y %m %T@ %l\\0"], { cwd: root, encoding: "latin1" })
  const tar = ["--sort=name", "--format=posix", "--pax-option=delete=atime,delete=ctime", "-c", "."]
  const { status, stdout } = spawnSync("tar", tar, { cwd: root, encoding: "latin1", maxBuffer: 2 ** 28 })
  assert.strictEqual(status, 0)
  return { list: list.stdout.split("\0").toSorted((a, b) => a < b ? -1 : 1), tar: stdout }
}

// What is shown of a name comes to its bytes again, if the escapes of a string are undone.
const short: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", "\\": "\\" }
const bytesOf = (shown: string): string =>
  Array.from(
    shown.matchAll(/\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\(.)|([^\\]+)/gu),
    ([, byte, unit, letter, text]) =>
      byte === undefined
        ? Buffer.from(
          unit === undefined
            ? letter === undefined ? text ?? "" : short[letter] ?? `?${letter}`
            : String.fromCodePoint(Number.parseInt(unit, 16))
        ).toString("latin1")
        : String.fromCodePoint(Number.parseInt(byte, 16))
  ).join("")

// Neither control characters nor what turns the direction of text may reach a terminal.
const unprintable = /[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069]/u

const canCompare = works("tar", "--sort=name", "-cf", "/dev/null", "--files-from", "/dev/null") &&
  works("find", "/dev/null", "-printf", "")

describe.skipIf(process.platform !== "linux")("fanout copy of names that are odd (needs Linux)", () => {
  it.skipIf(!canCompare || !hasStrace)(
    "keeps each of them, killed and run again (needs strace, GNU find and tar)",
    () => {
      const { place, source, target } = freshPlace()
      for (const folder of ["", "folder", "\xff\n", "-x", ".fanout-00000000000000-0000002-00000000000000"]) {
        const parent = folder === "" ? Buffer.from(source) : at(source, folder)
        fs.mkdirSync(parent, { recursive: true })
        for (const name of odd) {
          fs.writeFileSync(Buffer.concat([parent, Buffer.from("/"), Buffer.from(name, "latin1")]), `text of ${name}`)
        }
      }
      fs.symlinkSync(Buffer.from("\xff\n", "latin1"), at(source, "link\xff"))
      makeDeep(source)
      const args = ["copy", "-T", source, target]

      const killed = run(place, args, meeting({ calls: ["utimensat"], fault: "signal=KILL:when=60" }))
      assert.notStrictEqual(killed.status, 0)
      const again = run(place, args)

      assert.strictEqual(again.status, 0, again.stderr)
      assert.deepStrictEqual(everythingIn(target).list, everythingIn(source).list)
      assert.isTrue(everythingIn(target).tar === everythingIn(source).tar, "contents differ")
    }
  )

  it("shows them so that they do nothing to a terminal, and so that nothing of them is lost", () => {
    const { place, source, target } = freshPlace()
    fs.mkdirSync(source)
    // A folder is never replaced by a file: each of them fails.
    for (const name of odd) {
      fs.mkdirSync(at(target, name), { recursive: true })
      fs.writeFileSync(at(source, name), "")
    }

    const json = run(place, ["copy", "-T", "--json", source, target])
    const { status, stderr, stdout } = run(place, ["copy", "-T", source, target])

    assert.deepStrictEqual([json.status, status], [1, 1], stderr)
    const items = lines(json.stdout).filter(({ type }) => type === "item")
    assert.sameMembers(items.map(({ key }) => path.basename(bytesOf(String(key)))), odd)
    assert.isAbove(stderr.length, 1000)
    const dry = run(place, ["copy", "-T", "--dry-run", source, target])
    const [job = ""] = /fanout jobs retry (\w+)/.exec(stderr)?.slice(1) ?? []
    const shown = run(place, ["jobs", "show", "--all", job])
    for (const text of [json.stdout, stdout, stderr, dry.stdout, shown.stdout]) assert.notMatch(text, unprintable)
  })
})
