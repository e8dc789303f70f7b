/**
 * `fanout metadata`: tells what photos, sounds and films say of themselves, or goes on with what the same command has
 * started before.
 */
import * as FilePath from "@fanout/ops/FilePath"
import type { Line } from "@fanout/ops/Media"
import * as Arr from "effect/Array"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Param from "effect/cli/Param"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as os from "node:os"
import * as Arguments from "../Arguments.ts"
import { withJobs } from "../JobRuntime.ts"
import * as RowOutput from "../RowOutput.ts"
import * as RunJob from "../RunJob.ts"
import * as Settings from "../Settings.ts"
import * as Stop from "../Stop.ts"
import * as events from "../ui/events.ts"
import type * as mediaTexts from "../ui/mediaText.ts"
import { fit } from "../ui/table.ts"
import * as View from "../ui/View.ts"

const config = {
  paths: Param.makeSingle({ kind: Param.argumentKind, name: "PATH", primitiveType: Settings.path }).pipe(
    Argument.withDescription("Files and folders to read"),
    Argument.variadic()
  ),
  csv: Settings.toggle("csv", "Write a table with a line for each file, as spreadsheets read it"),
  raw: Settings.toggle("raw", "With --json, add all tags as the files have them"),
  output: Param.makeSingle({ kind: Param.flagKind, name: "output", primitiveType: Settings.path }).pipe(
    Flag.withAlias("o"),
    Flag.withMetavar("FILE"),
    Flag.withDescription("Write the lines to FILE, which is replaced once there are all of them, and is not read"),
    Flag.optional
  ),
  json: Settings.json,
  quiet: Settings.quietBut("records")
}

type Form = "text" | "csv" | "json"

interface Request {
  readonly paths: Arr.NonEmptyReadonlyArray<FilePath.FilePath>
  readonly form: Form
  readonly raw: boolean
  /** Without links. */
  readonly output: Option.Option<FilePath.FilePath>
}

/** So many that each thread has its next batch in hand. */
const filesAtOnce = Math.max(64, 32 * os.availableParallelism())

/** Path of a line as it was given on the command line, and below. */
const nameOf = (given: ReadonlyArray<FilePath.FilePath>, { place }: Line): FilePath.FilePath =>
  FilePath.join(given[place.source] ?? FilePath.empty, place.path)

/** Line of a file; nothing where there is none. */
const render = (
  { record, row }: Line,
  name: FilePath.FilePath,
  { form, output }: Request,
  texts: typeof mediaTexts
): string => {
  if (Option.isNone(record)) return ""
  switch (form) {
    case "csv":
      return texts.csv(FilePath.toText(name), record.value)
    case "json":
      return `${events.line("metadata", { key: row.key, name: FilePath.toText(name), ...record.value })}\n`
    case "text": {
      const cells = Option.isNone(output) ? View.columns(process.stdout) : Number.POSITIVE_INFINITY
      return `${fit(`${FilePath.display(name)}: ${texts.summary(record.value)}`, cells)}\n`
    }
  }
}

const readAll = (request: Request, options: View.Options) =>
  Effect.gen(function*() {
    const { form, output: file, paths, raw } = request
    const { SourceRows, Media, mediaText, OutputFile, SystemFiles } = yield* Effect.promise(() =>
      import("../MediaReading.ts")
    )
    const sources = Arr.map(paths, Arguments.absolute)
    const leaveOut = yield* Settings.databaseFiles
    if (Option.isSome(file)) yield* Effect.provide(OutputFile.check(file.value), SystemFiles.layer)
    yield* withJobs({ claim: { ids: [] }, concurrency: Option.some(filesAtOnce) })(
      Effect.gen(function*() {
        const payload = yield* Effect.provide(
          Media.plan({
            sources,
            leaveOut,
            ...(raw ? { raw } : {}),
            ...Option.match(file, { onNone: () => ({}), onSome: (output) => ({ output }) })
          }),
          SystemFiles.layer
        )
        const id = yield* RunJob.start(Media.job, payload, options)
        const sink = Option.isNone(file)
          ? RowOutput.stdout
          : yield* Effect.provide(OutputFile.make(id, file.value), SystemFiles.layer)
        if (form === "csv") yield* RowOutput.writeLines(sink, [mediaText.csvHeader])
        const output = yield* RowOutput.make(
          id,
          new SourceRows.Sorter((row) => [Media.fromRow(row)]),
          sink,
          (line) => render(line, nameOf(paths, line), request, mediaText)
        )
        yield* RunJob.run(id, { ...options, isShared: process.stdout.isTTY && Option.isNone(file) }, output)
      }).pipe(Effect.scoped)
    )
  })

/** What is wrong with what was given, if anything is. */
const mistake = ({ csv, json, output, paths, raw }: {
  readonly paths: ReadonlyArray<string>
  readonly output: Option.Option<string>
  readonly csv: boolean
  readonly json: boolean
  readonly raw: boolean
}): string | undefined => {
  if ([...paths, ...Option.toArray(output)].includes("")) return "An empty name is the name of no file."
  if (paths.includes("-")) {
    return "What is piped in can't be read again when the job goes on. A file that is called \"-\" is named ./-"
  }
  if (csv && json) return "With --csv, there is no --json: choose one of them."
  if (raw && !json) return "With --raw, there has to be --json: only there is room for all tags."
  return paths.length === 0 ? "What is to be read? `fanout metadata PATH...`" : undefined
}

/** `fanout metadata` */
export const metadata = Command.make(
  "metadata",
  config,
  ({ csv, json, quiet, raw, ...given }) =>
    Effect.gen(function*() {
      const why = mistake({ csv, json, raw, ...given })
      if (why !== undefined) return yield* Stop.usage(why)
      const paths = given.paths.map((path) => FilePath.make(path))
      if (!Arr.isArrayNonEmpty(paths)) return
      const output = Option.map(given.output, (path) => Arguments.realPath(FilePath.make(path)))
      const form = csv ? "csv" : json ? "json" : "text"
      yield* readAll({ paths, form, raw, output }, { json, quiet })
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
