/**
 * The order of keys, which is that of their bytes.
 */
import * as FilePath from "../../FilePath.ts"

/** Behind nearly all characters that keys have. */
export const lastCharacter = "\u{10fffd}"

/** A key as bytes, in whose order a store lists. No path has a NUL. */
export const bytesOf = (key: string): Uint8Array => {
  const parts = key.split("\0").map((part) => FilePath.toBytes(FilePath.make(part)))
  return Buffer.concat(parts.flatMap((part, index) => index === 0 ? [part] : [new Uint8Array(1), part]))
}

/** A key right before this one, with hardly any between the two. */
export const justBefore = (key: string): string => {
  const characters = Array.from(key)
  const code = characters.pop()?.codePointAt(0) ?? 0
  const before = code === 0xe000 ? 0xd7ff : code - 1
  return characters.join("") + (code === 0 ? "" : String.fromCodePoint(before) + lastCharacter)
}
