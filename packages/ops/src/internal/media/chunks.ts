/**
 * Finds what a PNG or a WebP carries in its chunks.
 */
import * as Effect from "effect/Effect"
import { latin, mostBlockBytes, type Source, u16, u32, within } from "./byteSource.ts"
import { expanded, takeExif, takeText } from "./profiles.ts"
import { type Carried, readExif, type Walk } from "./tiff.ts"

/** Where pixels come in more pieces, or there are more pictures, what stands behind them is left. */
const mostChunks = 1024
const tooMany = `what stands behind ${mostChunks} chunks was left out`

/** All of a chunk, unless it is larger than any that is of use. */
const wholeOf = (chunk: Source) => chunk.sizeBytes <= mostBlockBytes ? chunk.at(0, chunk.sizeBytes) : Effect.undefined

// --- PNG ------------------------------------------------------------------------------------------------------------

const xmpKeyword = "XML:com.adobe.xmp"

/** Takes keyword and text of a chunk: Latin-1, or UTF-8 behind flags, a language and a keyword in it. */
const takeOfText = Effect.fnUntraced(function*(carried: Carried, type: string, bytes: Uint8Array) {
  const end = bytes.indexOf(0)
  if (end < 1 || end > 79) return
  const isUtf8 = type === "iTXt"
  const language = isUtf8 ? bytes.indexOf(0, end + 3) : 0
  const translated = isUtf8 ? bytes.indexOf(0, language + 1) : end
  if (language === -1 || translated === -1) return
  const isCompressed = type === "zTXt" || (isUtf8 && bytes[end + 1] === 1)
  const content = bytes.slice(translated + (type === "zTXt" ? 2 : 1))
  const text = isCompressed ? expanded(carried, content, "deflate") : content
  const keyword = latin(bytes, 0, end)
  if (text === undefined) return
  if (keyword === xmpKeyword) carried.xmp ??= text
  else yield* takeText(carried, keyword, text, isUtf8)
})

const takeOfPng = Effect.fnUntraced(function*(carried: Carried, type: string, chunk: Source) {
  if (type === "IHDR") {
    const size = yield* chunk.at(0, 8)
    carried.width = u32(size, 0)
    carried.height = u32(size, 4)
  } else if (type === "eXIf") {
    yield* readExif(chunk, carried)
  } else if (type === "tEXt" || type === "zTXt" || type === "iTXt") {
    const bytes = yield* wholeOf(chunk)
    if (bytes !== undefined) yield* takeOfText(carried, type, bytes)
  }
})

/** Takes what a PNG carries. */
export const readPng: Walk = Effect.fnUntraced(function*(source, carried) {
  let at = 8
  for (let chunks = 0; chunks < mostChunks; chunks++) {
    const head = yield* source.at(at, 8)
    const length = u32(head, 0)
    const type = latin(head, 4, 8)
    if (type === "IEND") return
    yield* takeOfPng(carried, type, within(source, at + 8, at + 8 + length))
    at += 12 + length
  }
  carried.problems.add(tooMany)
})

// --- WebP -----------------------------------------------------------------------------------------------------------

const u24 = (bytes: Uint8Array, offset: number): number => u16(bytes, offset, true) + (bytes[offset + 2] ?? 0) * 65_536

/** How many of the first bytes of chunks tell the size of the picture, and how. */
const sizes: Readonly<Record<string, (bytes: Uint8Array) => readonly [width: number, height: number]>> = {
  "VP8X": (bytes) => [u24(bytes, 4) + 1, u24(bytes, 7) + 1],
  "VP8 ": (bytes) => [u16(bytes, 6, true) & 0x3fff, u16(bytes, 8, true) & 0x3fff],
  "VP8L": (bytes) => [(u16(bytes, 1, true) & 0x3fff) + 1, ((u32(bytes, 1, true) >>> 14) & 0x3fff) + 1]
}

const takeOfWebp = Effect.fnUntraced(function*(carried: Carried, type: string, chunk: Source) {
  const sizeIn = sizes[type]
  if (sizeIn !== undefined) {
    const [width, height] = sizeIn(yield* chunk.at(0, type === "VP8L" ? 5 : 10))
    carried.width ??= width
    carried.height ??= height
  } else if (type === "EXIF" || type === "XMP ") {
    const bytes = yield* wholeOf(chunk)
    if (bytes === undefined) return
    if (type === "XMP ") carried.xmp ??= bytes.slice()
    else yield* takeExif(carried, bytes)
  }
})

/** Takes what a WebP carries. */
export const readWebp: Walk = Effect.fnUntraced(function*(source, carried) {
  const end = Math.min(source.sizeBytes, 8 + u32(yield* source.at(4, 4), 0, true))
  let at = 12
  for (let chunks = 0; at + 8 <= end; chunks++) {
    if (chunks === mostChunks) return void carried.problems.add(tooMany)
    const head = yield* source.at(at, 8)
    const length = u32(head, 4, true)
    yield* takeOfWebp(carried, latin(head, 0, 4), within(source, at + 8, at + 8 + length))
    at += 8 + length + length % 2
  }
})
