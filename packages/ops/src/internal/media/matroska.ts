/**
 * Finds the elements of a Matroska file that tell of its streams, and its tags (RFC 8794, RFC 9559).
 */
import * as Effect from "effect/Effect"
import { headOf, mostBlockBytes, type Source } from "./byteSource.ts"

const ids = { header: 0x1a45dfa3, segment: 0x18538067, info: 0x1549a966, tracks: 0x1654ae6b, tags: 0x1254c367 } as const

const telling = new Set<number>([ids.info, ids.tracks, ids.tags])

/** A segment that has all of the rest in it. */
const segment = Uint8Array.of(0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)

/** How many bytes a number takes, by its first one; more than 8 are none. */
const lengthAt = (bytes: Uint8Array, at: number): number => Math.clz32(bytes[at] ?? 0) - 23

const numberOf = (bytes: Iterable<number>): number => Array.from(bytes).reduce((sum, byte) => sum * 256 + byte, 0)

interface Element {
  readonly id: number
  readonly start: number
  readonly end: number | undefined
}

/** What element begins at a place, and where its content is; that of an unknown size has no end. */
const elementAt = Effect.fnUntraced(function*(source: Source, at: number) {
  const bytes = yield* headOf(source, 12, at)
  const idLength = lengthAt(bytes, 0)
  const length = lengthAt(bytes, idLength)
  if (idLength > 4 || length > 8 || idLength + length > bytes.length) return undefined
  const start = at + idLength + length
  // The first bit that is set tells the length, and is none of the number.
  const most = 2 ** (8 - length) - 1
  const [first = 0, ...rest] = bytes.subarray(idLength, idLength + length)
  const isUnknown = (first & most) === most && rest.every((byte) => byte === 0xff)
  const end = isUnknown ? undefined : start + numberOf([first & most, ...rest])
  return { id: numberOf(bytes.subarray(0, idLength)), start, end }
})

/** How many bytes a file has by what its segment says, if that does. */
export const segmentEnd = Effect.fnUntraced(function*(source: Source) {
  const header = yield* elementAt(source, 0)
  return header?.end === undefined ? undefined : (yield* elementAt(source, header.end))?.end
})

/** What a file begins with, and each of these elements that is whole. */
export const elementsIn = Effect.fnUntraced(function*(source: Source) {
  const header = yield* elementAt(source, 0)
  const outer = header?.end === undefined ? undefined : yield* elementAt(source, header.end)
  if (header?.end === undefined || header.id !== ids.header || outer?.id !== ids.segment) return undefined
  const head = Buffer.concat([yield* source.at(0, header.end), segment])
  const elements: Array<Uint8Array> = []
  let at: number | undefined = outer.start
  while (at !== undefined && at < source.sizeBytes) {
    const element: Element | undefined = yield* elementAt(source, at)
    const end: number | undefined = element?.end
    if (element !== undefined && end !== undefined && telling.has(element.id) && end - at <= mostBlockBytes) {
      elements.push((yield* source.at(at, end - at)).slice())
    }
    at = end
  }
  return { head, elements }
})
