/**
 * Makes a record of a sound or a film, by music-metadata over bytes that are read as it asks for them.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import { type IAudioMetadata, type IOptions, parseBuffer, parseFromTokenizer, TrackType } from "music-metadata"
import { EndOfStreamError, fromBlob } from "strtok3"
import type { FilesError } from "../../FilesError.ts"
import { mostBytes } from "../../MediaTask.ts"
import { bytesOf, type Copied, copyBoxes, leaveOut, leavesOf } from "./boxCopy.ts"
import { type Fault, malformed, noting, type Source, within } from "./byteSource.ts"
import { filmOf } from "./filmTags.ts"
import { elementsIn } from "./matroska.ts"
import { rawOf } from "./rawTags.ts"
import {
  between,
  count,
  decoded,
  type Fields,
  first,
  firstText,
  known,
  positive,
  problemsOf,
  recordOf,
  text,
  texts
} from "./recordValues.ts"
import { readHead } from "./soundHead.ts"
import * as tagTimes from "./tagTimes.ts"

/** What a parser tells: nothing, if it gives up too soon. */
interface Told {
  readonly metadata: IAudioMetadata | undefined
  readonly fault: Fault | undefined
  readonly problems: ReadonlyArray<string>
}

const told = (metadata: IAudioMetadata | undefined, fault?: Fault): Told => ({
  metadata,
  fault,
  problems: fault === undefined ? [] : [fault.why]
})

/** Has a parser tell what it finds until it gives up. */
const listen = async (parse: (options: IOptions) => Promise<IAudioMetadata>): Promise<Told> => {
  let metadata: IAudioMetadata | undefined
  try {
    metadata = await parse({
      // Those that would take the whole file are left; so are covers, which nobody asks for.
      duration: false,
      skipCovers: true,
      mkvUseIndex: true,
      // What it has found when it gives up is given to nobody else.
      observer: (event) => {
        metadata = event.metadata
      }
    })
    return told(metadata)
  } catch (error) {
    return told(metadata, malformed(error instanceof Error ? error.message : String(error)))
  }
}

const parseBytes = (bytes: Uint8Array, mimeType: string): Effect.Effect<Told> =>
  Effect.promise(() => listen((options) => parseBuffer(bytes, { mimeType }, options)))

/** Has the bytes of a source read as a parser asks for them. What it asks for is not believed to be there. */
const parse = Effect.fnUntraced(function*(source: Source, mimeType: string) {
  let failure: FilesError | Fault | undefined
  const read = async (start: number, end: number, signal: AbortSignal): Promise<Uint8Array> => {
    // Nobody else ends a promise, and the file is closed once nobody waits for it.
    signal.throwIfAborted()
    const reading = source.at(start, end - start)
    // What is there already needs no fiber.
    if (Exit.isExit(reading) && Exit.isSuccess(reading) && reading.value instanceof Uint8Array) return reading.value
    const result = await Effect.runPromise(Effect.result(reading))
    if (result._tag === "Success") return result.success
    failure ??= result.failure
    // To a parser, what may not be read is not there: it gives what it has until then.
    throw result.failure._tag === "Fault" && result.failure.code === "TooMuch" ? new EndOfStreamError() : result.failure
  }
  const { fault, metadata } = yield* Effect.promise((signal) => {
    const slice = (start: number, end: number) => ({ arrayBuffer: () => read(start, end, signal) })
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- no more of it is used
    const blob = { size: source.sizeBytes, type: mimeType, slice } as unknown as Blob
    return listen((options) => parseFromTokenizer(fromBlob(blob, { maxBufferSize: mostBytes }), options))
  })
  if (failure?._tag === "FilesError") return yield* failure
  return told(metadata, failure ?? fault)
})

/** So many boxes are given alone. Films have some dozens. */
const mostAlone = 1024

/** What boxes tell. Those that a parser does not get through are found by giving it each alone, and left out. */
const parseBoxes = Effect.fnUntraced(function*(source: Source, type: string) {
  const { boxes, fault, problems } = yield* copyBoxes(source)
  const tell = (boxes: ReadonlyArray<Copied>) => parseBytes(bytesOf(boxes), type)
  const all = yield* tell(boxes)
  if (all.fault === undefined) return { ...all, boxes, problems: [...problems], fault }
  const broken = new Map<Copied, string>()
  // There may be thousands of fragments, which tell how long it is, and nothing else.
  const table = boxes.filter((box) => box.type !== "moof")
  for (const { alone, leaf } of leavesOf(table).slice(0, mostAlone)) {
    const { fault } = yield* tell([alone])
    if (fault !== undefined) broken.set(leaf, `${leaf.type}: ${fault.why}`)
  }
  const sound = leaveOut(table, broken)
  const rest = broken.size === 0 ? all.problems : broken.values()
  return { ...yield* tell(sound), boxes, problems: [...problems, ...rest] }
})

