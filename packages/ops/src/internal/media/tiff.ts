/**
 * Reads what is sound of a TIFF structure, which EXIF is.
 *
 * Counts, offsets and links may be anything. So nothing is believed of them, and there is an end to what is read: no
 * link is followed from what a link led to, and values have as much room together as those of any camera.
 */
import * as Effect from "effect/Effect"
import exifr from "exifr"
import type { FilesError } from "../../FilesError.ts"
import { type Fault, headOf, latin, malformed, mostBlockBytes, noting, type Source, u16 } from "./byteSource.ts"
import { count } from "./recordValues.ts"

// oxlint-disable-next-line import/no-named-as-default-member -- what Node loads is CommonJS, without names
const { tagKeys } = exifr

/** Values by the names of their tags. */
export type Tags = Readonly<Record<string, unknown>>

/** What a structure has. */
export interface Tiff {
  readonly ifd0: Tags
  readonly exif: Tags
  readonly gps: Tags
  readonly xmp: Uint8Array | undefined
  readonly iptc: Uint8Array | undefined
}

/** What a picture carries beside its pixels, wherever it keeps that. */
export interface Carried {
  width?: number | undefined
  height?: number | undefined
  exif?: Tiff
  /** XMP packet. */
  xmp?: Uint8Array
  /** IPTC data sets. */
  iptc?: Uint8Array
  /** Texts by their keywords. */
  readonly texts: Map<string, string>
  /** What is broken, or was left out. */
  readonly problems: Set<string>
}

/** Takes what a file carries. A fault is of what is behind what was found until then. */
export type Walk = (source: Source, carried: Carried) => Effect.Effect<void, FilesError | Fault>

/** What a JPEG, and sometimes a WebP, has before EXIF. */
export const exifHead = "Exif\0\0"

type Directory = Map<number, unknown>

type Read = (view: DataView, at: number, isLittle: boolean) => number

const uint32: Read = (view, at, isLittle) => view.getUint32(at, isLittle)
const int32: Read = (view, at, isLittle) => view.getInt32(at, isLittle)
const uint64: Read = (view, at, isLittle) => Number(view.getBigUint64(at, isLittle))

/** Numbers by their type: how many bytes one takes, and how it is read. */
const numbers: Readonly<Record<number, readonly [bytes: number, read: Read]>> = {
  3: [2, (view, at, isLittle) => view.getUint16(at, isLittle)],
  4: [4, uint32],
  5: [8, (view, at, isLittle) => uint32(view, at, isLittle) / uint32(view, at + 4, isLittle)],
  6: [1, (view, at) => view.getInt8(at)],
  8: [2, (view, at, isLittle) => view.getInt16(at, isLittle)],
  9: [4, int32],
  10: [8, (view, at, isLittle) => int32(view, at, isLittle) / int32(view, at + 4, isLittle)],
  11: [4, (view, at, isLittle) => view.getFloat32(at, isLittle)],
  12: [8, (view, at, isLittle) => view.getFloat64(at, isLittle)],
  13: [4, uint32],
  16: [8, uint64],
  17: [8, uint64],
  18: [8, uint64]
}

const types = { text: 2, anything: 7 } as const
/** Types of single bytes. */
const bytes = new Set([1, types.text, types.anything])

/** A number, or several; a text; bytes that may be anything. */
const valueOf = (type: number, value: Uint8Array, isLittle: boolean): unknown => {
  if (type === types.text) {
    const text = new TextDecoder().decode(value.subarray(0, value.findLastIndex((byte) => byte !== 0) + 1)).trim()
    return text === "" ? undefined : text
  }
  const [size, read] = numbers[type] ?? []
  if (size === undefined || read === undefined) return type === types.anything && value.length === 1 ? value[0] : value
  const view = new DataView(value.buffer, value.byteOffset, value.length)
  const values = Array.from({ length: value.length / size }, (_, n) => read(view, n * size, isLittle))
  return values.length === 1 ? values[0] : values
}

