/**
 * Finds what a PNG carries in its chunks.
 */
import * as Effect from "effect/Effect"
import { type Carried, mostBlockBytes, readBy } from "./carried.ts"
import { latin, type Source, u32, within } from "./source.ts"
import { takeExif } from "./tiff.ts"

/** Where the pixels come in more pieces, what stands behind them is left. */
const mostChunks = 1024

const xmpKeyword = "XML:com.adobe.xmp"

/** Keyword and text of a chunk: Latin-1, or UTF-8 behind flags, a language and a keyword in it. */
const textOf = (type: string, bytes: Uint8Array) => {
  const end = bytes.indexOf(0)
  if (end < 1 || end > 79) return undefined
  const keyword = latin(bytes, 0, end)
  if (type === "tEXt") return { keyword, bytes: bytes.subarray(end + 1), isUtf8: false }
  // What is compressed is left: it may be anything once it is not.
  if (bytes[end + 1] !== 0) return undefined
  const language = bytes.indexOf(0, end + 3)
  const translated = language === -1 ? -1 : bytes.indexOf(0, language + 1)
  return translated === -1 ? undefined : { keyword, bytes: bytes.subarray(translated + 1), isUtf8: true }
}

const takeText = (carried: Carried, type: string, chunk: Uint8Array): void => {
  const text = textOf(type, chunk)
  if (text === undefined) return
  if (text.keyword === xmpKeyword) carried.xmp ??= text.bytes.slice()
  else if (carried.texts.length < 64) {
    const encoding = text.isUtf8 ? "utf-8" : "latin1"
    carried.texts.push([text.keyword, new TextDecoder(encoding).decode(text.bytes)])
  }
}

const take = Effect.fnUntraced(function*(carried: Carried, type: string, chunk: Source) {
  if (type === "IHDR") {
    const size = yield* chunk.at(0, 8)
    carried.width = u32(size, 0)
    carried.height = u32(size, 4)
  } else if (type === "eXIf") {
    yield* takeExif(carried, chunk)
  } else if ((type === "tEXt" || type === "iTXt") && chunk.sizeBytes <= mostBlockBytes) {
    takeText(carried, type, yield* chunk.at(0, chunk.sizeBytes))
  }
})

const walk = Effect.fnUntraced(function*(source: Source, carried: Carried) {
  let at = 8
  for (let chunks = 0; chunks < mostChunks; chunks++) {
    const head = yield* source.at(at, 8)
    const length = u32(head, 0)
    const type = latin(head, 4, 8)
    if (type === "IEND") return
    yield* take(carried, type, within(source, at + 8, at + 8 + length))
    at += 12 + length
  }
  carried.problems.push(`what stands behind ${mostChunks} chunks was left out`)
})

/** What a PNG carries. */
export const readPng = readBy(walk)
