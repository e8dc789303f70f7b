import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Stop } from "../src/exit/Stop.ts"
import * as ClusterFlags from "../src/options/ClusterFlags.ts"
import * as Database from "../src/options/Database.ts"
import * as format from "../src/ui/format.ts"
import { carryOut, doers, run } from "./notingCommands.ts"

/** What somebody may write where a number is wanted. */
const odd = [
  "NaN",
  "Infinity",
  "-Infinity",
  "-1",
  "1e300",
  "1e999",
  "",
  " ",
  "0x10",
  "9007199254740993",
  "1.5",
  "1,5",
  "9".repeat(400),
  "99999999999999999999d",
  "9999999999999999GB"
]

/** Flags that take numbers, by what their help calls the value, and what is taken of the above all the same. */
const numbers: Readonly<Record<string, ReadonlyArray<string>>> = {
  AGE: [],
  DURATION: [],
  N: [],
  // Bytes a second need not be whole. What is more than 2^53 is none that anything reaches, and 2^53 is its nearest.
  RATE: ["9007199254740993", "1.5"]
}

/** Flags that take something else. Of one that takes an address, its own test has the ports. */
const others = "[=boolean] choice path DIR EXPRESSION FILE HOST[:PORT] ID LIST NAME PATH PATTERN SHELL SIZES ZONE"

/** The least that a command takes. */
const leastOf = Effect.fnUntraced(function*(path: ReadonlyArray<string>) {
  for (const operands of [[], ["a"], ["a", "b"]]) {
    for (const flags of [[], ["--cron=@daily"], ["--older-than=1d"]]) {
      if ((yield* run([...path, ...flags, ...operands])).input !== undefined) return { flags, operands }
    }
  }
  return assert.fail(`nothing is enough for ${path.join(" ")}`)
})

const flagsOf = Effect.fnUntraced(function*(path: ReadonlyArray<string>) {
  const { help } = yield* run([...path, "--help"])
  return [...help?.flags ?? [], ...help?.globalFlags ?? []]
})

describe("a flag that takes a number", () => {
  it.effect("is known for one", () =>
    Effect.gen(function*() {
      const types = new Set((yield* Effect.forEach(doers, ({ path }) => flagsOf(path))).flat().map(({ type }) => type))
      const known = new Set([...Object.keys(numbers), ...others.split(" ")])
      assert.deepStrictEqual(Array.from(types).filter((type) => !known.has(type)), [])
    }))

  it.effect("is refused by its name where there is none, before anything is done", () =>
    Effect.gen(function*() {
      let tried = 0
      for (const { path } of doers) {
        const { flags, operands } = yield* leastOf(path)
        for (const { name, type } of yield* flagsOf(path)) {
          const taken = numbers[type]
          if (taken === undefined) continue
          for (const text of odd) {
            const given = [`--${name}=${text}`, ...flags.filter((flag) => !flag.startsWith(`--${name}=`))]
            const line = [...path, ...given, ...operands].join(" ")
            const { input, refused = [] } = yield* run([...path, ...given, ...operands])
            assert.strictEqual(input !== undefined, taken.includes(text), line)
            if (input === undefined) assert.include(refused.join("\n"), `--${name}`, line)
            tried++
          }
        }
      }
      assert.isAbove(tried, 50 * odd.length)
    }))
})

describe("a number of an argument", () => {
  it.effect("is refused where it is none", () =>
    Effect.forEach(odd, (text) =>
      Effect.gen(function*() {
        const { input, refused = [] } = yield* run(["jobs", "limit", "--rate", "--", "api", text])
        assert.strictEqual(input !== undefined, text === "1.5", text)
        if (input === undefined) assert.match(refused.join("\n"), /argument <n>.*a number from 0 on, or off/, text)
      })))
})

describe("a number that only its command can refuse", () => {
  it.effect.each(
    [
      [["jobs", "limit", "copy", "1.5"], /whole numbers, so 1\.5 does not do/],
      [["thumbnail", ".", "--output=out", "--size=1.5"], /--size "1\.5" names no sizes/],
      [["serve", "--cluster=localhost:1e300"], /--cluster takes a name or an address, and a port/],
      [["jobs", "work", "--cluster=localhost:0"], /--cluster takes a name or an address, and a port/],
      [["schedule", "add", "s", "--cron=@daily", "--", "copy", "a", "b", "--bandwidth=NaN"], /--bandwidth/]
    ] as const
  )("ends it with 2 before there is a database: %j", ([args, sentence]) =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "fanout-numbers-"))),
        (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
      )
      const stop = yield* Effect.flip(carryOut([`--db=${folder}/jobs.db`, ...args]))
      assert.instanceOf(stop, Stop)
      assert.strictEqual(stop.code, 2)
      assert.match(stop.sentence, sentence)
      assert.deepStrictEqual(fs.readdirSync(folder), [])
    }))
})

describe("a port", () => {
  const server = { shown: "", filename: "/jobs.db", server: Redacted.make(new URL("postgres://me@db/jobs")) }
  const env = { FANOUT_CLUSTER_SECRET: "a secret of more than thirty-two characters" }

  it.effect.each([...odd, "0", "65536"])("is refused as that of a cluster: %s", (text) =>
    Effect.gen(function*() {
      const given = { cluster: Option.some(`node:${text}`), shared: [] }
      const { code, sentence } = yield* Effect.flip(ClusterFlags.membership(given, server, env))
      assert.strictEqual(code, 2)
      assert.include(sentence, "--cluster takes a name or an address, and a port")
    }))

  it.effect.each([...odd, "0", "65536", "2147484"])(
    "or a time is refused in the address of a database: %s",
    (text) =>
      Effect.gen(function*() {
        if (text !== "" && text !== "2147484") {
          const { code, sentence } = yield* Effect.flip(
            Database.of(Option.none(), { FANOUT_DB: `postgres://me@db:${text}/jobs` }, "/home/me")
          )
          assert.strictEqual(code, 2)
          assert.include(sentence, "It is like postgres://user@host:5432/name")
        }
        for (const name of ["port", "connect_timeout"]) {
          if (name === "connect_timeout" && ["0", "65536"].includes(text)) continue
          const address = `postgres://me@db/jobs?${new URLSearchParams({ [name]: text }).toString()}`
          const { code, sentence } = yield* Effect.flip(Database.of(Option.none(), { FANOUT_DB: address }, "/home/me"))
          assert.strictEqual(code, 2)
          assert.include(sentence, `The parameter ${name} of the address`)
        }
      })
  )
})

describe("a duration", () => {
  it("leads from today to no time that a date can't hold", () => {
    const [millis = NaN] = Option.toArray(format.parseDuration("92592592d"))
    assert.isFalse(Number.isNaN(new Date(Date.now() - millis).getTime()))
    assert.isTrue(Option.isNone(format.parseDuration("92592593d")))
  })
})
