/**
 * `fanout copy`: starts a copy, or goes on with the one that the same command has started before.
 */
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Settings from "../options/Settings.ts"
import * as Transfer from "./transfer.ts"

const modes = ["changed", "overwrite", "skip", "rename", "error"] as const

const config = {
  paths: Transfer.paths("Files and folders to copy, and where to"),
  conflict: Flag.Literals("conflict", modes).pipe(
    Flag.withDescription(
      "What to do where there is a file: replace it if size or time differ (the default, but on a terminal it is " +
        "asked for), always, never, take another name, or fail"
    ),
    Flag.optional
  ),
  preserve: Transfer.preserve(CopyOptions.usual),
  durable: Settings.toggle(
    "durable",
    "Have each copy survive a power cut before it counts as done: flushed, then put in its place"
  ),
  verify: Settings.toggle("verify", "Read each copy back from the device, and compare, before it gets its name"),
  dereference: Settings.toggle("dereference", "Copy what links lead to in their place").pipe(Flag.withAlias("L")),
  ...Transfer.flags
}

/** `fanout copy` */
export const copy = Command.make(
  "copy",
  config,
  ({ dereference, durable, preserve, verify, ...given }) =>
    Transfer.run({ name: "copy", modes, isDurable: durable }, given, {
      // What is as usual is the request that it was before there was anything else.
      ...preserve,
      ...dereference ? { dereference } : {},
      ...durable ? { durable } : {},
      ...verify ? { verify } : {}
    })
).pipe(
  Command.withDescription(
    "Copy files and folders. The same command again goes on with an unfinished copy. " +
      "Ctrl-C pauses it; a second Ctrl-C stops at once."
  ),
  Command.withShortDescription("Copy files and folders, resumably"),
  Command.withExamples([
    { command: "fanout copy Photos /mnt/backup", description: "Copy a folder into another (or to that name)" },
    { command: "fanout copy -T Photos /mnt/backup", description: "Make the one like the other" },
    { command: "fanout copy a.txt b.txt notes", description: "Copy files into a folder" },
    {
      command: "fanout copy --exclude node_modules/ --exclude '*.log' --include keep.log src dst",
      description: "Leave out what patterns of .gitignore match, but for what is included"
    },
    {
      command: "fanout copy --checksums photos.b3 Photos /mnt/backup",
      description: "Write what `b3sum --check photos.b3` reads, without reading anything twice"
    },
    { command: "fanout copy Photos s3://bucket/Photos", description: "Copy a folder to an object store, or from one" },
    { command: "fanout copy --conflict skip --json src dst", description: "Replace nothing; tell of it in NDJSON" }
  ])
)
