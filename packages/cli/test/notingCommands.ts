/**
 * Runs command lines within this process, also without their commands, which then only note what they were given.
 */
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import type { HelpDoc } from "effect/cli/HelpDoc"
import * as Effect from "effect/Effect"
import { cli } from "../src/Cli.ts"
import { platform, sentencesOf } from "../src/CommandLine.ts"
import { Stop } from "../src/exit/Stop.ts"
import * as Settings from "../src/options/Settings.ts"

/** What a command line has come to. */
export interface Outcome {
  /** What the command was given that did its work. */
  input?: unknown
  shown?: CliOutput.Presenter.Event["_tag"]
  help?: HelpDoc
  /** Sentences about the mistakes that were found. */
  refused?: ReadonlyArray<string>
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

const parsed = (command: Command.Command.Any, args: ReadonlyArray<string>, outcome: Outcome) =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- commands need nothing but what they provide
  Command.runWith(command as typeof cli, { version: "1" })(args).pipe(
    Effect.provideService(CliConfig.CliConfig, { builtIns: [Settings.help] }),
    Effect.provideService(CliOutput.Presenter, {
      present: (event) =>
        Effect.sync(() => {
          outcome.shown = event._tag
          if (event._tag === "Help") outcome.help = event.helpDoc
        })
    }),
    Effect.provide(platform)
  )

/** Runs a command line whose command only notes what it was given. */
export const run = Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
  const outcome: Outcome = {}
  yield* Effect.catch(parsed(noting(cli, outcome), args, outcome), (error) =>
    Effect.sync(() => {
      outcome.refused = error instanceof Stop
        ? [error.sentence]
        : sentencesOf(error instanceof CliError.ShowHelp ? error.errors : [error])
    }))
  return outcome
})

/** Runs a command line to its end. */
export const carryOut = (args: ReadonlyArray<string>) => parsed(cli, args, {})

/** A command that does something, with the words that lead to it and all of its flags without a value. */
export interface Doer {
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

/** All commands that do something. */
export const doers = doersOf(Completions.fromCommand(cli))
