/**
 * Reads what heads of sounds tell, where music-metadata tells something else or nothing.
 */
import * as Effect from "effect/Effect"
import type { FilesError } from "../../FilesError.ts"
import { type Fault, headOf, latin, noting, type Source, u16, u32, u64 } from "./byteSource.ts"
import { flacEnd, missingSamples, wavPackEnd } from "./lastFrame.ts"
import { segmentEnd } from "./matroska.ts"
import { readMpeg } from "./mpegAudio.ts"
import { readOgg } from "./ogg.ts"
import type { Fields } from "./recordValues.ts"
import { codingOf } from "./soundEntry.ts"

/** What a head tells. */
export interface SoundHead {
  /** In the place of those of music-metadata, also where nothing is known. */
  readonly fields: Fields
  /** How many bytes the file is said to have. */
  readonly statedBytes?: number | undefined
  /** How wide a pixel is for its height. */
  readonly aspect?: number | undefined
  readonly problems?: ReadonlyArray<string>
}

type Reader = (source: Source, start: number) => Effect.Effect<SoundHead, FilesError | Fault>

/** Reads a head that is in so many bytes. */
const inHead =
  (length: number, read: (bytes: Uint8Array, source: Source, start: number) => SoundHead): Reader => (source, start) =>
    Effect.map(headOf(source, length, start), (bytes) => read(bytes, source, start))

const u64Little = (bytes: Uint8Array, at: number): number => u64(bytes.slice(at, at + 8).toReversed(), 0)

/** Chunks of these types: where their content is, and how long they say that it is. */
const chunksIn = Effect.fnUntraced(function*(source: Source, isLittle: boolean, types: ReadonlyArray<string>) {
  const chunks = new Map<string, { readonly bytes: Uint8Array; readonly end: number }>()
  for (let at = 12, met = 0; at + 8 <= source.sizeBytes && met < 64 && chunks.size < types.length; met++) {
    const head = yield* headOf(source, 8, at)
    const type = latin(head, 0, 4)
    const length = u32(head, 4, isLittle)
    const end = at + 8 + length
    if (types.includes(type)) chunks.set(type, { bytes: yield* headOf(source, Math.min(length, 64), at + 8), end })
    at = end + length % 2
  }
  return chunks
})

/** The length that is written where it is not known yet. */
const open = 2 ** 32 - 1

/** Whether codings of WAV are without loss: numbers with a fraction and without one, and others. */
const wavCodings = new Map([
  ...[1, 3, 0xf1ac].map((coding) => [coding, true] as const),
  ...[2, 6, 7, 0x11, 0x31, 0x50, 0x55, 0xff, 0x160, 0x161, 0x2000, 0x2001].map((coding) => [coding, false] as const)
])

const readWav: Reader = Effect.fnUntraced(function*(source) {
  const chunks = yield* chunksIn(source, true, ["fmt ", "data"])
  const format = chunks.get("fmt ")?.bytes ?? new Uint8Array(0)
  const tag = u16(format, 0, true)
  const coding = tag === 0xfffe ? u16(format, 24, true) : tag
  const end = chunks.get("data")?.end ?? 0
  return { fields: { lossless: wavCodings.get(coding) }, statedBytes: end < open ? end : undefined }
})

/** A number of 80 bits, whose exponent and mantissa come one behind the other. */
const f80 = (bytes: Uint8Array, at: number): number => u64(bytes, at + 2) * 2 ** ((u16(bytes, at) & 0x7fff) - 16_446)

const readAiff: Reader = Effect.fnUntraced(function*(source) {
  const form = latin(yield* headOf(source, 12, 0), 8, 12)
  const chunks = yield* chunksIn(source, false, ["COMM", "SSND"])
  const common = chunks.get("COMM")?.bytes
  const statedBytes = chunks.get("SSND")?.end
  if (common === undefined || common.length < 18) return { fields: {}, statedBytes }
  const sampleRate = f80(common, 8)
  const { bits, lossless, name, perPacket = 1 } = codingOf(form === "AIFF" ? "NONE" : latin(common, 18, 22))
  return {
    fields: {
      sampleRate,
      channels: u16(common, 0),
      bitsPerSample: bits ?? u16(common, 6),
      duration: u32(common, 2) * perPacket / sampleRate,
      lossless,
      ...name === undefined ? {} : { audioCodec: name }
    },
    statedBytes
  }
})

const musepackRates = [44_100, 48_000, 37_800, 32_000]

