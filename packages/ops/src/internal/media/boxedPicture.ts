/**
 * Finds what JPEG XL and JPEG 2000 carry, in boxes around their pictures (ISO 18181, ISO 15444).
 */
import * as Effect from "effect/Effect"
import { boxesIn, find, headAt, mostBoxes } from "./boxes.ts"
import { headOf, latin, mostBlockBytes, type Source, u16, u32, within } from "./byteSource.ts"
import { expanded, takeBlock, takeExif } from "./profiles.ts"
import type { Carried, Walk } from "./tiff.ts"

/** How wide a picture of JPEG XL is for its height, where that is written as a number from 1 to 7. */
const ratios = [[1, 1], [12, 10], [4, 3], [3, 2], [16, 9], [5, 4], [2, 1]] as const

/** Takes the size that a picture of JPEG XL begins with. The lowest bit of a byte is its first one. */
const takeSizeOfXl = (carried: Carried, bytes: Uint8Array): void => {
  let at = 16
  const take = (length: number): number => {
    let value = 0
    for (let bit = 0; bit < length; bit++, at++) value += (((bytes[at >> 3] ?? 0) >> at % 8) & 1) * 2 ** bit
    return value
  }
  const isSmall = take(1) === 1
  const side = (): number => isSmall ? (take(5) + 1) * 8 : take([9, 13, 18, 30][take(2)] ?? 0) + 1
  const height = side()
  const ratio = ratios[take(3) - 1]
  const width = ratio === undefined ? side() : Math.floor(height * ratio[0] / ratio[1])
  // Where it ends before that, nothing is known of it.
  if (at <= bytes.length * 8) Object.assign(carried, { width, height })
}

/** Takes what the first bytes of a picture without boxes tell, or of a picture in a box. */
const takeStream = (carried: Carried, bytes: Uint8Array): void => {
  const mark = u16(bytes, 0)
  if (mark === 0xff0a) takeSizeOfXl(carried, bytes)
  else if (mark === 0xff4f && bytes.length >= 24) {
    carried.width = u32(bytes, 8) - u32(bytes, 16)
    carried.height = u32(bytes, 12) - u32(bytes, 20)
  }
}

const streamBytes = 24

/** Names of boxes for EXIF and XMP among those that are named by 16 bytes. */
const exifName = "JpgTiffExif->JP2"
const xmpName = "be7acfcb97a942e89c71999491e3afac"

/** What all XMP is in; a box of XML may have something else. */
const rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

/** Takes the content of a box. */
const takeBox = Effect.fnUntraced(function*(carried: Carried, type: string, bytes: Uint8Array) {
  if (type === "Exif") {
    // The first number tells what is before EXIF itself.
    yield* takeExif(carried, bytes.subarray(4 + u32(bytes, 0)))
  } else if (type === "xml ") {
    if (latin(bytes).includes(rdf)) carried.xmp ??= bytes.slice()
  } else if (type === "uuid") {
    const content = bytes.subarray(16)
    if (latin(bytes, 0, 16) === exifName) yield* takeExif(carried, content)
    else if (Buffer.from(bytes.subarray(0, 16)).toString("hex") === xmpName) carried.xmp ??= content.slice()
    else yield* takeBlock(carried, content)
  } else if (type === "jp2h") {
    const size = find(boxesIn(bytes), "ihdr")?.content ?? new Uint8Array(0)
    if (size.length >= 8) Object.assign(carried, { width: u32(size, 4), height: u32(size, 0) })
  }
})

/** Takes the content of a box, which may be compressed: its name is in it then. */
const takeCompressed = (carried: Carried, type: string, bytes: Uint8Array) => {
  if (type !== "brob") return takeBox(carried, type, bytes)
  const content = expanded(carried, bytes.subarray(4), "brotli")
  return content === undefined ? Effect.void : takeBox(carried, latin(bytes, 0, 4), content)
}

const telling = new Set(["brob", "Exif", "xml ", "uuid", "jp2h"])

/** Takes what a JPEG XL or JPEG 2000 carries. */
export const readBoxed: Walk = Effect.fnUntraced(function*(source: Source, carried: Carried) {
  takeStream(carried, yield* headOf(source, streamBytes, 0))
  if (carried.width !== undefined) return
  for (let at = 0, boxes = 0; at + 8 <= source.sizeBytes && boxes < mostBoxes; boxes++) {
    const { headBytes, length, type } = headAt(yield* headOf(source, 16, at), 0, source.sizeBytes - at)
    const content = within(source, at + headBytes, at + length)
    if (type === "jxlc") takeStream(carried, yield* headOf(content, streamBytes, 0))
    else if (type === "jxlp" && carried.width === undefined) takeStream(carried, yield* headOf(content, streamBytes, 4))
    else if (telling.has(type)) {
      if (length - headBytes > mostBlockBytes) carried.problems.add(`a box of ${length} bytes was left out`)
      else yield* takeCompressed(carried, type, yield* content.at(0, length - headBytes))
    }
    if (length < headBytes) break
    at += length
  }
})
