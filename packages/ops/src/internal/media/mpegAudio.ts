/**
 * Reads frames of MPEG layer 3 and AAC, and the tables before those of layer 3 that tell how many there are.
 */
import * as Effect from "effect/Effect"
import type { FilesError } from "../../FilesError.ts"
import { type Fault, headOf, latin, type Source, u16, u32 } from "./byteSource.ts"
import type { SoundHead } from "./soundHead.ts"

const kilobits = {
  one: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  two: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
} as const
const rates = [44_100, 48_000, 32_000] as const

/** Whether a frame of AAC may begin here: it has no layer. */
export const isAdts = (bytes: Uint8Array, at: number): boolean => (u16(bytes, at) & 0xfff6) === 0xfff0

interface Frame {
  readonly at: number
  readonly length: number
  readonly bitrate: number
  readonly sampleRate: number
  readonly samples: number
  /** Where a table is that encoders put into the first frame. */
  readonly tableAt: number
}

/** The frame of MPEG layer 3 that begins here. */
const frameAt = (bytes: Uint8Array, at: number): Frame | undefined => {
  const [, second = 0, third = 0, fourth = 0] = bytes.subarray(at, at + 4)
  const version = (second >> 3) & 3
  const rate = rates[(third >> 2) & 3]
  const isOne = version === 3
  const bitrate = (kilobits[isOne ? "one" : "two"][third >> 4] ?? 0) * 1000
  // It begins with eleven bits that are set, is of layer 3, and of no version that there is not.
  if ((u16(bytes, at) & 0xffe6) !== 0xffe2 || version === 1 || rate === undefined || bitrate === 0) return undefined
  const sampleRate = isOne ? rate : version === 2 ? rate / 2 : rate / 4
  const samples = isOne ? 1152 : 576
  const isMono = fourth >> 6 === 3
  return {
    at,
    length: Math.floor(samples / 8 * bitrate / sampleRate) + ((third >> 1) & 1),
    bitrate,
    sampleRate,
    samples,
    tableAt: at + 4 + (isOne ? isMono ? 17 : 32 : isMono ? 9 : 17)
  }
}

/** Length of the frame of sound that begins here: of MPEG layer 3 or AAC, the two that begin without a signature. */
const frameLength = (bytes: Uint8Array, at: number): number =>
  isAdts(bytes, at)
    ? ((u16(bytes, at + 3) & 0x3ff) << 3) | ((bytes[at + 5] ?? 0) >> 5)
    : frameAt(bytes, at)?.length ?? 0

/** Whether these are frames one behind the other: one alone is a pattern of bits that any file may begin with. */
export const isFrames = (bytes: Uint8Array, start = 0): boolean => {
  let at = start
  for (let frames = 0; frames < 3; frames++) {
    const length = at + 6 > bytes.length ? 0 : frameLength(bytes, at)
    if (length < 7) return false
    at += length
  }
  return true
}

/** All frames that begin in these bytes, the first of them wherever three stand one behind the other. */
const framesIn = (bytes: Uint8Array): ReadonlyArray<Frame> => {
  const frames: Array<Frame> = []
  let at = bytes.findIndex((byte, at) => byte === 0xff && frameAt(bytes, at) !== undefined && isFrames(bytes, at))
  for (let frame = at < 0 ? undefined : frameAt(bytes, at); frame !== undefined; frame = frameAt(bytes, at)) {
    frames.push(frame)
    at += frame.length
  }
  return frames
}

interface Table {
  readonly frames: number
  /** Bytes of all frames, that with the table included. */
  readonly bytes: number | undefined
  readonly isConstant: boolean
}

/** The table of Xing and LAME, or that of Fraunhofer, in the first frame. */
const tableIn = (bytes: Uint8Array, { at, tableAt }: Frame): Table | undefined => {
  const name = latin(bytes, tableAt, tableAt + 4)
  if (name === "Xing" || name === "Info") {
    const flags = u32(bytes, tableAt + 4)
    const size = (flags & 2) === 0 ? undefined : u32(bytes, tableAt + 12)
    return (flags & 1) === 0 ? undefined : { frames: u32(bytes, tableAt + 8), bytes: size, isConstant: name === "Info" }
  }
  const vbri = at + 36
  return latin(bytes, vbri, vbri + 4) === "VBRI"
    ? { frames: u32(bytes, vbri + 14), bytes: u32(bytes, vbri + 10), isConstant: false }
    : undefined
}

/** Where a sound ends that tags of ID3v1 and APE stand behind. */
const soundEnd = Effect.fnUntraced(function*(source: Source) {
  const tail = yield* headOf(source, 160, Math.max(0, source.sizeBytes - 160))
  const id3 = latin(tail, tail.length - 128, tail.length - 125) === "TAG" ? 128 : 0
  const footer = tail.subarray(tail.length - id3 - 32)
  const header = (footer[23] ?? 0) >= 128 ? 32 : 0
  const ape = latin(footer, 0, 8) === "APETAGEX" ? u32(footer, 12, true) + header : 0
  return source.sizeBytes - id3 - ape
})

const unknown = { duration: undefined, bitrate: undefined } as const

/** How long a sound without a table is, if its frames are of one rate: some of all parts are looked at. */
const ofConstant = Effect.fnUntraced(function*(source: Source, found: ReadonlyArray<Frame>, length: number) {
  const bitrates = new Set(found.map(({ bitrate }) => bitrate))
  for (const part of [0.25, 0.5, 0.75]) {
    const piece = yield* headOf(source, 4096, Math.floor(source.sizeBytes * part))
    for (const { bitrate } of framesIn(piece)) bitrates.add(bitrate)
  }
  const [bitrate = 0] = bitrates
  return bitrates.size === 1
    ? { fields: { bitrate, duration: length * 8 / bitrate } }
    : { fields: unknown, problems: ["its frames are of several rates, and no table tells how many there are"] }
})

/** How long the sound is that begins here, and at what rate. */
export const readMpeg = Effect.fnUntraced(function*(
  source: Source,
  start: number
): Effect.fn.Return<SoundHead, FilesError | Fault> {
  const head = yield* headOf(source, 8192, start)
  const frames = framesIn(head)
  const [first, second] = frames
  if (first === undefined) return { fields: {} }
  const from = start + first.at
  const length = Math.max(0, (yield* soundEnd(source)) - from)
  const table = tableIn(head, first)
  if (table === undefined) return yield* ofConstant(source, frames, length)
  const duration = table.frames * first.samples / first.sampleRate
  const bytes = table.bytes ?? length
  const mean = bytes * 8 / duration
  // A table is left as it was where another file was put behind the one that it is of, or its frames were replaced.
  if (isFrames(yield* headOf(source, 4096, from + bytes)) || !(mean > 7000 && mean < 330_000)) {
    return { fields: unknown, problems: ["its table tells of other frames than there are"] }
  }
  return {
    fields: { duration, bitrate: table.isConstant ? second?.bitrate ?? mean : mean },
    // Some count a tag behind them, too.
    statedBytes: bytes > length + 2048 ? from + bytes : undefined
  }
})
