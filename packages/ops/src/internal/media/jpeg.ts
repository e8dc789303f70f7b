/**
 * Finds what a JPEG carries before its first scan.
 */
import * as Effect from "effect/Effect"
import { latin, malformed, ofBytes, u16, u32 } from "./byteSource.ts"
import { type Carried, exifHead, readExif, type Walk } from "./tiff.ts"

/** Cameras and programs write some dozens. */
const mostSegments = 512

const xmpHead = "http://ns.adobe.com/xap/1.0/\0"
const photoshopHead = "Photoshop 3.0\0"

const startsWith = (bytes: Uint8Array, head: string): boolean => latin(bytes, 0, head.length) === head

/** Whether a marker begins a frame, which tells its size. */
const isFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc

const standsAlone = (marker: number): boolean => marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)

/** IPTC among what Photoshop keeps in a file. */
const inPhotoshop = (bytes: Uint8Array): Uint8Array | undefined => {
  for (let at = 0; at + 12 <= bytes.length && latin(bytes, at, at + 4) === "8BIM";) {
    const id = u16(bytes, at + 4)
    const nameLength = (bytes[at + 6] ?? 0) + 1
    const start = at + 6 + nameLength + nameLength % 2
    const length = u32(bytes, start)
    if (start + 4 + length > bytes.length) return undefined
    if (id === 0x0404) return bytes.subarray(start + 4, start + 4 + length)
    at = start + 4 + length + length % 2
  }
  return undefined
}

const take = Effect.fnUntraced(function*(carried: Carried, marker: number, bytes: Uint8Array) {
  if (isFrame(marker)) {
    carried.height = u16(bytes, 1)
    carried.width = u16(bytes, 3)
  } else if (marker === 0xe1 && startsWith(bytes, exifHead) && carried.exif === undefined) {
    yield* readExif(ofBytes(bytes.subarray(exifHead.length)), carried)
  } else if (marker === 0xe1 && startsWith(bytes, xmpHead)) {
    carried.xmp ??= bytes.slice(xmpHead.length)
  } else if (marker === 0xed && startsWith(bytes, photoshopHead)) {
    const iptc = inPhotoshop(bytes.subarray(photoshopHead.length))
    if (iptc !== undefined) carried.iptc ??= iptc.slice()
  }
})

/** Takes what a JPEG carries: walks over segments, and ends where the picture itself begins. */
export const readJpeg: Walk = Effect.fnUntraced(function*(source, carried) {
  let at = 2
  for (let segments = 0; segments < mostSegments; segments++) {
    const [first = 0, marker = 0] = yield* source.at(at, 2)
    if (first !== 0xff) return yield* malformed("a segment of it does not begin as such")
    // Any number of 0xff may stand before a marker.
    if (marker === 0xff || standsAlone(marker)) {
      at += marker === 0xff ? 1 : 2
      continue
    }
    if (marker === 0xda || marker === 0xd9) return
    const length = u16(yield* source.at(at + 2, 2), 0)
    if (length < 2) return yield* malformed("a segment of it has no length")
    const isOfUse = marker === 0xe1 || marker === 0xed || isFrame(marker)
    if (isOfUse) yield* take(carried, marker, yield* source.at(at + 4, length - 2))
    at += 2 + length
  }
  return yield* malformed(`it has more than ${mostSegments} segments`)
})
