/**
 * Makes a record of a sound or a film, by music-metadata over bytes that are read as it asks for them.
 */
import * as Effect from "effect/Effect"
import { type IAudioMetadata, parseFromTokenizer, TrackType } from "music-metadata"
import { AbstractTokenizer, EndOfStreamError, type IReadChunkOptions } from "strtok3"
import type { FilesError } from "../../FilesError.ts"
import type { MediaRecord } from "../../MediaRecord.ts"
import { filmFields } from "./film.ts"
import type { Kind } from "./kinds.ts"
import { rawOf } from "./raw.ts"
import { type Fault, type FileSource, malformed } from "./source.ts"
import * as times from "./times.ts"
import { between, count, type Fields, first, positive, problemsOf, recordOf, text, texts } from "./values.ts"

type Failure = FilesError | Fault

/** Gives a parser the bytes of a file. What it asks for is not believed to be there. */
class Tokenizer extends AbstractTokenizer {
  readonly fileInfo: { readonly mimeType: string; readonly size: number }
  /** Why bytes could not be read, other than that the file ends. */
  failure: Failure | undefined = undefined
  private readonly source: FileSource
  private readonly signal: AbortSignal

  constructor(source: FileSource, mimeType: string, mostBytes: number, signal: AbortSignal) {
    super({ maxBufferSize: mostBytes })
    this.source = source
    this.signal = signal
    this.fileInfo = { mimeType, size: source.sizeBytes }
  }

  supportsRandomAccess(): boolean {
    return true
  }

  setPosition(position: number): void {
    this.position = position
  }

  async readBuffer(target: Uint8Array, options?: IReadChunkOptions): Promise<number> {
    const position = options?.position ?? this.position
    const length = await this.peekBuffer(target, options)
    this.position = position + length
    return length
  }

  async peekBuffer(target: Uint8Array, options?: IReadChunkOptions): Promise<number> {
    const { length, mayBeLess, position } = this.normalizeOptions(target, options)
    const there = Math.max(0, Math.min(length, this.fileInfo.size - position))
    if (there < length && mayBeLess !== true) throw new EndOfStreamError()
    target.set(this.source.kept(position, there) ?? await this.read(position, there))
    return there
  }

  private async read(position: number, length: number): Promise<Uint8Array> {
    // Nobody else ends a promise, and the file is closed once nobody waits for it.
    this.signal.throwIfAborted()
    const result = await Effect.runPromise(Effect.result(this.source.at(position, length)))
    if (result._tag === "Success") return result.success
    this.failure ??= result.failure
    // To a parser, what may not be read is not there: it gives what it has until then.
    throw result.failure._tag === "Fault" && result.failure.code === "TooMuch" ? new EndOfStreamError() : result.failure
  }
}

const parse = Effect.fnUntraced(function*(source: FileSource, type: string, mostBytes: number) {
  let failure: Failure | undefined
  const metadata = yield* Effect.tryPromise({
    try: async (signal) => {
      const tokenizer = new Tokenizer(source, type, mostBytes, signal)
      try {
        // Durations that would take the whole file are left; so are covers, which nobody asks for.
        return await parseFromTokenizer(tokenizer, { duration: false, skipCovers: true, mkvUseIndex: true })
      } finally {
        failure = tokenizer.failure
      }
    },
    catch: (error) => failure ?? malformed(error instanceof Error ? error.message : String(error))
  })
  const { format, native } = metadata
  const isNothing = format.trackInfo.length === 0 && format.duration === undefined && Object.keys(native).length === 0
  // It may have gone on without what could not be read.
  if (failure !== undefined && (isNothing || failure._tag === "FilesError")) return yield* failure
  if (isNothing) return yield* malformed("it has no sound, no picture and no tag")
  return { metadata, problems: failure === undefined ? [] : [failure.why] }
})

/** MIME type, now that it is known what is in the container. */
const typeOf = (mimeType: string, { container, hasVideo }: IAudioMetadata["format"]): string => {
  const kind = container === "EBML/webm" ? mimeType.replace("matroska", "webm") : mimeType
  if (hasVideo === true) return kind.replace("audio/", "video/")
  return hasVideo === false && kind !== "video/quicktime" ? kind.replace("video/", "audio/") : kind
}

const streams = ({ format }: IAudioMetadata): Fields => {
  const { trackInfo } = format
  const film = trackInfo.find(({ type, video }) => type === TrackType.video || video !== undefined)
  const longest = Math.max(0, ...trackInfo.map(({ duration }) => duration ?? 0))
  return {
    width: count(film?.video?.pixelWidth),
    height: count(film?.video?.pixelHeight),
    frameRate: positive(film?.video?.frameRate),
    videoCodec: text(film?.codecName?.replaceAll(/^<|>$/g, "")),
    duration: first(positive(format.duration), positive(longest)),
    container: text(format.container),
    audioCodec: text(format.codec),
    bitrate: positive(format.bitrate),
    sampleRate: positive(format.sampleRate),
    channels: count(format.numberOfChannels),
    bitsPerSample: count(format.bitsPerSample),
    lossless: format.lossless
  }
}

const tags = ({ common }: IAudioMetadata): Fields => ({
  title: text(common.title),
  description: first(text(common.description?.[0]), text(common.comment?.[0]?.text)),
  artists: texts(common.artists ?? common.artist),
  album: text(common.album),
  albumArtist: text(common.albumartist),
  composers: texts(common.composer),
  genres: texts(common.genre),
  keywords: texts(common.keywords),
  copyright: text(common.copyright),
  releasedAt: first(times.ofIso(common.date), text(common.year)),
  software: text(common.encodersettings ?? common.encodedby),
  rating: between(common.rating?.[0]?.rating === undefined ? undefined : common.rating[0].rating * 5, 0, 5),
  track: count(common.track.no),
  trackCount: count(common.track.of),
  disc: count(common.disk.no),
  discCount: count(common.disk.of)
})

/** Record of a sound or a film. */
export const soundRecord = Effect.fnUntraced(function*(
  { mimeType }: Kind,
  source: FileSource,
  mostBytes: number,
  isRaw: boolean
) {
  const { metadata, problems } = yield* parse(source, mimeType, mostBytes)
  const { format, native, quality } = metadata
  const isOfBoxes = /\/(?:mp4|quicktime)$/.test(mimeType)
  const film: Fields = isOfBoxes ? yield* filmFields(source) : {}
  const found = { ...streams(metadata), ...tags(metadata) }
  const record: MediaRecord = recordOf({
    mimeType: typeOf(mimeType, format),
    sizeBytes: source.sizeBytes,
    ...film,
    ...found,
    width: found.width ?? film.width,
    height: found.height ?? film.height,
    title: found.title ?? film.title,
    software: film.software ?? found.software,
    encodedAt: times.ofMoment(format.creationTime),
    problems: problemsOf(problems),
    // Its warnings are of padding and the like: most of what they come with is sound.
    raw: isRaw ? rawOf({ format, ...native, warnings: quality.warnings.map(({ message }) => message) }) : undefined
  })
  return record
})
