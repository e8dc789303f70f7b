/**
 * Job that runs a command line, as the ticks of a schedule start it.
 */
import * as Job from "@fanout/core/Job"
import * as FilePath from "@fanout/ops/FilePath"
import * as Schema from "effect/Schema"

/** Arguments as they were given, and the folder that relative paths start from. */
export const Payload = Schema.Struct({ args: Schema.Array(Schema.String), folder: FilePath.FilePath })

/** Why nothing was done, or the job of the command failed. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>("@fanout/cli/ScheduledCommand/CommandFailed")(
  "CommandFailed",
  { sentence: Schema.String }
) {
  override get message(): string {
    return this.sentence
  }
}

/** The command is resolved anew by each run of the job, and its own job is a child. */
export const job = Job.make("scheduled", { payload: Payload, error: CommandFailed })
