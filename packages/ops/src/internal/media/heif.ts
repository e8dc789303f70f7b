/**
 * Finds what a HEIC or AVIF carries, by the tables of its items.
 */
import * as Effect from "effect/Effect"
import { type Box, boxesIn, find, without } from "./boxes.ts"
import { type Carried, mostBlockBytes, readBy } from "./carried.ts"
import { latin, malformed, ofBytes, type Source, u16, u32 } from "./source.ts"
import { takeExif } from "./tiff.ts"

interface Item {
  readonly id: number
  readonly type: string
}

/** A picture of a telephone has some dozens of tiles. */
const mostItems = 4096

const wholeOf = (source: Source) =>
  source.sizeBytes > mostBlockBytes
    ? Effect.fail(malformed("a table of its items is larger than any"))
    : source.at(0, source.sizeBytes)

/** What items there are of metadata. */
const itemsOf = Effect.fnUntraced(function*(iinf: Box) {
  const version = (yield* iinf.content.at(0, 1))[0] ?? 0
  const items: Array<Item> = []
  for (const { content } of yield* boxesIn(without(iinf.content, version === 0 ? 6 : 8))) {
    const bytes = yield* content.at(0, Math.min(content.sizeBytes, 64))
    const isLong = bytes[0] === 3
    const id = isLong ? u32(bytes, 4) : u16(bytes, 4)
    const at = isLong ? 10 : 8
    const type = latin(bytes, at, at + 4)
    // Behind the type are a name and the kind of content, each up to a zero.
    const isXmp = type === "mime" && latin(bytes, at + 4).includes("application/rdf+xml")
    if (type === "Exif" || isXmp) items.push({ id, type: isXmp ? "xmp" : type })
  }
  return items
})

interface Extent {
  /** Whether it is in the box of the tables, and not counted from the start of the file. */
  readonly isInside: boolean
  readonly offset: number
  readonly length: number
}

/** Where items are: the first extent of each, which is all of it for metadata. */
const placesOf = (bytes: Uint8Array): ReadonlyMap<number, Extent> => {
  const places = new Map<number, Extent>()
  const version = bytes[0] ?? 0
  const [sizes = 0, more = 0] = bytes.subarray(4, 6)
  const [offsetSize, lengthSize, baseSize] = [sizes >> 4, sizes & 15, more >> 4]
  const indexSize = version === 0 ? 0 : more & 15
  const read = (at: number, size: number): number =>
    size === 8 ? u32(bytes, at) * 2 ** 32 + u32(bytes, at + 4) : size === 4 ? u32(bytes, at) : 0
  const idSize = version < 2 ? 2 : 4
  const idAt = (at: number): number => idSize === 2 ? u16(bytes, at) : u32(bytes, at)
  const count = Math.min(idAt(6), mostItems)
  let at = 6 + idSize
  for (let item = 0; item < count && at < bytes.length; item++) {
    const id = idAt(at)
    at += idSize
    const method = version === 0 ? 0 : u16(bytes, at) & 15
    at += (version === 0 ? 0 : 2) + 2
    const base = read(at, baseSize)
    at += baseSize
    const extents = u16(bytes, at)
    at += 2
    const offset = base + read(at + indexSize, offsetSize)
    const length = read(at + indexSize + offsetSize, lengthSize)
    at += extents * (indexSize + offsetSize + lengthSize)
    if (method < 2) places.set(id, { isInside: method === 1, offset, length })
  }
  return places
}

/** Size of the largest picture: others are its tiles, and small ones. */
const takeSize = Effect.fnUntraced(function*(carried: Carried, iprp: Box) {
  const ipco = find(yield* boxesIn(iprp.content), "ipco")
  // Where it is cut, the largest may be what is missing.
  if (ipco === undefined || ipco.wrong === "cut") return
  for (const { content, type } of yield* boxesIn(ipco.content)) {
    if (type !== "ispe") continue
    const bytes = yield* content.at(4, 8)
    const [width, height] = [u32(bytes, 0), u32(bytes, 4)]
    if (width * height > (carried.width ?? 0) * (carried.height ?? 0)) Object.assign(carried, { width, height })
  }
})

const takeItem = Effect.fnUntraced(function*(carried: Carried, type: string, bytes: Uint8Array) {
  if (type === "xmp") carried.xmp ??= bytes.slice()
  else {
    // The first number tells what is before EXIF itself.
    const start = 4 + u32(bytes, 0)
    yield* takeExif(carried, ofBytes(bytes.subarray(Math.min(start, bytes.length))))
  }
})

const walk = Effect.fnUntraced(function*(source: Source, carried: Carried) {
  const meta = find(yield* boxesIn(source), "meta")
  if (meta === undefined) return yield* malformed("it has no table of its items")
  const boxes = yield* boxesIn(without(meta.content, 4))
  const [iprp, iinf, iloc, idat] = ["iprp", "iinf", "iloc", "idat"].map((type) => find(boxes, type))
  if (iprp !== undefined) yield* takeSize(carried, iprp)
  if (iinf === undefined || iloc === undefined) return
  const items = yield* itemsOf(iinf)
  if (items.length === 0) return
  const places = placesOf(yield* wholeOf(iloc.content))
  for (const { id, type } of items.slice(0, 16)) {
    const place = places.get(id)
    const from = place?.isInside === true ? idat?.content : source
    if (place === undefined || from === undefined || place.length === 0) continue
    if (place.length > mostBlockBytes) carried.problems.push(`an item of ${place.length} bytes was left out`)
    else yield* takeItem(carried, type, yield* from.at(place.offset, place.length))
  }
})

/** What a HEIC or AVIF carries. */
export const readHeif = readBy(walk)
