/**
 * Handler of the task `MakeThumbnails`. It loads the decoder with its layer, so it belongs where that may crash.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import { fill } from "./internal/content/bufferFill.ts"
import { isSame } from "./internal/hash/fileHash.ts"
import * as Hasher from "./internal/hash/hasher.ts"
import * as SampledHash from "./internal/hash/sampledHash.ts"
import * as MediaKind from "./internal/media/mediaKind.ts"
import * as Place from "./internal/path/place.ts"
import * as ExternalRendering from "./internal/thumbnail/externalRendering.ts"
import * as ImageRendering from "./internal/thumbnail/imageRendering.ts"
import * as ThumbnailFolder from "./internal/thumbnail/thumbnailFolder.ts"
import { SkipReason } from "./SkipReason.ts"
import { MakeThumbnails, ProcessTasks, ThumbnailFailed, Thumbnails } from "./ThumbnailTask.ts"
import { sizeOf, type ThumbnailVariant } from "./ThumbnailVariant.ts"

/** A larger image is not decoded: all of it is in memory while it is. */
const maxImageBytes = 2 ** 28

type Payload = Task.Payload<typeof MakeThumbnails>

/** What is to be rendered, and how. */
interface Source {
  readonly payload: Payload
  readonly file: Files.OpenFile
  readonly stat: Files.FileStat
  readonly kind: MediaKind.MediaKind
}

const failed = ({ path }: Payload, code: string, why: string): ThumbnailFailed =>
  new ThumbnailFailed({ code, path, why: `"${FilePath.display(path)}" ${why}` })

const changed = (payload: Payload): ThumbnailFailed => failed(payload, "Changed", "changed while it was read")

/** What a file is, if it is something that can be rendered. */
const kindOf = Effect.fnUntraced(function*(payload: Payload, file: Files.OpenFile, { sizeBytes }: Files.FileStat) {
  const { path } = payload
  if (sizeBytes === 0) return yield* Task.skip("it is empty")
  const head = new Uint8Array(MediaKind.headBytes)
  const kind = MediaKind.sniff(head.subarray(0, yield* file.readAt(head, 0)))
  if (kind?.kind === "unsupported") {
    return yield* failed(payload, "Unsupported", `is ${kind.name}, which is not supported`)
  }
  if (kind !== undefined && kind.kind !== "sound") return kind
  return yield* MediaKind.isCalledImage(path)
    ? failed(payload, "Mislabelled", "is called an image, and its content is none that is known")
    : Task.skip("it is no image, video or PDF")
})

/** Bytes that the decoder takes: those of an image, or what another program has made of something else. */
const bytesOf = Effect.fnUntraced(function*({ file, kind: { kind }, payload, stat }: Source, sidePixels: number) {
  const { path } = payload
  if (kind === "video") return yield* ExternalRendering.videoFrame(path, stat, sidePixels)
  if (kind === "pdf") return yield* ExternalRendering.pdfPage(path, stat, sidePixels)
  if (stat.sizeBytes > maxImageBytes) {
    return yield* failed(payload, "TooLarge", `is larger than the ${maxImageBytes / 2 ** 20} MiB that are decoded`)
  }
  const buffer = new Uint8Array(stat.sizeBytes)
  const filled = yield* fill(
    buffer,
    0,
    (part, at) =>
      Effect.tap(file.readAt(part, at), (got) => Effect.andThen(Progress.add("bytes", got), Interrupter.check))
  )
  return filled < buffer.length ? yield* changed(payload) : buffer
})

/** What of a file another program has made a picture of. */
const parts: Readonly<Record<string, string>> = { video: "frame at 10 %", pdf: "first page" }

const render = Effect.fnUntraced(
  function*(decoder: ImageRendering.Decoder, source: Source, variants: ReadonlyArray<ThumbnailVariant>) {
    const { file, kind, payload, stat } = source
    const largest = Math.max(...variants.map((variant) => sizeOf(variant).sidePixels))
    const bytes = yield* bytesOf(source, largest)
    if (!isSame(stat, yield* file.stat, stat.sizeBytes)) return yield* changed(payload)
    yield* Interrupter.check
    const { notes, pictures } = yield* ImageRendering.render(decoder, bytes, variants, payload.format)
    const name = MediaKind.mislabelled(payload.path, kind)
    const part = parts[kind.kind]
    // What another program has made is what it is.
    return { pictures, notes: [...name === undefined ? [] : [name], ...part === undefined ? notes : [part]] }
  },
  (rendered, _, { kind, payload }) =>
    Effect.catchTags(rendered, {
      NoPicture: () => Task.skip("it has sound, and no picture"),
      NotInstalled: ({ program }) => Task.skip(`needs ${program}, which is not installed`),
      Refused: ({ why }) => Effect.fail(failed(payload, "Corrupt", `is taken for ${kind.name}, and ${why}`)),
      Replaced: () => Effect.fail(changed(payload)),
      Unrendered: ({ code, why }) => Effect.fail(failed(payload, code, `can't be decoded as ${kind.name}: ${why}`))
    })
)

/** Makes the thumbnails of a file that it lacks. */
const handle = Effect.fnUntraced(
  function*(decoder: ImageRendering.Decoder, payload: Payload) {
    const { format, path } = payload
    const output = yield* Files.Files.use((files) => files.folder(payload.output))
    const file = yield* Effect.flatMap(Place.open(path), Place.openFile)
    const stat = yield* file.stat
    if (stat.kind !== "file") return yield* Task.skip(SkipReason.Special)
    const kind = yield* kindOf(payload, file, stat)
    const id = yield* SampledHash.compute(Hasher.make("blake3"), stat.sizeBytes, (part, at) => file.readAt(part, at))
    if (Option.isNone(id)) return yield* changed(payload)
    const contentId = id.value
    const variants = yield* ThumbnailFolder.missing(output, contentId, payload.variants, format)
    if (variants.length === 0) return Thumbnails.cases.Existing.make({ contentId })
    const { notes, pictures } = yield* render(decoder, { payload, file, stat, kind }, variants)
    yield* Interrupter.check
    yield* ThumbnailFolder.put(output, { contentId, path, pictures, format })
    yield* Progress.add("thumbnails", pictures.length)
    return Thumbnails.cases.Made.make({ contentId, variants, notes })
  },
  Effect.scoped,
  (made, _, payload) =>
    Effect.catchTag(made, "FilesError", ({ code, isMissing, message, path }) =>
      Effect.fail(
        isMissing && path === payload.path
          ? new Task.Skipped({ reason: SkipReason.Vanished })
          : new ThumbnailFailed({ code, path: payload.path, why: message })
      ))
)

/**
 * Layer that supplies the handler.
 *
 * @category layers
 */
export const layer: Layer.Layer<Task.Handler<typeof MakeThumbnails>, never, Files.Files> = ProcessTasks.toLayer(
  Effect.gen(function*() {
    const files = yield* Files.Files
    const decoder = yield* ImageRendering.load
    return {
      [MakeThumbnails._tag]: (payload: Payload) => Effect.provideService(handle(decoder, payload), Files.Files, files)
    }
  })
)
