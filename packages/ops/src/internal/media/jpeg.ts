/**
 * Finds what a JPEG carries before its first scan.
 */
import * as Effect from "effect/Effect"
import { malformed, u16 } from "./byteSource.ts"
import { takeBlock } from "./profiles.ts"
import type { Carried, Walk } from "./tiff.ts"

/** Cameras and programs write some dozens. */
const mostSegments = 512

/** Whether a marker begins a frame, which tells its size. */
const isFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc

const standsAlone = (marker: number): boolean => marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)

const take = Effect.fnUntraced(function*(carried: Carried, marker: number, bytes: Uint8Array) {
  if (!isFrame(marker)) return yield* takeBlock(carried, bytes)
  carried.height = u16(bytes, 1)
  carried.width = u16(bytes, 3)
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
