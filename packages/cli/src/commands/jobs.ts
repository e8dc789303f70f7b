/**
 * `fanout jobs`: looks at jobs, and asks things of them.
 */
import * as Command from "effect/cli/Command"
import { cancel, pause, prune, resume, retry, set, work } from "./jobsAsk.ts"
import { list, logs, show, watch } from "./jobsLook.ts"

/** `fanout jobs` with all its subcommands. */
export const jobs = Command.make("jobs").pipe(
  Command.withDescription("Look at jobs, and pause, resume, cancel, retry, set or remove them"),
  Command.withExamples([
    { command: "fanout jobs list", description: "Show the newest jobs" },
    { command: "fanout jobs resume 4k2m9x0c7ver", description: "Go on with a paused job, here" },
    { command: "fanout jobs set 4k2m9x0c7ver --bandwidth 20MB", description: "Slow down a job that runs elsewhere" },
    { command: "fanout jobs prune --older-than 30d", description: "Forget jobs that ended more than 30 days ago" }
  ]),
  Command.withSubcommands([list, show, watch, logs, pause, resume, cancel, retry, set, prune, work])
)
