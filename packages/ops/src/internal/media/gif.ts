/**
 * Finds what a GIF carries before its first picture.
 */
import * as Effect from "effect/Effect"
import { latin, malformed, mostBlockBytes, type Source, u16 } from "./byteSource.ts"
import { takeBlock } from "./profiles.ts"
import type { Carried, Walk } from "./tiff.ts"

/** Programs write some. */
const mostExtensions = 64

const xmpName = "XMP DataXMP"

/** Lengths behind XMP that lead a reader of pieces to the last zero, wherever it comes upon them. */
const trailerBytes = 258

/** Pieces of up to 255 bytes each, up to one without any, and where they end. */
const piecesAt = Effect.fnUntraced(function*(source: Source, start: number) {
  const pieces: Array<Uint8Array> = []
  let at = start
  for (let length = 1; length > 0;) {
    length = (yield* source.at(at, 1))[0] ?? 0
    if (length > 0) pieces.push((yield* source.at(at + 1, length)).slice())
    at += 1 + length
    if (at - start > mostBlockBytes) return yield* malformed("a block of it is larger than any")
  }
  return { pieces, end: at }
})

const takeApplication = Effect.fnUntraced(function*(carried: Carried, source: Source, start: number) {
  const { end, pieces: [name = new Uint8Array(0), ...pieces] } = yield* piecesAt(source, start)
  // XMP is not in pieces: its own bytes were taken for lengths of some.
  const from = start + 1 + name.length
  if (latin(name) === xmpName) carried.xmp ??= (yield* source.at(from, Math.max(0, end - from - trailerBytes))).slice()
  else yield* takeBlock(carried, Buffer.concat(pieces))
  return end
})

/** Takes what a GIF carries. */
export const readGif: Walk = Effect.fnUntraced(function*(source, carried) {
  const head = yield* source.at(6, 5)
  carried.width = u16(head, 0, true)
  carried.height = u16(head, 2, true)
  const [, , , , flags = 0] = head
  let at = 13 + (flags < 128 ? 0 : 3 * 2 ** (1 + flags % 8))
  for (let extensions = 0; extensions < mostExtensions; extensions++) {
    const [mark, label] = yield* source.at(at, 2)
    if (mark !== 0x21) return
    if (label === 0xff) at = yield* takeApplication(carried, source, at + 2)
    else {
      const { end, pieces } = yield* piecesAt(source, at + 2)
      if (label === 0xfe) carried.texts.set("Description", new TextDecoder().decode(Buffer.concat(pieces)))
      at = end
    }
  }
  carried.problems.add(`what stands behind ${mostExtensions} blocks was left out`)
})
