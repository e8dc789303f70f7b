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
import type { MediaRecord } from "../../MediaRecord.ts"
import { MediaFailed, MediaRead, mostBytes, type ReadMedia } from "../../MediaTask.ts"
import { SkipReason } from "../../SkipReason.ts"
import * as MediaKind from "../mediaKind.ts"
import { type Carried, isEmpty } from "./carried.ts"
import { readHeif } from "./heif.ts"
import { readJpeg } from "./jpeg.ts"
import { type Form, headLength, type Kind, kindOf, tagged, tagHeadLength, tagLength } from "./kinds.ts"
import { pictureRecord } from "./picture.ts"
import { readPng } from "./png.ts"
import { type Fault, FileSource, headOf, malformed, type Source } from "./source.ts"
import { copyTiff } from "./tiff.ts"
import { readWebp } from "./webp.ts"

type Payload = Task.Payload<typeof ReadMedia>

const readTiff = (source: Source) =>
  Effect.map(copyTiff(source), (exif): Carried => ({ texts: [], exif, problems: [...exif.problems] }))

const pictures: Readonly<
  Record<Exclude<Form, "sound">, (source: Source) => Effect.Effect<Carried, FilesError | Fault>>
> = { heif: readHeif, jpeg: readJpeg, png: readPng, tiff: readTiff, webp: readWebp }

const readPicture = Effect.fnUntraced(function*(
  kind: Kind & { readonly form: Exclude<Form, "sound"> },
  source: FileSource,
  isRaw: boolean
) {
  const carried = yield* pictures[kind.form](source)
  const [problem] = carried.problems
  if (problem !== undefined && isEmpty(carried)) return yield* malformed(problem)
  return yield* pictureRecord(kind, source.sizeBytes, carried, isRaw)
})

const readSound = (kind: Kind, source: FileSource, start: number, isRaw: boolean) =>
  // Most folders have only pictures, and it takes a while to load.
  Effect.flatMap(
    Effect.promise(() => import("./sound.ts")),
    ({ soundRecord }) => soundRecord(kind, source, start, isRaw)
  )

const isPicture = (kind: Kind): kind is Kind & { readonly form: Exclude<Form, "sound"> } => kind.form !== "sound"

/** What a file is, and where that begins: a sound may be behind tags. */
const kindIn = Effect.fnUntraced(function*(source: FileSource) {
  let start = 0
  for (let length = 1; length > 0 && start < source.sizeBytes;) {
    length = tagLength(yield* headOf(source, tagHeadLength, start))
    start += length
  }
  const head = start < source.sizeBytes ? yield* headOf(source, headLength, start) : new Uint8Array(0)
  const kind = kindOf(head)
  return { head, start, kind: start === 0 || kind?.form === "sound" ? kind : tagged }
})

const readOpen = Effect.fnUntraced(function*(source: FileSource, isRaw: boolean) {
  const { head, kind, start } = yield* kindIn(source)
  if (kind === undefined) {
    const other = MediaKind.sniff(head)
    return yield* Task.skip(
      other === undefined ? SkipReason.NoMedia : `it is ${other.name}, which no metadata is read of`
    )
  }
  const record: MediaRecord = yield* isPicture(kind)
    ? readPicture(kind, source, isRaw)
    : readSound(kind, source, start, isRaw)
  return MediaRead.make({ record })
})

const failed = (path: FilePath.FilePath, error: FilesError | Fault): MediaFailed =>
  error._tag === "FilesError"
    ? new MediaFailed({ code: error.code, path, why: error.message })
    : new MediaFailed({
      code: error.code,
      path,
      why: `Could not read metadata of "${FilePath.display(path)}": ${error.why.slice(0, 200)}`
    })

/** What is gone since a walk has met it has vanished. */
const settle = (path: FilePath.FilePath) => (error: FilesError | Fault) =>
  error._tag === "FilesError" && error.isMissing
    ? Task.skip(SkipReason.Vanished)
    : Effect.fail(failed(path, error))

export const readMedia = Effect.fnUntraced(
  function*({ path, raw = false }: Payload) {
    yield* Interrupter.check
    const files = yield* Files.Files
    const file = yield* files.open(path)
    const { kind, sizeBytes } = yield* file.stat
    if (kind !== "file") return yield* Task.skip(SkipReason.Special)
    const source = new FileSource(file, sizeBytes, mostBytes)
    const read = yield* readOpen(source, raw)
    yield* Progress.add("bytes", source.bytesRead)
    return read
  },
  Effect.scoped,
  (effect, { path }) => Effect.catchTags(effect, { FilesError: settle(path), Fault: settle(path) })
)
