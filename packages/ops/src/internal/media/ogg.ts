/**
 * Reads the first and the last pages of Ogg: they tell what is in it, and for how long (RFC 3533).
 */
import * as Effect from "effect/Effect"
import type { FilesError } from "../../FilesError.ts"
import { type Fault, headOf, latin, type Source, u16, u32 } from "./byteSource.ts"
import { count, type Fields, positive } from "./recordValues.ts"
import type { SoundHead } from "./soundHead.ts"

/** A stream: how long it lasts by the position of its last page. */
interface Stream {
  readonly secondsAt: (position: number) => number
  readonly film?: { readonly fields: Fields; readonly aspect: number | undefined }
}

const samples = (rate: number, before = 0): Stream => ({ secondsAt: (position) => (position - before) / rate })

const u24 = (bytes: Uint8Array, at: number): number => u32(bytes, at) >>> 8

const theora = (packet: Uint8Array): Stream => {
  const frameRate = u32(packet, 22) / u32(packet, 26)
  const unit = 2 ** ((u16(packet, 40) >> 5) & 31)
  return {
    // The number of the last key frame, and that of the frame behind it.
    secondsAt: (position) => (Math.floor(position / unit) + position % unit) / frameRate,
    film: {
      fields: { width: count(u24(packet, 14)), height: count(u24(packet, 17)) },
      aspect: positive(u24(packet, 30) / u24(packet, 33))
    }
  }
}

/** Streams by how their first packets begin. */
const kinds: Readonly<Record<string, (packet: Uint8Array) => Stream>> = {
  "\x01vorbis": (packet) => samples(u32(packet, 12, true)),
  OpusHead: (packet) => samples(48_000, u16(packet, 10, true)),
  "Speex   ": (packet) => samples(u32(packet, 36, true)),
  "\x7fFLAC": (packet) => samples(u32(packet, 27) >>> 12),
  "\x80theora": theora
}

const mostPageBytes = 65_307

interface Page {
  readonly at: number
  readonly isFirst: boolean
  readonly isLast: boolean
  /** Where no packet ends in it, this is larger than any position. */
  readonly position: number
  readonly stream: number
  /** What is in it, and what is behind it. */
  readonly content: Uint8Array
}

const pagesIn = (bytes: Buffer): ReadonlyArray<Page> => {
  const pages: Array<Page> = []
  for (let at = bytes.indexOf("OggS"); at !== -1 && at + 27 <= bytes.length; at = bytes.indexOf("OggS", at + 27)) {
    const [flags = 0] = bytes.subarray(at + 5)
    pages.push({
      at,
      isFirst: (flags & 2) !== 0,
      isLast: (flags & 4) !== 0,
      position: Number(bytes.readBigUInt64LE(at + 6)),
      stream: u32(bytes, at + 14),
      content: bytes.subarray(at + 27 + (bytes[at + 26] ?? 0))
    })
  }
  return pages
}

const kindOf = (packet: Uint8Array): Stream | undefined =>
  Object.entries(kinds).find(([name]) => latin(packet, 0, name.length) === name)?.[1](packet)

/** What the first and the last pages tell. */
export const readOgg = Effect.fnUntraced(function*(source: Source): Effect.fn.Return<SoundHead, FilesError | Fault> {
  const pages = (start: number) =>
    Effect.map(headOf(source, mostPageBytes, start), (bytes) => pagesIn(Buffer.from(bytes)))
  const first = yield* pages(0)
  const last = yield* pages(Math.max(0, source.sizeBytes - mostPageBytes))
  const streams = new Map(first.flatMap(({ content, isFirst, stream }) => isFirst ? [[stream, kindOf(content)]] : []))
  const seconds = last.map(({ position, stream }) => position < 2 ** 63 ? streams.get(stream)?.secondsAt(position) : 0)
  const duration = positive(Math.max(0, ...seconds.map((seconds = 0) => seconds)))
  const film = Array.from(streams.values()).find((stream) => stream?.film !== undefined)?.film
  // All before the first position is of heads and tags.
  const from = first.find(({ position }) => position > 0)?.at ?? 0
  const alone = film === undefined ? { bitrate: (source.sizeBytes - from) * 8 / (duration ?? NaN) } : {}
  const silent = film !== undefined && streams.size === 1 ? { audioCodec: undefined, bitrate: undefined } : {}
  return {
    fields: { ...film?.fields, ...streams.size === 1 ? { ...alone, ...silent } : {}, duration },
    aspect: film?.aspect,
    problems: last.at(-1)?.isLast === true ? [] : ["it has no last page, so it may be cut"]
  }
})
