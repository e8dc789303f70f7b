import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { runs } from "../../../test/effort.ts"
import { doers, run } from "./notingCommands.ts"

/** Names of files that could be taken for something else. */
const operands = ["a", "on", "off", "yes", "no", "true", "false", "y", "n", "0", "1", "-", "-3", "help", "bash"]

/** Words that ask for something else than the work, in all spellings, and words that nobody knows. */
const others = [
  "-v",
  "--version",
  "--version=false",
  "--no-version",
  "-h",
  "--help",
  "--help=false",
  "--help=true",
  "--no-help",
  "--completions=bash",
  "--completions=",
  "--wizard",
  "--log-level=none",
  "--nobody-knows-this",
  "--db=file",
  "--db=",
  "--progress-every=off",
  "--"
]

const asksForHelp = (args: ReadonlyArray<string>): boolean => {
  const end = args.indexOf("--")
  return (end < 0 ? args : args.slice(0, end)).some((word) => /^(?:-[^-=]*h|--help)/.test(word))
}

/** All texts and numbers in what a command was given. */
const textsIn = (input: unknown): ReadonlyArray<string> =>
  typeof input === "string" || typeof input === "number"
    ? [String(input)]
    : typeof input === "object" && input !== null
    ? Object.values(input).flatMap(textsIn)
    : []

const Place = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 7 }))
const Words = Schema.Array(Schema.Union([
  Schema.Literals(operands),
  Schema.Literals(others),
  // The toggle of the command at this place.
  Place
])).check(Schema.isMaxLength(6))

describe("a command line", () => {
  it("is tried of all commands", () => {
    assert.isAbove(doers.length, 20)
    assert.isTrue(doers.every(({ path }) => path.length > 0))
  })

  it.effect.prop(
    "does its work on all that is named, shows help that was asked for, or is refused",
    { doer: Schema.Literals(doers.map((_, n) => n)), words: Words },
    ({ doer, words }) =>
      Effect.gen(function*() {
        const { path = [], toggles = [] } = doers[doer] ?? {}
        const args = words.flatMap((word) =>
          typeof word === "string" ? [word] : toggles.slice(word % (toggles.length + 1)).slice(0, 1)
        )
        const { input, refused, shown } = yield* run([...path, ...args])
        const line = [...path, ...args].join(" ")
        if (refused !== undefined) return assert.isNotEmpty(refused, line)
        if (shown !== undefined) {
          assert.strictEqual(shown, "Help", line)
          return assert.isTrue(asksForHelp(args), line)
        }
        assert.isDefined(input, line)
        assert.isFalse(asksForHelp(args), line)
        const end = args.indexOf("--")
        // A limit that is "off" is none.
        const named = args.filter((word, n) => word !== "off" && (operands.includes(word) || (end >= 0 && n > end)))
        assert.deepStrictEqual(textsIn(input).filter((text) => named.includes(text)), named, line)
      }),
    { arbitrary: { runs: runs(10_000) } }
  )

  it.effect("is refused where it has a flag of the version or of completions beside a command", () =>
    Effect.forEach([["-v"], ["--version"], ["--completions", "bash"]], (flag) =>
      Effect.gen(function*() {
        for (const args of [["copy", ...flag, "a", "b"], [...flag, "copy", "a", "b"], ["jobs", ...flag, "list"]]) {
          assert.isNotEmpty((yield* run(args)).refused ?? [], args.join(" "))
        }
      })))
})
