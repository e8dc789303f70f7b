/**
 * Finds what a WebP carries in its chunks.
 */
import * as Effect from "effect/Effect"
import { type Carried, mostBlockBytes, readBy } from "./carried.ts"
import { latin, ofBytes, type Source, u16, u32, within } from "./source.ts"
import { takeExif } from "./tiff.ts"

/** An animation has a chunk for each of its pictures; those behind these are left, and what follows them. */
const mostChunks = 1024

const u24 = (bytes: Uint8Array, offset: number): number => u16(bytes, offset, true) + (bytes[offset + 2] ?? 0) * 65_536

const exifHead = "Exif\0\0"

/** Some programs put the head of a JPEG's segment before it. */
const exifOf = (bytes: Uint8Array): Source =>
  ofBytes(latin(bytes, 0, exifHead.length) === exifHead ? bytes.subarray(exifHead.length) : bytes)

const setSize = (carried: Carried, width: number, height: number): void => {
  carried.width ??= width
  carried.height ??= height
}

const take = Effect.fnUntraced(function*(carried: Carried, type: string, chunk: Source) {
  switch (type) {
    case "VP8X": {
      const bytes = yield* chunk.at(0, 10)
      return setSize(carried, u24(bytes, 4) + 1, u24(bytes, 7) + 1)
    }
    case "VP8 ": {
      const bytes = yield* chunk.at(0, 10)
      return setSize(carried, u16(bytes, 6, true) & 0x3fff, u16(bytes, 8, true) & 0x3fff)
    }
    case "VP8L": {
      const bits = u32(yield* chunk.at(1, 4), 0, true)
      return setSize(carried, (bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1)
    }
    case "EXIF":
      if (chunk.sizeBytes <= mostBlockBytes) yield* takeExif(carried, exifOf(yield* chunk.at(0, chunk.sizeBytes)))
      return
    case "XMP ":
      if (chunk.sizeBytes <= mostBlockBytes) carried.xmp ??= (yield* chunk.at(0, chunk.sizeBytes)).slice()
  }
})

const walk = Effect.fnUntraced(function*(source: Source, carried: Carried) {
  const end = Math.min(source.sizeBytes, 8 + u32(yield* source.at(4, 4), 0, true))
  let at = 12
  for (let chunks = 0; at + 8 <= end; chunks++) {
    if (chunks === mostChunks) return void carried.problems.push(`what stands behind ${mostChunks} chunks was left out`)
    const head = yield* source.at(at, 8)
    const length = u32(head, 4, true)
    yield* take(carried, latin(head, 0, 4), within(source, at + 8, at + 8 + length))
    at += 8 + length + length % 2
  }
})

/** What a WebP carries. */
export const readWebp = readBy(walk)
