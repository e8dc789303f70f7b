/**
 * Reads the boxes that films and the photos of telephones are made of (ISO 14496-12).
 */
import { latin, u32, u64 } from "./byteSource.ts"

/** A box; its content as far as there is any. */
export interface Box {
  readonly type: string
  readonly content: Uint8Array
  /** Whether it has less than it says. */
  readonly isCut: boolean
}

/** More are never in one place of a file that is sound, fragments of films apart. */
export const mostBoxes = 1024

/** What a box that begins here says of itself, if there is so much behind that: one without a length has all of it. */
export const headAt = (bytes: Uint8Array, at: number, rest: number) => {
  const short = u32(bytes, at)
  const headBytes = short === 1 && rest >= 16 ? 16 : 8
  const length = headBytes === 16 ? u64(bytes, at + 8) : short === 0 ? rest : short
  return { type: latin(bytes, at + 4, at + 8), headBytes, length, isOpen: short === 0 }
}

/** The first 1,024 boxes that are in some bytes, one behind the other. They end where something else stands. */
export const boxesIn = (bytes: Uint8Array): ReadonlyArray<Box> => {
  const boxes: Array<Box> = []
  for (let at = 0; at + 8 <= bytes.length && boxes.length < mostBoxes;) {
    const { headBytes, length, type } = headAt(bytes, at, bytes.length - at)
    if (length < headBytes) break
    boxes.push({ type, content: bytes.subarray(at + headBytes, at + length), isCut: at + length > bytes.length })
    at += length
  }
  return boxes
}

/** The first box of a type. */
export const find = <B extends { readonly type: string }>(boxes: ReadonlyArray<B>, type: string): B | undefined =>
  boxes.find((box) => box.type === type)
