/**
 * `fanout move`: starts a move, or goes on with the one that the same command has started before.
 */
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Transfer from "./transfer.ts"

const modes = ["overwrite", "skip", "rename", "error"] as const

const config = {
  paths: Transfer.paths("Files and folders to move, and where to"),
  conflict: Flag.Literals("conflict", modes).pipe(
    Flag.withDescription(
      "What to do where there is a file: replace it (the default, but on a terminal it is asked for), leave both as " +
        "they are, take another name, or fail"
    ),
    Flag.optional
  ),
  preserve: Transfer.preserve(CopyOptions.Property.literals),
  ...Transfer.flags
}

/** `fanout move` */
export const move = Command.make(
  "move",
  config,
  ({ preserve, ...given }) => Transfer.run({ name: "move", modes, isDurable: true }, given, preserve)
).pipe(
  Command.withDescription(
    "Move files and folders. On the same file system they get another name; anything else is copied, flushed, read " +
      "back, recorded, and then removed where it was. SRC and DEST may be addresses of objects. The same command " +
      "again goes on with an unfinished move. Ctrl-C pauses it; a second Ctrl-C stops at once."
  ),
  Command.withShortDescription("Move files and folders, resumably"),
  Command.withExamples([
    { command: "fanout move Photos /mnt/backup", description: "Move a folder into another (or to that name)" },
    { command: "fanout move -T Photos /mnt/Photos", description: "Fill a folder that is there" },
    { command: "fanout move s3://bucket/Photos s3://bucket/2026/", description: "Move objects within a store" },
    {
      command: "fanout move --exclude '*.part' downloads archive",
      description: "Leave what is not complete where it is"
    }
  ])
)
