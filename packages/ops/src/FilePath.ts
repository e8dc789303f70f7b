/**
 * Keeps the name of a file byte for byte, in a string that survives JSON.
 *
 * The kernel knows names as bytes, and no rule says that they are UTF-8. A `FilePath` holds
 * them as text in which each byte that is not part of valid UTF-8 is a lone surrogate
 * (U+DC80 to U+DCFF, the scheme of PEP 383). Valid UTF-8 has no surrogates, so the two
 * cannot be confused, and `JSON.stringify` escapes them without loss.
 */
import * as Brand from "effect/Brand"
import type * as Order from "effect/Order"
import * as Schema from "effect/Schema"

/**
 * Schema for paths: bytes without NUL, in the canonical escaped form.
 *
 * @category schemas
 */
export const FilePath = Schema.String.pipe(
  Schema.check(Schema.makeFilter((text: string) => isCanonical(text), {
    expected: "a path without NUL whose bytes that are not UTF-8 are escaped"
  })),
  Schema.brand("@fanout/ops/FilePath")
)

/**
 * Name of a file or folder, or a path of such names, true to the byte.
 *
 * @category models
 */
export type FilePath = typeof FilePath.Type

// Parts of paths are paths; checking each of them again would cost more than the walk that makes them.
const trusted = Brand.nominal<FilePath>()

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const isCanonical = (text: string): boolean =>
  !text.includes("\0") && (text.isWellFormed() || decode(encode(text)) === text)

/**
 * Creates a `FilePath` from text, throwing where the text is not a path.
 *
 * @category constructors
 */
export const make = (text: string): FilePath => FilePath.make(text)

/**
 * Path of the folder that a relative path starts from.
 *
 * @category constructors
 */
export const empty: FilePath = make("")

/**
 * Creates the path that has these bytes. They must not contain NUL, as no name of a file does.
 *
 * @category constructors
 */
export const fromBytes = (bytes: Uint8Array): FilePath => trusted(decode(bytes))

// oxlint-disable-next-line no-control-regex -- most names are such
const isAscii = /^[\0-\x7f]*$/

/**
 * Like `fromBytes`, of bytes that are given as one character (U+0000 to U+00FF) each.
 *
 * @category constructors
 */
export const fromLatin1 = (text: string): FilePath =>
  isAscii.test(text) ? trusted(text) : fromBytes(Uint8Array.from(text, (character) => character.charCodeAt(0)))

/**
 * Reads the bytes that the kernel is to be given for a path.
 *
 * @category accessors
 */
export const toBytes = (path: FilePath): Uint8Array => encode(path)

const decode = (bytes: Uint8Array): string => {
  try {
    return decoder.decode(bytes)
  } catch {
    return decodeEscaped(bytes)
  }
}

const decodeEscaped = (bytes: Uint8Array): string => {
  let text = ""
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at)
    text += length === 0
      ? String.fromCharCode(0xdc00 + byteAt(bytes, at))
      : decoder.decode(bytes.subarray(at, at + length))
    at += length === 0 ? 1 : length
  }
  return text
}

const byteAt = (bytes: Uint8Array, at: number): number => bytes[at] ?? 0

const isBetween = (bytes: Uint8Array, at: number, low: number, high: number): boolean =>
  byteAt(bytes, at) >= low && byteAt(bytes, at) <= high

/** Length of the well-formed sequence at this place (table 3-7 of the Unicode standard); 0 if there is none. */
const sequenceLength = (bytes: Uint8Array, at: number): number => {
  const first = byteAt(bytes, at)
  if (first < 0x80) return 1
  if (first < 0xc2 || first > 0xf4) return 0
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  if (!isBetween(bytes, at + 1, low, high)) return 0
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
  for (let i = 2; i < length; i++) {
    if (!isBetween(bytes, at + i, 0x80, 0xbf)) return 0
  }
  return length
}

const encode = (text: string): Uint8Array => {
  if (text.isWellFormed()) return encoder.encode(text)
  const bytes: Array<number> = []
  for (const character of text) {
    const code = character.charCodeAt(0)
    if (character.length === 1 && isEscape(code)) bytes.push(code - 0xdc00)
    else bytes.push(...encoder.encode(character))
  }
  return Uint8Array.from(bytes)
}

const isEscape = (code: number): boolean => code >= 0xdc80 && code <= 0xdcff

/**
 * Checks whether a path starts at the root of the file system.
 *
 * @category predicates
 */
export const isAbsolute = (path: FilePath): boolean => path.startsWith("/")

const scheme = /^[a-z][a-z0-9+.-]+:\/\//i