/** What elements tell. Where the parser gives up in one of them, each is given alone, and the sound ones together. */
const parseElements = Effect.fnUntraced(function*(source: Source, type: string) {
  const all = yield* parse(source, type)
  if (all.fault?.code !== "Malformed") return all
  const found = yield* noting(elementsIn(source), () => {})
  if (found === undefined) return all
  const tell = (elements: ReadonlyArray<Uint8Array>) => parseBytes(Buffer.concat([found.head, ...elements]), type)
  const sound: Array<Uint8Array> = []
  for (const element of found.elements) if ((yield* tell([element])).fault === undefined) sound.push(element)
  return { ...yield* tell(sound), problems: all.problems, fault: all.fault }
})

/** MIME type, now that it is known what is in the container. */
const typeOf = (
  mimeType: string,
  { container, hasVideo }: IAudioMetadata["format"],
  isBroken: boolean
): string => {
  const kind = container === "EBML/webm" ? mimeType.replace("matroska", "webm") : mimeType
  if (hasVideo === true) return kind.replace("audio/", "video/")
  // The track of a film may be what is broken.
  return hasVideo === false && !isBroken && kind !== "video/quicktime" ? kind.replace("video/", "audio/") : kind
}

/** Name of a codec; one that music-metadata does not know is in brackets. */
const codecOf = (name: string | undefined): string | undefined => text(name?.replaceAll(/^<|>$/g, ""))

const streams = ({ format }: IAudioMetadata): Fields => {
  const { trackInfo } = format
  const film = trackInfo.find(({ type, video }) => type === TrackType.video || video !== undefined)
  const sound = trackInfo.find(({ type }) => type === TrackType.audio)
  const longest = Math.max(0, ...trackInfo.map(({ duration }) => duration ?? 0))
  return {
    width: count(film?.video?.pixelWidth),
    height: count(film?.video?.pixelHeight),
    frameRate: positive(film?.video?.frameRate),
    videoCodec: codecOf(film?.codecName),
    duration: positive(Math.max(format.duration ?? 0, longest)),
    container: text(format.container),
    audioCodec: codecOf(format.codec ?? sound?.codecName),
    bitrate: positive(sound?.bitrate ?? format.bitrate),
    sampleRate: positive(format.sampleRate),
    channels: count(format.numberOfChannels),
    bitsPerSample: count(format.bitsPerSample),
    lossless: format.lossless
  }
}

/** Texts of people. iTunes keeps what it has measured among comments, and names these. */
const comments = ({ comment = [] }: IAudioMetadata["common"]): ReadonlyArray<string | undefined> =>
  comment.filter(({ descriptor = "" }) => !descriptor.startsWith("iTun"))
    .toSorted((a, b) => Number((a.descriptor ?? "") !== "") - Number((b.descriptor ?? "") !== ""))
    .map((one) => one.text)

/** The least that Windows and others take for one more star: in ID3, and in what Windows Media has of it. */
const stars = { POPM: [1, 32, 96, 160, 224], "WM/SharedUserRating": [1, 13, 38, 63, 88] } as const

/** Stars, which are in no proportion to the numbers that stand for them. */
const rated = ({ native }: IAudioMetadata): number | undefined => {
  for (const { id, value } of Object.values(native).flat()) {
    if (id !== "POPM" && id !== "WM/SharedUserRating") continue
    const number = Number(id === "POPM" && Predicate.hasProperty(value, "rating") ? value.rating : value)
    const found = stars[id].filter((least) => number >= least).length
    if (found > 0) return found
  }
  return undefined
}

const tags = (metadata: IAudioMetadata, common: IAudioMetadata["common"]): Fields => ({
  title: text(common.title),
  description: firstText(common.description?.[0], ...comments(common)),
  artists: texts(common.artists ?? common.artist),
  album: text(common.album),
  albumArtist: text(common.albumartist),
  composers: texts(common.composer),
  genres: texts(common.genre),
  keywords: texts(common.keywords),
  copyright: text(common.copyright),
  releasedAt: first(tagTimes.ofIso(common.date), text(common.year)),
  software: text(common.encodersettings ?? common.encodedby),
  rating: first(rated(metadata), between((common.rating?.[0]?.rating ?? NaN) * 5, 0, 5)),
  track: count(common.track.no),
  trackCount: count(common.track.of),
  disc: count(common.disk.no),
  discCount: count(common.disk.of)
})