/** What stands behind the order of bytes. Raw photos of Panasonic and Olympus are TIFF but for that. */
const marks = { tiff: 42, big: 43, panasonic: 0x55, olympus: 0x4f52, olympusOther: 0x5352 } as const
const known = new Set<number>(Object.values(marks))

/** What stands behind the head of a raw photo of Canon, whose first picture is a small one. */
const canon = "CR\x02\0"

/** Cameras write less than 100. */
const mostEntries = 512

/** Longer ones are tables of pixels, and what makers keep to themselves. */
const mostValueBytes = 2 ** 16
const mostAllBytes = 2 ** 18

const tags = {
  sensorTop: 4,
  sensorLeft: 5,
  sensorBottom: 6,
  sensorRight: 7,
  subfileType: 0xfe,
  width: 0x100,
  height: 0x101,
  subDirectories: 0x14a,
  xmp: 0x2bc,
  iptc: 0x83bb,
  exif: 0x8769,
  gps: 0x8825,
  profile: 0x8773,
  makerNote: 0x927c,
  comment: 0x9286,
  interoperability: 0xa005
} as const

const left = new Set<number>([tags.profile, tags.makerNote, tags.comment, tags.interoperability])
const blocks = new Set<number>([tags.xmp, tags.iptc])
const links = new Set<number>([tags.exif, tags.gps])

const viewOf = ({ buffer, byteOffset, length }: Uint8Array): DataView => new DataView(buffer, byteOffset, length)

/** Reads directories of a structure whose offsets take so many bytes. */
const readerOf = (source: Source, note: (problem: string) => void, isLittle: boolean, wide: 4 | 8) => {
  const number = (view: DataView, at: number): number => (wide === 4 ? uint32 : uint64)(view, at, isLittle)
  let taken = 0

  const readEntry = Effect.fnUntraced(function*(name: string, tag: number, entry: Uint8Array) {
    const view = viewOf(entry)
    const type = view.getUint16(2, isLittle)
    const size = (bytes.has(type) ? 1 : numbers[type]?.[0] ?? 0) * number(view, 4)
    const isBlock = blocks.has(tag)
    if (size === 0 || left.has(tag)) return undefined
    const offset = number(view, 4 + wide)
    if (size > wide && offset + size > source.sizeBytes) return note(`a value of ${name} is said to be behind the end`)
    if (size > (isBlock ? mostBlockBytes : mostValueBytes)) return undefined
    if (size > wide && !isBlock && taken + size > mostAllBytes) {
      return note(`the values of ${name} are larger than any camera's`)
    }
    if (size > wide) taken += size
    const value = size > wide ? yield* source.at(offset, size) : entry.subarray(4 + wide, 4 + wide + size)
    return isBlock ? value.slice() : valueOf(type, value.slice(), isLittle)
  })

  /** What is sound of what begins here. */
  const read = Effect.fnUntraced(function*(name: string, offset: number) {
    const directory: Directory = new Map()
    const [head, size] = wide === 4 ? [2, 12] as const : [8, 20] as const
    const start = viewOf(yield* source.at(offset, head))
    const entries = wide === 4 ? start.getUint16(0, isLittle) : number(start, 0)
    const sound = Math.min(entries, Math.floor((source.sizeBytes - offset - head) / size), mostEntries)
    if (sound < entries) note(`${name} claims ${entries} entries`)
    const all = yield* source.at(offset + head, sound * size)
    for (let at = 0; at < all.length; at += size) {
      const tag = u16(all, at, isLittle)
      const value = yield* readEntry(name, tag, all.subarray(at, at + size))
      if (value !== undefined && !directory.has(tag)) directory.set(tag, value)
    }
    return directory
  })

  /** What a link leads to; nothing where that is not sound. */
  const follow = (name: string, link: unknown) => {
    const following = link === undefined
      ? Effect.undefined
      : noting(read(name, count(link) ?? Infinity), (why) => note(`${name}: ${why}`))
    return Effect.map(following, (directory): Directory => directory ?? new Map())
  }

  return { number, read, follow }
}

