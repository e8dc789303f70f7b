import { assert, describe, it } from "@effect/vitest"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { runs } from "../../../test/effort.ts"
import { cli } from "../src/Cli.ts"
import { platform } from "../src/CommandLine.ts"
import * as Settings from "../src/options/Settings.ts"

/** What a command line has come to. */
interface Outcome {
  /** What the command was given that did its work. */
  input?: unknown
  shown?: CliOutput.Presenter.Event["_tag"]
  /** How many mistakes were found. */
  refused?: number
}

/** The same commands, which only note what they were given. */
const noting = (command: Command.Command.Any, outcome: Outcome): Command.Command.Any => {
  const commands = command.subcommands.flatMap(({ commands }) => commands)
  return commands.length > 0
    ? Command.withSubcommands(command, commands.map((one) => noting(one, outcome)))
    : Command.withHandler(command, (input) =>
      Effect.sync(() => {
        outcome.input = input
      }))
}

const run = Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
  const outcome: Outcome = {}
  // No handler is left that needs anything.
  const command = noting(cli, outcome) as Command.Command<string, unknown>
  yield* Command.runWith(command, { version: "1" })(args).pipe(
    Effect.provideService(CliConfig.CliConfig, { builtIns: [Settings.help] }),
    Effect.provideService(CliOutput.Presenter, {
      present: ({ _tag }) =>
        Effect.sync(() => {
          outcome.shown = _tag
        })
    }),
    Effect.provide(platform),
    Effect.catch((error) =>
      Effect.sync(() => {
        outcome.refused = error instanceof CliError.ShowHelp ? error.errors.length : 1
      })
    )
  )
  return outcome
})

/** A command that does something, with the words that lead to it and all of its flags without a value. */
interface Doer {
  readonly path: ReadonlyArray<string>
  readonly toggles: ReadonlyArray<string>
}

const doersOf = (
  { flags, subcommands }: Completions.CommandDescriptor,
  path: ReadonlyArray<string> = []
): ReadonlyArray<Doer> => {
  if (subcommands.length > 0) return subcommands.flatMap((one) => doersOf(one, [...path, one.name]))
  const toggles = flags.filter(({ type }) => type._tag === "Boolean")
    .flatMap(({ aliases, name }) => [name, aliases].flat())
    .map((name) => name.length === 1 ? `-${name}` : `--${name}`)
  return [{ path, toggles }]
}

const doers = doersOf(Completions.fromCommand(cli))

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
        if (refused !== undefined) return assert.isAbove(refused, 0, line)
        if (shown !== undefined) {
          assert.strictEqual(shown, "Help", line)
          return assert.isTrue(asksForHelp(args), line)
        }
        assert.isDefined(input, line)
        assert.isFalse(asksForHelp(args), line)
        const end = args.indexOf("--")
        const named = args.filter((word, n) => operands.includes(word) || (end >= 0 && n > end))
        assert.deepStrictEqual(textsIn(input).filter((text) => named.includes(text)), named, line)
      }),
    { arbitrary: { runs: runs(10_000) } }
  )

  it.effect("is refused where it has a flag of the version or of completions beside a command", () =>
    Effect.forEach([["-v"], ["--version"], ["--completions", "bash"]], (flag) =>
      Effect.gen(function*() {
        for (const args of [["copy", ...flag, "a", "b"], [...flag, "copy", "a", "b"], ["jobs", ...flag, "list"]]) {
          assert.isAbove((yield* run(args)).refused ?? 0, 0, args.join(" "))
        }
      })))
})