/** What music-metadata gives as it stands in the file, and takes for none of the tags that all files have. */
const otherTags = ({ native }: IAudioMetadata): Fields => {
  const value = (type: string, name: string): unknown =>
    native[type]?.find(({ id }) => id === name || id.endsWith(`:${name}`))?.value
  return {
    album: text(value("matroska", "ALBUM")),
    albumArtist: text(value("matroska", "ALBUM_ARTIST")),
    composers: texts(value("matroska", "COMPOSER")),
    copyright: firstText(value("matroska", "COPYRIGHT"), decoded(value("exif", "ICOP"))),
    description: text(value("matroska", "COMMENT")),
    releasedAt: first(tagTimes.ofIso(value("matroska", "DATE")), tagTimes.ofIso(value("asf", "DATE")))
  }
}

/** How wide a pixel is for its height, by how wide and high a picture is seen in whatever unit. */
const aspectOf = ({ height = 0, width = 0 }: Fields, seenWidth: number | undefined, seenHeight: number | undefined) =>
  positive((seenWidth ?? 0) * height / ((seenHeight ?? 0) * width))

/** Pixels as they are stored, and how many are seen where these are not square. */
const sizeOf = ({ height, width }: Fields, aspect: number | undefined): Fields => {
  const displayWidth = Math.round((width ?? 0) * (aspect ?? 1))
  const isSquare = Math.abs(displayWidth - (width ?? 0)) <= 1
  return { width, height, ...isSquare ? {} : { displayWidth, displayHeight: height } }
}

const isNothing = ({ format: { duration, sampleRate, trackInfo }, native }: IAudioMetadata): boolean =>
  trackInfo.length === 0 && duration === undefined && sampleRate === undefined && Object.keys(native).length === 0

/** The fields of a stream, with those of its head in the place of others. */
const mended = (told: Fields, head: Fields, sizeBytes: number, isWhole: boolean): Fields => {
  const fields = { ...told, ...head }
  const { bitrate = NaN, duration = NaN } = fields
  // It was worked out by the duration that was told.
  const factor = "bitrate" in head ? 1 : (told.duration ?? duration) / duration
  const mean = factor === 1 || Number.isNaN(factor) ? bitrate : bitrate * factor
  // What a whole file has no room for is the highest rate, or stands for none.
  const hasRoom = Number.isNaN(duration) || mean * duration <= sizeBytes * 8 * 1.1
  return { ...fields, bitrate: hasRoom || !isWhole ? positive(mean) : undefined }
}

/** Record of a sound or a film. */
export const soundRecord = Effect.fnUntraced(function*(
  mimeType: string,
  file: Source,
  start: number,
  isRaw: boolean
) {
  // Who reads these knows of tags before them.
  const isBehind = start > 0 && !/\/(?:mpeg|aac|flac|musepack|dsf)$/.test(mimeType)
  const source = isBehind ? within(file, start, file.sizeBytes) : file
  // What is left of what may be read is for music-metadata, which gives what it has until then.
  const head = yield* readHead(mimeType, source, isBehind ? 0 : start)
  const { boxes, fault, metadata, problems } = /\/(?:mp4|quicktime)$/.test(mimeType)
    ? yield* parseBoxes(source, mimeType)
    : { ...yield* (mimeType === "video/matroska" ? parseElements : parse)(source, mimeType), boxes: [] }
  if (metadata === undefined || isNothing(metadata)) {
    return yield* fault ?? malformed(problems[0] ?? "it has no sound, no picture and no tag")
  }
  const { format, native, quality } = metadata
  const { camera, sound, track } = filmOf(boxes)
  const isWhole = problems.length === 0 && head.problems.length === 0
  // Tags of RIFF have no encoding.
  const written = tags(metadata, mimeType === "audio/wav" ? decoded(metadata.common) : metadata.common)
  const found: Fields = {
    ...known(otherTags(metadata)),
    ...mended(streams(metadata), { ...known(sound), ...head.fields }, file.sizeBytes, isWhole),
    ...known(written)
  }
  const { video } = format.trackInfo.find(({ video }) => video !== undefined) ?? {}
  const size = { width: found.width ?? track?.width, height: found.height ?? track?.height }
  return recordOf({
    mimeType: typeOf(mimeType, format, problems.length > 0),
    sizeBytes: file.sizeBytes,
    ...camera,
    ...found,
    ...sizeOf(
      size,
      head.aspect ?? track?.aspect ??
        aspectOf(size, video?.displayWidth ?? track?.width, video?.displayHeight ?? track?.height)
    ),
    orientation: track?.orientation,
    frameRate: found.frameRate ?? track?.frameRate,
    software: camera.software ?? found.software,
    encodedAt: tagTimes.ofMoment(format.creationTime),
    problems: problemsOf([...problems, ...head.problems, ...isBehind ? ["the tag before it was left out"] : []]),
    // Its warnings are of padding and the like: most of what they come with is sound.
    raw: isRaw ? rawOf({ format, ...native, warnings: quality.warnings.map(({ message }) => message) }) : undefined
  })
})
