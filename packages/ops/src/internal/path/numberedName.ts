/**
 * Finds another name for a file whose name is taken: `photo (1).jpg`.
 *
 * The number goes before the extension: what follows the last dot, together with a `.tar` before it
 * (`a (1).tar.gz`). A name that only begins with a dot has no extension (`.profile (1)`), nor has one where a
 * space or more than 16 bytes follow the dot (`Mr. Smith (1)`).
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as FilePath from "../../FilePath.ts"
import type { FilesError } from "../../FilesError.ts"
import * as Place from "./place.ts"

/** Numbers that are tried before the search for a free name is given up. */
export const maxNumber = 9999

/** Error of a search that found every name taken. */
export class NoFreeName extends Schema.TaggedError<NoFreeName>("@fanout/ops/NumberedName/NoFreeName")("NoFreeName", {
  path: FilePath.FilePath
}) {
  override get message(): string {
    return `All names up to "${FilePath.display(make(this.path, maxNumber))}" are taken`
  }
}

const maxNameBytes = 255
const maxExtensionBytes = 16

const byteLength = (text: FilePath.FilePath): number => FilePath.toBytes(text).length

/** Where the extension starts; the length of the name if it has none. */
const extensionStart = (name: FilePath.FilePath): number => {
  const dot = name.lastIndexOf(".")
  const extension = FilePath.make(name.slice(dot + 1))
  if (dot <= 0 || extension === "" || extension.includes(" ") || byteLength(extension) > maxExtensionBytes) {
    return name.length
  }
  const tar = name.slice(0, dot).endsWith(".tar") ? dot - ".tar".length : 0
  return tar > 0 ? tar : dot
}

/** The longest beginning, in whole characters, of at most so many bytes. */
const shortened = (text: string, maxBytes: number): string => {
  let [kept, left] = ["", maxBytes]
  for (const character of text) {
    left -= byteLength(FilePath.make(character))
    if (left < 0) return kept
    kept += character
  }
  return kept
}

/**
 * Creates the path, or the bare name, beside this one that has the number in its name. A name that would get longer
 * than 255 bytes is shortened before the number.
 */
export const make = (path: FilePath.FilePath, number: number): FilePath.FilePath => {
  const name = FilePath.name(path)
  const start = extensionStart(name)
  const ending = FilePath.make(` (${number})${name.slice(start)}`)
  const stem = shortened(name.slice(0, start), maxNameBytes - byteLength(ending))
  return FilePath.join(FilePath.parent(path), FilePath.make(stem + ending))
}

/**
 * Finds the first number whose name is free.
 *
 * Somebody else may take the name in the meantime: publish under it without replacing, and search again.
 */
export const firstFree = Effect.fnUntraced(function*(
  { folder, name }: Place.Place
): Effect.fn.Return<number, FilesError | NoFreeName> {
  for (let number = 1; number <= maxNumber; number++) {
    if (Option.isNone(yield* folder.find(make(name, number)))) return number
  }
  return yield* new NoFreeName({ path: Place.path({ folder, name }) })
})
