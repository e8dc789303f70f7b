/**
 * `fanout thumbnail`: makes thumbnails, or goes on with what the same command has started before.
 */
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as FilePath from "@fanout/ops/FilePath"
import * as ThumbnailVariant from "@fanout/ops/ThumbnailVariant"
import * as Arr from "effect/Array"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Param from "effect/cli/Param"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Arguments from "../Arguments.ts"
import { piecesAtOnce, withJobs } from "../JobRuntime.ts"
import * as RowOutput from "../RowOutput.ts"
import * as RunJob from "../RunJob.ts"
import * as Settings from "../Settings.ts"
import * as Stop from "../Stop.ts"
import * as events from "../ui/events.ts"

const sizeNames = "icon, grid or detail, each with @1x or @2x behind it for one of its two"

const config = {
  paths: Param.makeSingle({ kind: Param.argumentKind, name: "PATH", primitiveType: Settings.path }).pipe(
    Argument.withDescription("Images, videos and PDFs, and folders to look for such in"),
    Argument.variadic()
  ),
  output: Param.makeSingle({ kind: Param.flagKind, name: "output", primitiveType: Settings.path }).pipe(
    Flag.withAlias("o"),
    Flag.withMetavar("DIR"),
    Flag.withDescription("Folder to put them in, as ab/cd/abcd…/grid@1x.webp by the content id of the file"),
    Flag.optional
  ),
  size: Flag.String("size").pipe(
    Flag.withMetavar("SIZES"),
    Flag.withDescription(`Which sizes, with commas between them: ${sizeNames} (default: grid,detail@1x)`),
    Flag.optional
  ),
  format: Flag.Literals("format", ThumbnailVariant.Format.literals).pipe(
    Flag.withDescription("What they are encoded as (default: webp)"),
    Flag.withDefault("webp" as const)
  ),
  json: Settings.json,
  quiet: Settings.quiet
}

const requestOf = Effect.fnUntraced(function*({ output, paths, size }: {
  readonly paths: ReadonlyArray<string>
  readonly output: Option.Option<string>
  readonly size: Option.Option<string>
}) {
  if (paths.includes("")) return yield* Stop.usage("An empty name is the name of no file.")
  const sources = paths.map((path) => Arguments.absolute(FilePath.make(path)))
  if (!Arr.isArrayNonEmpty(sources)) {
    return yield* Stop.usage("What are thumbnails to be made of? `fanout thumbnail PATH... --output DIR`")
  }
  if (Option.isNone(output) || output.value === "") {
    return yield* Stop.usage("Where are the thumbnails to go? Name a folder with --output DIR.")
  }
  const variants = Option.match(size, {
    onNone: () => Option.some(ThumbnailVariant.defaults),
    onSome: ThumbnailVariant.parse
  })
  if (Option.isNone(variants)) {
    return yield* Stop.usage(`"${Option.getOrElse(size, () => "")}" names no sizes. They are ${sizeNames}.`)
  }
  return { sources, output: Arguments.absolute(FilePath.make(output.value)), variants: variants.value }
})

const load = Effect.promise(() => import("../Thumbnailing.ts"))

/** Line of a file that has thumbnails; nothing for what is told as an item. */
const render = ({ ThumbnailTask: { Thumbnails, folderOf } }: Effect.Success<typeof load>) => {
  const decode = Schema.decodeUnknownSync(Thumbnails)
  return ({ key, outcome }: OutcomeRow): string => {
    if (outcome._tag !== "Done") return ""
    const { _tag, contentId, ...made } = decode(outcome.value)
    return `${events.line("thumbnail", { key, did: _tag, contentId, folder: folderOf(contentId), ...made })}\n`
  }
}

/** `fanout thumbnail` */
export const thumbnail = Command.make(
  "thumbnail",
  config,
  ({ format, json, quiet, ...given }) =>
    Effect.gen(function*() {
      const options = { json, quiet }
      const request = { ...yield* requestOf(given), format }
      const modules = yield* load
      const { SystemFiles, Thumbnail } = modules
      const payload = yield* Thumbnail.plan(request).pipe(
        Effect.provide(SystemFiles.layer),
        Effect.catchTag(
          "FilesError",
          ({ message }) => Effect.fail(Stop.usage(`${message}. Name a folder with --output.`))
        )
      )
      const inside = payload.sources.find((source) => FilePath.isWithin(source, payload.output))
      if (inside !== undefined) {
        const [source, folder] = [inside, payload.output].map(FilePath.display)
        return yield* Stop.usage(
          `"${source}" is in "${folder}", where thumbnails are made of nothing. Name another folder with --output.`
        )
      }
      yield* withJobs({ claim: { ids: [] }, concurrency: Option.some(piecesAtOnce) })(
        Effect.gen(function*() {
          const id = yield* RunJob.start(Thumbnail.job, payload, options)
          const output = RowOutput.make(id, RowOutput.unsorted, RowOutput.stdout, render(modules))
          yield* RunJob.run(id, options, json ? yield* output : undefined)
        })
      )
    })
).pipe(
  Command.withDescription(
    "Make thumbnails of images, and of videos and PDFs where ffmpeg and pdftoppm are installed. What is there is " +
      "left. Each file is decoded by a process of its own: one that crashes or hangs it fails, and the others are " +
      "made. The same command again goes on where it was."
  ),
  Command.withShortDescription("Make thumbnails, resumably, on all cores"),
  Command.withExamples([
    { command: "fanout thumbnail Photos --output .thumbnails", description: "Make those of 256, 512 and 1024 pixels" },
    {
      command: "fanout thumbnail Photos -o .thumbnails --size icon,detail@2x --format avif",
      description: "Make other sizes"
    }
  ])
)
