/**
 * Finds what a HEIC or AVIF carries, by the tables of its items.
 */
import * as Effect from "effect/Effect"
import { type Box, boxesIn, find, headAt, mostBoxes } from "./boxes.ts"
import { headOf, latin, malformed, mostBlockBytes, ofBytes, type Source, u16, u32, u64 } from "./byteSource.ts"
import { type Carried, readExif, type Walk } from "./tiff.ts"

/** A picture of a telephone has some dozens of tiles. */
const mostItems = 4096

/** Tables of so many items, and what is kept beside them. */
const mostTableBytes = 2 ** 22

/** What items there are of metadata, by their ids. */
const itemsIn = (iinf: Uint8Array): ReadonlyMap<number, "Exif" | "xmp"> => {
  const items = new Map<number, "Exif" | "xmp">()
  for (const { content } of boxesIn(iinf.subarray(iinf[0] === 0 ? 6 : 8))) {
    const isLong = content[0] === 3
    const at = isLong ? 10 : 8
    const type = latin(content, at, at + 4)
    // Behind the type are a name and the kind of content, each up to a zero.
    const isXmp = type === "mime" && latin(content, at + 4, 64).includes("application/rdf+xml")
    if (type === "Exif" || isXmp) items.set(isLong ? u32(content, 4) : u16(content, 4), isXmp ? "xmp" : "Exif")
  }
  return items
}

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
  const read = (at: number, size: number): number => size === 8 ? u64(bytes, at) : size === 4 ? u32(bytes, at) : 0
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
const takeSize = (carried: Carried, ipco: Box): void => {
  // Where it is cut, the largest may be what is missing.
  if (ipco.isCut) return
  for (const { content, type } of boxesIn(ipco.content)) {
    if (type !== "ispe") continue
    const [width, height] = [u32(content, 4), u32(content, 8)]
    if (width * height > (carried.width ?? 0) * (carried.height ?? 0)) Object.assign(carried, { width, height })
  }
}

/** The box of the tables, with all that there is of it. */
const tablesOf = Effect.fnUntraced(function*(source: Source) {
  for (let at = 0, boxes = 0; at + 8 <= source.sizeBytes && boxes < mostBoxes; boxes++) {
    const rest = source.sizeBytes - at
    const { headBytes, length, type } = headAt(yield* headOf(source, 16, at), 0, rest)
    if (length < headBytes) break
    if (type === "meta") {
      if (Math.min(length, rest) > mostTableBytes) return yield* malformed("its tables are larger than any")
      // A version stands before them.
      return yield* headOf(source, length - headBytes - 4, at + headBytes + 4)
    }
    at += length
  }
  return yield* malformed("it has no table of its items")
})

/** Takes what a HEIC or AVIF carries. */
export const readHeif: Walk = Effect.fnUntraced(function*(source, carried) {
  const boxes = boxesIn(yield* tablesOf(source))
  const [iprp, iinf, iloc, idat] = ["iprp", "iinf", "iloc", "idat"].map((type) => find(boxes, type)?.content)
  const ipco = iprp === undefined ? undefined : find(boxesIn(iprp), "ipco")
  if (ipco !== undefined) takeSize(carried, ipco)
  if (iinf === undefined || iloc === undefined) return
  const places = placesOf(iloc)
  for (const [id, type] of Array.from(itemsIn(iinf)).slice(0, 16)) {
    const place = places.get(id)
    const from = place?.isInside === true ? idat === undefined ? undefined : ofBytes(idat) : source
    if (place === undefined || from === undefined || place.length === 0) continue
    if (place.length > mostBlockBytes) carried.problems.add(`an item of ${place.length} bytes was left out`)
    else {
      const bytes = yield* from.at(place.offset, place.length)
      if (type === "xmp") carried.xmp ??= bytes.slice()
      // The first number tells what is before EXIF itself.
      else yield* readExif(ofBytes(bytes.subarray(4 + u32(bytes, 0))), carried)
    }
  }
})
