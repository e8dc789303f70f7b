/**
 * Reads the boxes that films and the photos of telephones are made of (ISO 14496-12).
 */
import * as Effect from "effect/Effect"
import { latin, type Source, u32, within } from "./source.ts"

/** Box; its content as a source of its own. */
export interface Box {
  readonly type: string
  readonly content: Source
}

/** More are never in one place of a file that is sound, fragments of films apart. */
const mostBoxes = 1024

/**
 * Boxes that are in a source, one behind the other. They end where something else stands, and what is behind the first
 * 1,024 is left.
 */
export const boxesIn = Effect.fnUntraced(function*(source: Source) {
  const boxes: Array<Box> = []
  for (let at = 0; at + 8 <= source.sizeBytes && boxes.length < mostBoxes;) {
    const head = yield* source.at(at, 8)
    const short = u32(head, 0)
    const isLong = short === 1
    if (isLong && at + 16 > source.sizeBytes) break
    const long = isLong ? yield* source.at(at + 8, 8) : head
    const length = isLong ? u32(long, 0) * 2 ** 32 + u32(long, 4) : short === 0 ? source.sizeBytes - at : short
    const start = at + (isLong ? 16 : 8)
    if (length < start - at) break
    const type = latin(head, 4, 8)
    // One that claims more than there is ends with what it is in.
    const end = Math.min(at + length, source.sizeBytes)
    boxes.push({ type, content: within(source, start, end) })
    at += length
  }
  return boxes
})

/** The first box of a type. */
export const find = (boxes: ReadonlyArray<Box>, type: string): Box | undefined => boxes.find((box) => box.type === type)

/** Source without so many of its first bytes, such as the version of a box. */
export const without = (source: Source, bytes: number): Source =>
  within(source, Math.min(bytes, source.sizeBytes), source.sizeBytes)
