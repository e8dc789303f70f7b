/**
 * `fanout schedule`: has commands run at the times of a clock.
 */
import * as Command from "effect/cli/Command"
import { add } from "./scheduleAdd.ts"
import { pause, remove, resume, run } from "./scheduleAsk.ts"
import { list, show } from "./scheduleLook.ts"

/** `fanout schedule` with all its subcommands. */
export const schedule = Command.make("schedule").pipe(
  Command.withDescription(
    "Run commands again and again, at the times of a cron expression. `fanout serve` or `fanout jobs work` has to be " +
      "running then"
  ),
  Command.withShortDescription("Run commands at the times of a clock"),
  Command.withExamples([
    {
      command: "fanout schedule add nightly --cron '0 3 * * *' -- copy -T Photos /mnt/backup/Photos",
      description: "Copy a folder at three every night"
    },
    { command: "fanout schedule list", description: "Show what runs when, and how it ended the last time" },
    { command: "fanout schedule show nightly --next 5", description: "Tell the next five times" },
    { command: "fanout schedule run nightly", description: "Don't wait for the next time" },
    { command: "fanout schedule pause nightly", description: "Run it no more, until it is resumed" }
  ]),
  Command.withSubcommands([add, list, show, pause, resume, run, remove])
)