/** The seventh version, always of two channels: its samples are in frames, of which the last may be shorter. */
const readMusepack = inHead(24, (bytes) => {
  if (latin(bytes, 0, 3) !== "MP+") return { fields: {} }
  const sampleRate = musepackRates[(bytes[10] ?? 0) & 3] ?? 0
  const last = u32(bytes, 20, true)
  const missing = last >= 2 ** 31 ? 1152 - ((last >>> 20) & 2047) : 481
  const duration = (u32(bytes, 4, true) * 1152 - missing) / sampleRate
  return { fields: { sampleRate, channels: 2, duration, audioCodec: "Musepack SV7", lossless: false } }
})

/** Channels of more than two are in several blocks of the same time, the last of which is marked. */
const readWavPack: Reader = Effect.fnUntraced(function*(source, start) {
  let channels = 0
  let isAll = false
  const total = u32(yield* headOf(source, 16, start), 12, true)
  const isOpen = total === open
  for (let at = start, blocks = 0; !isAll && at + 32 <= source.sizeBytes && blocks < 64; blocks++) {
    const head = yield* source.at(at, 32)
    const flags = u32(head, 24, true)
    channels += (flags & 4) === 0 ? 2 : 1
    isAll = (flags & 0x1000) !== 0
    at += 8 + u32(head, 4, true)
  }
  const problems = isOpen ? [] : yield* missingSamples(source, "wvpk", total, wavPackEnd)
  return {
    fields: {
      channels: isAll ? channels : undefined,
      ...isOpen ? { duration: undefined } : {},
      ...isOpen || problems.length > 0 ? { bitrate: undefined } : {}
    },
    problems
  }
})

/** The first block tells how many samples a frame has, and how many there are; 0 where that was not known. */
const readFlac: Reader = Effect.fnUntraced(function*(source, start) {
  const head = yield* headOf(source, 42, start)
  const total = ((head[21] ?? 0) & 15) * 2 ** 32 + u32(head, 22)
  const problems = yield* missingSamples(source, "\xff", total, flacEnd(u16(head, 10)))
  return { fields: problems.length > 0 ? { bitrate: undefined } : {}, problems }
})

const asfProperties = Buffer.from("a1dcab8c47a9cf118ee400c00c205365", "hex")

const readAsf = inHead(8192, (bytes, _source, start) => {
  const at = Buffer.from(bytes).indexOf(asfProperties)
  // A broadcast has no length.
  const isOpen = at === -1 || (u32(bytes, at + 88, true) & 1) === 1
  return { fields: {}, statedBytes: isOpen ? undefined : start + u64Little(bytes, at + 40) }
})

/** Sizes of the parts of an APE, behind those of its head; frames may have more than four bytes tell. */
const readApe = inHead(76, (bytes, _source, start) => {
  const sizes = [8, 12, 16, 20, 24, 32].map((at) => u32(bytes, at, true))
  const frames = u32(bytes, 28, true) * 2 ** 32
  const isNew = u16(bytes, 4, true) >= 3980
  return { fields: {}, statedBytes: isNew ? sizes.reduce((sum, size) => sum + size, start + frames) : undefined }
})

const readers: Readonly<Record<string, Reader>> = {
  "audio/mpeg": readMpeg,
  // What three frames take is no mean.
  "audio/aac": () => Effect.succeed({ fields: { bitrate: undefined } }),
  "audio/wav": readWav,
  "audio/aiff": readAiff,
  "audio/musepack": readMusepack,
  "audio/flac": readFlac,
  "audio/wavpack": readWavPack,
  "audio/ogg": readOgg,
  "audio/ape": readApe,
  "audio/dsf": inHead(20, (bytes, _source, start) => ({ fields: {}, statedBytes: start + u64Little(bytes, 12) })),
  "audio/dsd": inHead(12, (bytes, _source, start) => ({ fields: {}, statedBytes: start + 12 + u64(bytes, 4) })),
  "video/ms-asf": readAsf,
  "video/matroska": (source) => Effect.map(segmentEnd(source), (statedBytes) => ({ fields: {}, statedBytes }))
}

/** What the head of a sound of this kind tells that begins here. */
export const readHead = Effect.fnUntraced(function*(mimeType: string, source: Source, start: number) {
  const none: SoundHead = { fields: {} }
  const head = yield* noting(readers[mimeType]?.(source, start) ?? Effect.succeed(none), () => {})
  const { problems = [], statedBytes, ...told } = head ?? none
  const isCut = statedBytes !== undefined && statedBytes > source.sizeBytes
  return {
    ...told,
    problems: isCut ? [`it is cut: it has ${source.sizeBytes} of ${statedBytes} bytes`, ...problems] : problems
  }
})
