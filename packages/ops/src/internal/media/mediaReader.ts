/**
 * Reads what a file says of itself, by whoever knows its kind.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import { MediaFailed, MediaRead, mostBytes, type ReadMedia } from "../../MediaTask.ts"
import { SkipReason } from "../../SkipReason.ts"
import { readBoxed } from "./boxedPicture.ts"
import { type Fault, headOf, latin, malformed, noting, ofFile, type Source } from "./byteSource.ts"
import { readPng, readWebp } from "./chunks.ts"
import { readGif } from "./gif.ts"
import { readHeif } from "./heif.ts"
import { readJpeg } from "./jpeg.ts"
import { type Form, headBytes, sniff } from "./mediaKind.ts"
import { pictureRecord } from "./pictureRecord.ts"
import { type Carried, readTiff, type Walk } from "./tiff.ts"

type Payload = Task.Payload<typeof ReadMedia>

const pictures: Readonly<Record<Exclude<Form, "sound">, Walk>> = {
  boxed: readBoxed,
  gif: readGif,
  heif: readHeif,
  jpeg: readJpeg,
  png: readPng,
  tiff: readTiff,
  webp: readWebp
}

const readPicture = Effect.fnUntraced(function*(walk: Walk, mimeType: string, source: Source, isRaw: boolean) {
  const carried: Carried = { texts: new Map(), problems: new Set() }
  yield* noting(walk(source, carried), (why) => carried.problems.add(why))
  const { exif, iptc, problems: [problem], texts, width, xmp } = carried
  const isEmpty = width === undefined && exif === undefined && xmp === undefined && iptc === undefined &&
    texts.size === 0
  if (problem !== undefined && isEmpty) return yield* malformed(problem)
  return pictureRecord(mimeType, source.sizeBytes, carried, isRaw)
})

/** So many bytes tell how long a tag is. */
const tagHeadBytes = 10

/** How many bytes a tag of ID3v2 takes that begins here, which any sound may come behind; 0 if there is none. */
const tagLength = (head: Uint8Array): number => {
  if (latin(head, 0, 3) !== "ID3" || head.length < tagHeadBytes) return 0
  const [flags = 0, ...sizes] = head.subarray(5)
  const footer = (flags & 0x10) === 0 ? 0 : tagHeadBytes
  return tagHeadBytes + footer + sizes.reduce((sum, size) => sum * 128 + (size & 127), 0)
}

const readOpen = Effect.fnUntraced(function*(source: Source, isRaw: boolean) {
  // A sound may be behind tags.
  let start = 0
  for (let length = 1; length > 0; start += length) length = tagLength(yield* headOf(source, tagHeadBytes, start))
  const kind = sniff(yield* headOf(source, headBytes, start))
  // Behind a tag, what is nothing that is known is taken for what mostly is there.
  const metadata = start === 0 || kind?.metadata?.form === "sound"
    ? kind?.metadata
    : { form: "sound", mimeType: "audio/mpeg" } as const
  if (metadata === undefined) {
    return yield* Task.skip(
      kind === undefined ? SkipReason.NoMedia : `it is ${kind.name}, which no metadata is read of`
    )
  }
  const { form, mimeType } = metadata
  if (form !== "sound") return yield* readPicture(pictures[form], mimeType, source, isRaw)
  // Most folders have only pictures, and it takes a while to load.
  const { soundRecord } = yield* Effect.promise(() => import("./soundRecord.ts"))
  return yield* soundRecord(mimeType, source, start, isRaw)
})

/** What is gone since a walk has met it has vanished. */
const settle = (path: FilePath.FilePath) => (error: FilesError | Fault) => {
  if (error._tag === "FilesError" && error.isMissing) return Task.skip(SkipReason.Vanished)
  const why = error._tag === "FilesError"
    ? error.message
    : `Could not read metadata of "${FilePath.display(path)}": ${error.why.slice(0, 200)}`
  return Effect.fail(new MediaFailed({ code: error.code, path, why }))
}

export const readMedia = Effect.fnUntraced(
  function*({ path, raw = false }: Payload) {
    yield* Interrupter.check
    const files = yield* Files.Files
    const file = yield* files.open(path)
    const { kind, sizeBytes } = yield* file.stat
    if (kind !== "file") return yield* Task.skip(SkipReason.Special)
    const source = ofFile(file, sizeBytes, mostBytes)
    const record = yield* readOpen(source, raw)
    yield* Progress.add("bytes", source.bytesRead())
    return MediaRead.make({ record })
  },
  Effect.scoped,
  (effect, { path }) => Effect.catchTags(effect, { FilesError: settle(path), Fault: settle(path) })
)
