/**
 * Takes EXIF, XMP and IPTC by how each begins, and out of what programs wrap them in.
 */
import * as Effect from "effect/Effect"
import { brotliDecompressSync, inflateSync } from "node:zlib"
import { latin, mostBlockBytes, ofBytes, u16, u32 } from "./byteSource.ts"
import { type Carried, exifHead, readExif } from "./tiff.ts"

const xmpHead = "http://ns.adobe.com/xap/1.0/\0"
const photoshopHead = "Photoshop 3.0\0"
const resourceHead = "8BIM"

const startsWith = (bytes: Uint8Array, head: string): boolean => latin(bytes, 0, head.length) === head

/** IPTC among what Photoshop keeps in a file. */
const inPhotoshop = (bytes: Uint8Array): Uint8Array | undefined => {
  for (let at = 0; at + 12 <= bytes.length && latin(bytes, at, at + 4) === resourceHead;) {
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

/** Takes what is in a block: of more than one of a kind, the first. */
export const takeBlock = Effect.fnUntraced(function*(carried: Carried, bytes: Uint8Array) {
  if (startsWith(bytes, exifHead)) return yield* takeExif(carried, bytes.subarray(exifHead.length))
  if (/^(?:II\*\0|MM\0\*)/.test(latin(bytes, 0, 4))) return yield* takeExif(carried, bytes)
  if (startsWith(bytes, xmpHead)) carried.xmp ??= bytes.slice(xmpHead.length)
  const resources = startsWith(bytes, photoshopHead) ? bytes.subarray(photoshopHead.length) : bytes
  const iptc = startsWith(bytes, "\x1c\x02") ? bytes : inPhotoshop(resources)
  if (iptc !== undefined) carried.iptc ??= iptc.slice()
})

/** Takes EXIF, which some programs put the head of a JPEG's segment before. */
export const takeExif = (carried: Carried, bytes: Uint8Array) =>
  carried.exif === undefined
    ? readExif(ofBytes(startsWith(bytes, exifHead) ? bytes.subarray(exifHead.length) : bytes), carried)
    : Effect.void

const rawKeyword = /^Raw profile type (\w+)$/

/** Takes a text by its keyword: ImageMagick and others write blocks as digits, behind a name and a length. */
export const takeText = Effect.fnUntraced(
  function*(carried: Carried, keyword: string, text: Uint8Array, isUtf8: boolean) {
    const [, type] = rawKeyword.exec(keyword) ?? []
    if (type !== undefined) {
      const digits = latin(text).replace(/^\s*\w+\s+\d+\s/, "").replaceAll(/\s/g, "")
      const block = Buffer.from(digits, "hex")
      if (type === "xmp" && !startsWith(block, xmpHead)) carried.xmp ??= block
      else yield* takeBlock(carried, block)
    } else if (carried.texts.size < 64) {
      carried.texts.set(keyword, new TextDecoder(isUtf8 ? "utf-8" : "latin1").decode(text))
    }
  }
)

/** What was compressed, if that is no larger than any block; where it is larger or broken, that is a problem. */
export const expanded = (carried: Carried, bytes: Uint8Array, form: "deflate" | "brotli"): Uint8Array | undefined => {
  try {
    return (form === "deflate" ? inflateSync : brotliDecompressSync)(bytes, { maxOutputLength: mostBlockBytes })
  } catch {
    carried.problems.add("a compressed block of it is broken, or is larger than any")
    return undefined
  }
}
