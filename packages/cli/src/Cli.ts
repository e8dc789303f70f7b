/**
 * The command with all its subcommands.
 */
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { examine } from "./commands/doctor.ts"
import { jobCommands } from "./commands/jobCommands.ts"
import { cancel, pause, prune, resume, retry, set, work } from "./commands/jobsAsk.ts"
import { limit } from "./commands/jobsLimit.ts"
import { list, logs, show, watch } from "./commands/jobsLook.ts"
import { processes } from "./commands/jobsProcesses.ts"
import { create } from "./commands/new.ts"
import { schedule } from "./commands/schedule.ts"
import { serve } from "./commands/serve.ts"
import { ui } from "./commands/ui.ts"
import * as Completions from "./options/Completions.ts"
import * as Settings from "./options/Settings.ts"
import * as Package from "./Package.ts"
import { print } from "./ui/View.ts"

/** `fanout jobs` with all its subcommands. */
const jobs = Command.make("jobs").pipe(
  Command.withDescription("Look at jobs, and pause, resume, cancel, retry, set or remove them"),
  Command.withExamples([
    { command: "fanout jobs list", description: "Show the newest jobs" },
    { command: "fanout jobs resume 4k2m9x0c7ver", description: "Go on with a paused job, here" },
    { command: "fanout jobs set 4k2m9x0c7ver --bandwidth 20MB", description: "Slow down a job that runs elsewhere" },
    { command: "fanout jobs prune --older-than 30d", description: "Forget jobs that ended more than 30 days ago" }
  ]),
  Command.withSubcommands([list, show, watch, logs, pause, resume, cancel, retry, set, limit, prune, processes, work])
)

const root = {
  completions: Completions.flag,
  version: Settings.toggle("version", "Show version information").pipe(Flag.withAlias("v"))
}

/** `fanout`. Flags of its own are refused beside a subcommand, whose work would be left out for them. */
export const cli = Command.make("fanout", root, ({ completions, version }) => {
  if (version) return print(`fanout v${Package.version}`)
  return Option.match(completions, {
    onNone: () => Effect.fail(new CliError.ShowHelp({ commandPath: ["fanout"], errors: [] })),
    onSome: (shell) => Completions.print(shell, itself())
  })
}).pipe(
  Command.withDescription("File jobs that survive crashes, from the command line"),
  Command.withExamples([
    { command: "fanout copy Photos /mnt/backup", description: "Copy a folder; the same command again goes on" },
    { command: "fanout hash Photos", description: "Hash all files in a folder, on all cores" },
    { command: "fanout verify Photos /mnt/backup/Photos", description: "Compare two trees, byte by byte" },
    { command: "fanout delete build", description: "Delete a folder with all that is in it" },
    { command: "fanout jobs list", description: "Show what was started, here and in other terminals" },
    { command: "fanout ui", description: "Show and control jobs in a browser" },
    {
      command: "fanout schedule add nightly --cron @daily -- copy -T Photos /mnt/backup/Photos",
      description: "Copy every night"
    },
    { command: "fanout doctor", description: "Tell what this machine allows, and what is wrong" },
    { command: "fanout new job send-letters", description: "Write a package with a job of your own" },
    { command: "fanout --completions bash", description: "Print completions for a shell" }
  ]),
  Command.withSubcommands([...jobCommands, jobs, schedule, serve, ui, examine, create]),
  Command.withGlobalFlags([Settings.db, Settings.progressEvery])
)

const itself = (): Command.Command.Any => cli