/**
 * Checks whether an address of objects, such as `s3://bucket/prefix`, stands in the place of a path. A file whose name
 * reads like one is called `./s3:`.
 *
 * @category predicates
 */
export const isAddress = (path: FilePath): boolean => scheme.test(path)

/**
 * Checks whether a path is a folder's own or lies below it, going by the names alone.
 *
 * @category predicates
 */
export const isWithin = (path: FilePath, folder: FilePath): boolean =>
  path.startsWith(folder) &&
  (path.length === folder.length || folder === "" || folder.endsWith("/") || path[folder.length] === "/")

/**
 * Creates the path of a child. An absolute child stands for itself.
 *
 * @category constructors
 */
export const join = (folder: FilePath, child: FilePath): FilePath => {
  if (folder === "" || isAbsolute(child)) return child
  if (child === "") return folder
  return trusted(folder.endsWith("/") ? folder + child : `${folder}/${child}`)
}

/** Where the last component starts and ends, trailing slashes apart. */
const lastComponent = (path: FilePath): { readonly start: number; readonly end: number } => {
  let end = path.length
  while (end > 0 && path[end - 1] === "/") end--
  return { start: path.lastIndexOf("/", end - 1) + 1, end }
}

/** Whether the last component, which starts there, is the bucket of an address, which is in no folder. */
const isBucket = (path: FilePath, start: number): boolean =>
  path.startsWith("://", start - 3) && scheme.exec(path)?.[0].length === start

/**
 * Reads the last component of a path, without trailing slashes; empty for the root, and for the address of a bucket.
 *
 * @category accessors
 */
export const name = (path: FilePath): FilePath => {
  const { end, start } = lastComponent(path)
  return trusted(end === 0 || isBucket(path, start) ? "" : path.slice(start, end))
}

/**
 * Reads the path of the folder that holds the last component; the root is its own parent, as is the address of a
 * bucket, and a bare name has an empty one.
 *
 * @category accessors
 */
export const parent = (path: FilePath): FilePath => {
  const { end, start } = lastComponent(path)
  if (end === 0) return trusted(path === "" ? "" : "/")
  if (isBucket(path, start)) return trusted(path.slice(0, end))
  let last = start
  while (last > 1 && path[last - 1] === "/") last--
  return trusted(path.slice(0, last))
}

/**
 * Orders paths as a sorted walk meets them: by component, bytes within a component, a folder
 * before what is in it. So `a/b` comes before `a.txt`.
 *
 * @category accessors
 */
export const order: Order.Order<FilePath> = (a, b) => {
  const [x, y] = [toBytes(a), toBytes(b)]
  const shared = Math.min(x.length, y.length)
  let at = 0
  while (at < shared && x[at] === y[at]) at++
  if (at === shared) return x.length === y.length ? 0 : x.length < y.length ? -1 : 1
  if (x[at] === slash) return -1
  return y[at] === slash || byteAt(x, at) > byteAt(y, at) ? 1 : -1
}

const slash = 0x2f

/**
 * Encodes a path as well-formed text, for where lone surrogates would be lost: JSON escapes them, a database
 * does not. Names that are UTF-8 and have no backslash stay as they are.
 *
 * @category accessors
 */
export const toText = (path: FilePath): string =>
  // Nearly all are such, and each entry of a walk has its text in a cursor.
  path.isWellFormed() && !path.includes("\\") ? path : path.replaceAll(
    /[\\\p{Cs}]/gu,
    (character) => `\\${(character.charCodeAt(0) & 0xff).toString(16).padStart(2, "0")}`
  )

/**
 * Decodes what `toText` encoded, throwing where the text is not a path.
 *
 * @category constructors
 */
export const fromText = (text: string): FilePath =>
  make(text.replaceAll(/\\([0-9a-f]{2})/g, (_, digits: string) => {
    const byte = Number.parseInt(digits, 16)
    return String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)
  }))

const named: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

/**
 * Renders text that may quote paths for people: on one line, with nothing in it that a terminal would obey.
 *
 * @category accessors
 */
export const printable = (text: string): string =>
  // Control characters, bytes that are not UTF-8, and what makes a terminal break or turn a line.
  text.replaceAll(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    const code = character.charCodeAt(0)
    if (isEscape(code)) return `\\x${(code - 0xdc00).toString(16)}`
    return named[character] ??
      (code < 0x80 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`)
  })

/**
 * Renders a path for people, like `printable`, and so that no path reads like another.
 *
 * @category accessors
 */
export const display = (path: FilePath): string => printable(path.replaceAll("\\", "\\\\"))
