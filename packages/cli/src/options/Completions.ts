/**
 * `--completions`: scripts that complete commands, flags and paths, and ids of jobs by what can be asked of them.
 */
import type * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import type * as Effect from "effect/Effect"
import * as View from "../ui/View.ts"

/** States of the jobs that a subcommand of `fanout jobs` is for, as `--state` names them; all where none is named. */
const states: Readonly<Record<string, ReadonlyArray<string>>> = {
  show: [],
  logs: [],
  watch: ["queued", "running", "paused"],
  pause: ["queued", "running"],
  resume: ["paused", "running"],
  cancel: ["queued", "running", "paused", "failed"],
  retry: ["failed"],
  set: ["queued", "running", "paused"]
}

/** Stands for the ids in what is generated. A shell takes it as it is. */
const placeholder = (command: string): string => `JOBS_${command}`

/** The command that prints the ids. */
const printer = (command: string): string =>
  ["fanout jobs list --ids --limit 200", ...(states[command] ?? []).map((state) => `--state ${state}`), "2>/dev/null"]
    .join(" ")

/** How each shell runs a command for what it completes, in place of what it would complete as it stands. */
const asked: Readonly<Partial<Record<Completions.Shell, (command: string) => readonly [from: string, to: string]>>> = {
  bash: (command) => [`'${placeholder(command)}'`, `$(${printer(command)})`],
  zsh: (command) => [`(${placeholder(command)})`, `{compadd -- $(${printer(command)})}`],
  fish: (command) => [placeholder(command), `(${printer(command)})`]
}

const withIds = (command: Completions.CommandDescriptor): Completions.CommandDescriptor => ({
  ...command,
  subcommands: command.subcommands.map((one) => ({
    ...one,
    arguments: one.arguments.map((argument) =>
      argument.name === "ID" && one.name in states
        ? { ...argument, type: { _tag: "Choice", values: [placeholder(one.name)] } as const }
        : argument
    )
  }))
})

/** Script for a shell. */
const script = (shell: Completions.Shell, command: Completions.CommandDescriptor): string => {
  const ask = asked[shell]
  if (ask === undefined) return Completions.generate(command.name, shell, command)
  const subcommands = command.subcommands.map((one) => one.name === "jobs" ? withIds(one) : one)
  return Object.keys(states).reduce(
    (text, name) => text.replaceAll(...ask(name)),
    Completions.generate(command.name, shell, { ...command, subcommands })
  )
}

/** `--completions SHELL` */
export const flag = Flag.withMetavar(GlobalFlag.Completions.flag, "SHELL")

/** Prints the script that completes a command in a shell. */
export const print = (shell: Completions.Shell, command: Command.Command.Any): Effect.Effect<void> =>
  View.print(script(shell, Completions.fromCommand(command)))