type Reader = ReturnType<typeof readerOf>

/** Size in pixels: of the full picture, where the first directory has a small one. */
const sizeOf = Effect.fnUntraced(function*({ follow }: Reader, first: Directory, mark: number) {
  const number = (tag: number): number => count(first.get(tag)) ?? 0
  if (mark === marks.panasonic) {
    return {
      width: number(tags.sensorRight) - number(tags.sensorLeft),
      height: number(tags.sensorBottom) - number(tags.sensorTop)
    }
  }
  const size = (directory: Directory) => ({
    width: count(directory.get(tags.width)),
    height: count(directory.get(tags.height))
  })
  if ((number(tags.subfileType) & 1) === 0) return size(first)
  for (const link of [first.get(tags.subDirectories)].flat().slice(0, 4)) {
    const directory = yield* follow("a picture in it", link)
    if (directory.get(tags.subfileType) === 0) return size(directory)
  }
  return { width: undefined, height: undefined }
})

/** Values of a block by the names of their tags. */
export const named = (block: "ifd0" | "exif" | "gps" | "iptc", values: Iterable<readonly [number, unknown]>): Tags =>
  Object.fromEntries(Array.from(values, ([tag, value]) => [tagKeys.get(block)?.get(tag) ?? tag, value]))

/** Degrees of what GPS has in sixtieths, and of the side that this is on. */
const degrees = (parts: unknown, side: unknown): number | undefined => {
  if (!Array.isArray(parts) || parts.length !== 3) return undefined
  const [degrees = NaN, minutes = NaN, seconds = NaN] = parts.map(Number)
  const size = degrees + minutes / 60 + seconds / 3600
  return side === "S" || side === "W" ? -size : size
}

/** Reads what is sound. Fails where not even its first directory is there. */
export const readTiff = Effect.fnUntraced(function*(source: Source, carried: Carried) {
  const header = yield* headOf(source, 16, 0)
  const order = u16(header, 0)
  const isLittle = order === 0x4949
  const mark = u16(header, 2, isLittle)
  const wide = mark === marks.big ? 8 : 4
  if (header.length < 2 * wide || (!isLittle && order !== 0x4d4d) || !known.has(mark)) {
    return yield* malformed("its EXIF does not begin as such")
  }
  const reader = readerOf(source, (problem) => void carried.problems.add(problem), isLittle, wide)
  const first = yield* reader.read("the first directory", reader.number(viewOf(header), wide))
  const exif = yield* reader.follow("EXIF", first.get(tags.exif))
  const gps = named("gps", yield* reader.follow("GPS", first.get(tags.gps)))
  // Of more than one the first is taken.
  if (carried.exif !== undefined) return
  const block = (tag: number): Uint8Array | undefined => {
    const value = first.get(tag)
    return value instanceof Uint8Array ? value : undefined
  }
  const isPreview = latin(header, 8, 12) === canon
  const { height, width } = isPreview ? {} : yield* sizeOf(reader, first, mark)
  carried.width ??= width
  carried.height ??= height
  carried.exif = {
    ifd0: named("ifd0", Array.from(first).filter(([tag]) => !links.has(tag) && !blocks.has(tag))),
    exif: named("exif", exif),
    gps: {
      ...gps,
      latitude: degrees(gps["GPSLatitude"], gps["GPSLatitudeRef"]),
      longitude: degrees(gps["GPSLongitude"], gps["GPSLongitudeRef"])
    },
    xmp: block(tags.xmp),
    iptc: block(tags.iptc)
  }
})

/** Reads EXIF that a picture carries. Where nothing of it is sound, that is a problem of the picture. */
export const readExif = (source: Source, carried: Carried) =>
  noting(readTiff(source, carried), (why) => carried.problems.add(`EXIF: ${why}`))
