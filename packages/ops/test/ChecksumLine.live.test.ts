import { assert, describe, it } from "@effect/vitest"
import * as ChecksumLine from "@fanout/ops/ChecksumLine"
import * as FilePath from "@fanout/ops/FilePath"
import type { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as Hasher from "../src/internal/hash/hasher.ts"
import { testFolder } from "./TestFolder.ts"

const digest = "0".repeat(64)

const hostile = [
  "plain",
  "new\nline",
  `forged\n${digest}  second`,
  `forged\r${digest}  second`,
  "\r",
  "ends\r",
  "ends\r\n",
  "\n",
  "\\",
  "back\\nslash",
  "\\\\n\\\r\n",
  " space ",
  "*star",
  "#comment",
  "tab\t",
  ") = x",
  `SHA256 (x) = ${digest}`,
  "\x1b[2J",
  "\xc3\xa9\xf0\x9f\x98\x80",
  "-"
]
// b3sum takes nothing but UTF-8.
const notText = ["\xff", "a\x80\n\xed\xa0\x80", "\xef\xbf\xbd"]

interface Program {
  readonly name: string
  readonly algorithm: HashAlgorithm
  readonly names: ReadonlyArray<string>
}

const programs: ReadonlyArray<Program> = [
  { name: "b3sum", algorithm: "blake3", names: hostile },
  { name: "b2sum", algorithm: "blake2b", names: [...hostile, ...notText] },
  ...(["md5", "sha1", "sha224", "sha256", "sha384", "sha512"] as const).map((algorithm) => ({
    name: `${algorithm}sum`,
    algorithm,
    names: [...hostile, ...notText]
  }))
]

const run = (command: string, args: ReadonlyArray<string>, cwd?: string) => spawnSync(command, args, { cwd })
const installed = programs.filter(({ name }) => run(name, ["--version"]).status === 0)

/** Makes a file of each name, and gives what there is to write of it. */
const fill = (folder: FilePath.FilePath, { algorithm, names }: Program): ReadonlyArray<ChecksumLine.Checksum> => {
  const hasher = Hasher.make(algorithm)
  return names.map((name) => {
    const path = FilePath.fromBytes(Buffer.from(`./${name}`, "latin1"))
    const content = Buffer.from(`content of ${name}`)
    fs.writeFileSync(Buffer.from(FilePath.toBytes(FilePath.join(folder, path))), content)
    hasher.update(content)
    return { algorithm, digest: hasher.digest(), path }
  })
}

describe("ChecksumLine", () => {
  it.live.each(installed)(
    "is accepted by $name --check, one record for each file",
    (program) =>
      Effect.gen(function*() {
        const folder = yield* testFolder
        const files = fill(folder, program)
        for (const style of ["plain", "tagged"] as const) {
          // In its own tagged lines, b3sum takes two spaces in a name for the end of a digest.
          const accepted = files.filter(({ path }) =>
            program.name !== "b3sum" || style === "plain" || !path.includes("  ")
          )
          fs.writeFileSync(`${folder}/sums`, Buffer.concat(accepted.map((file) => ChecksumLine.write(file, style))))

          const { status, stderr, stdout } = run(program.name, ["--check", "sums"], folder)

          assert.strictEqual(stderr.toString("latin1"), "", style)
          assert.strictEqual(status, 0)
          assert.lengthOf(stdout.toString("latin1").match(/: OK$/gm) ?? [], accepted.length)
        }
      })
  )

  it.live.each(installed)("is written and read like $name does", (program) =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      const files = fill(folder, program)
      for (const style of ["plain", "tagged"] as const) {
        const paths = program.names.map((name) => `'./${name}'`).join(" ")
        fs.writeFileSync(
          `${folder}/script`,
          Buffer.from(`${program.name} ${style === "tagged" ? "--tag" : ""} -- ${paths}`, "latin1")
        )

        const { stdout } = run("sh", ["script"], folder)

        const ours = Buffer.concat(files.map((file) => ChecksumLine.write(file, style)))
        assert.strictEqual(stdout.toString("latin1"), ours.toString("latin1"))
        assert.deepStrictEqual(
          ChecksumLine.read(stdout),
          files.map(({ algorithm, digest, path }, index) => ({
            _tag: "Checksum",
            lineNumber: index + 1,
            algorithm: style === "tagged" ? Option.some(algorithm) : Option.none(),
            digest,
            path
          }))
        )
      }
    }))
})
