/**
 * `fanout thumbnail`: makes thumbnails, or goes on with what the same command has started before.
 */
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as FilePath from "@fanout/ops/FilePath"
import * as ThumbnailVariant from "@fanout/ops/ThumbnailVariant"
import * as Arr from "effect/Array"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stop from "../exit/Stop.ts"
import * as Arguments from "../options/Arguments.ts"
import * as Settings from "../options/Settings.ts"
import * as RowOutput from "../output/RowOutput.ts"
import { withFiles } from "../run/JobRuntime.ts"
import * as RunJob from "../run/RunJob.ts"
import * as events from "../ui/events.ts"

const sizeNames = "icon, grid or detail, each with @1x or @2x behind it for one of its two"

const config = {
  paths: Settings.paths(
    "Images, videos and PDFs, and folders to look for such in",
    "What are thumbnails to be made of? `fanout thumbnail PATH... --output DIR`"
  ),
  output: Settings.pathFlag(
    "output",
    "DIR",
    "Folder to put them in, as ab/cd/abcd…/grid@1x.webp by the content id of the file"
  ).pipe(Flag.withAlias("o"), Flag.optional),
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

/** `fanout thumbnail` */
export const thumbnail = Command.make(
  "thumbnail",
  config,
  ({ format, output, paths, size, ...options }) =>
    Effect.gen(function*() {
      if (Option.isNone(output)) {
        return yield* Stop.usage("Where are the thumbnails to go? Name a folder with --output DIR.")
      }
      const sizes = Option.getOrElse(size, () => ThumbnailVariant.defaults.join())
      const variants = ThumbnailVariant.parse(sizes)
      if (Option.isNone(variants)) return yield* Stop.usage(`--size "${sizes}" names no sizes. They are ${sizeNames}.`)
      const Thumbnail = yield* Effect.promise(() => import("@fanout/ops/Thumbnail"))
      const payload = yield* withFiles(Thumbnail.plan({
        sources: Arr.map(paths, Arguments.absolute),
        output: Arguments.absolute(output.value),
        variants: variants.value,
        format
      })).pipe(Effect.mapError(({ message }) => Stop.usage(`${message}. Name a folder with --output.`)))
      const inside = payload.sources.find((source) => FilePath.isWithin(source, payload.output))
      if (inside !== undefined) {
        const [source, folder] = [inside, payload.output].map(FilePath.display)
        return yield* Stop.usage(
          `"${source}" is in "${folder}", where thumbnails are made of nothing. Name another folder with --output.`
        )
      }
      const { folderOf, Thumbnails } = yield* Effect.promise(() => import("@fanout/ops/ThumbnailTask"))
      const decode = Schema.decodeUnknownSync(Thumbnails)
      // What has no thumbnails is told as an item.
      const textOf = ({ key, outcome }: OutcomeRow): string => {
        if (outcome._tag !== "Done") return ""
        const { _tag, contentId, ...made } = decode(outcome.value)
        return `${events.line("thumbnail", { key, did: _tag, contentId, folder: folderOf(contentId), ...made })}\n`
      }
      yield* RowOutput.run({
        start: RunJob.start(Thumbnail.job, payload, options),
        options,
        lines: options.json ? { order: RowOutput.unsorted, textOf } : undefined
      })
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
