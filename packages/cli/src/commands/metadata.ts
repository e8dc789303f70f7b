/**
 * `fanout metadata`: tells what photos, sounds and films say of themselves, or goes on with what the same command has
 * started before.
 */
import * as FilePath from "@fanout/ops/FilePath"
import type { Line } from "@fanout/ops/Media"
import * as SourceRows from "@fanout/ops/SourceRows"
import * as Arr from "effect/Array"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as os from "node:os"
import * as Stop from "../exit/Stop.ts"
import * as Process from "../host/Process.ts"
import * as Arguments from "../options/Arguments.ts"
import * as Settings from "../options/Settings.ts"
import * as RowOutput from "../output/RowOutput.ts"
import { withFiles } from "../run/JobRuntime.ts"
import * as RunJob from "../run/RunJob.ts"
import * as events from "../ui/events.ts"
import { fit } from "../ui/table.ts"
import * as View from "../ui/View.ts"

const config = {
  paths: Settings.paths("Files and folders to read", "What is to be read? `fanout metadata PATH...`"),
  csv: Settings.toggle("csv", "Write a table with a line for each file, as spreadsheets read it"),
  raw: Settings.toggle("raw", "With --json, add all tags as the files have them"),
  output: Settings.output("is not read"),
  json: Settings.json,
  quiet: Settings.quietBut("records")
}

type Given = Command.Command.Config.Infer<typeof config>

/** So many that each thread has its next batch in hand. */
const filesAtOnce = Math.max(64, 32 * os.availableParallelism())

/** What is wrong with what was given, if anything is. */
const mistake = ({ csv, json, paths, raw }: Given): string | undefined => {
  if (paths.some((path) => path === "-")) return Settings.pipedIn
  if (csv && json) return "With --csv, there is no --json: choose one of them."
  return raw && !json ? "With --raw, there has to be --json: only there is room for all tags." : undefined
}

/** `fanout metadata` */
export const metadata = Command.make(
  "metadata",
  config,
  (given) =>
    Effect.gen(function*() {
      const { csv, json, output, paths, raw } = given
      const why = mistake(given)
      if (why !== undefined) return yield* Stop.usage(why)
      const Media = yield* Effect.promise(() => import("@fanout/ops/Media"))
      const mediaText = yield* Effect.promise(() => import("../ui/mediaText.ts"))
      const sources = Arr.map(paths, Arguments.absolute)
      const payload = yield* withFiles(Media.plan({
        sources,
        leaveOut: yield* Settings.databaseFiles,
        raw,
        ...Option.match(output, { onNone: () => ({}), onSome: (output) => ({ output }) })
      }))
      const textOf = ({ place, record, row }: Line): string => {
        if (Option.isNone(record)) return ""
        // As it was given on the command line, and below.
        const name = FilePath.join(paths[place.source] ?? FilePath.empty, place.path)
        if (csv) return mediaText.csv(FilePath.toText(name), record.value)
        if (json) {
          return `${events.line("metadata", { key: row.key, name: FilePath.toText(name), ...record.value })}\n`
        }
        const cells = Option.isNone(output) ? View.columns(Process.current().stdout) : Number.POSITIVE_INFINITY
        return `${fit(`${FilePath.display(name)}: ${mediaText.summary(record.value)}`, cells)}\n`
      }
      yield* RowOutput.run({
        start: RunJob.start(Media.job, payload, given),
        options: given,
        paths: sources,
        file: output,
        mayHold: mediaText.isOwn,
        header: csv ? mediaText.csvHeader : "",
        concurrency: filesAtOnce,
        lines: { order: new SourceRows.Sorter((row) => [Media.fromRow(row)]), textOf }
      })
    })
).pipe(
  Command.withDescription(
    "Tell what photos, sounds and films say of themselves: camera, time, place, length, codecs, tags. The same " +
      "command again goes on where it was, and prints all of it."
  ),
  Command.withShortDescription("Read EXIF, XMP, IPTC and tags of photos, sounds and films"),
  Command.withExamples([
    { command: "fanout metadata Photos", description: "A line for each photo" },
    { command: "fanout metadata Photos --csv -o photos.csv", description: "A table, and never half of it" },
    { command: "fanout metadata --json Music", description: "One object for each line, described in docs/metadata.md" },
    { command: "fanout metadata --json --raw a.jpg", description: "All tags of a file" }
  ])
)
