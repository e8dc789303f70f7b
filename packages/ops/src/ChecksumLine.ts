/**
 * Writes and reads the lines of checksum files, in both styles that coreutils and b3sum know.
 *
 * The plain style is `DIGEST  NAME`, the tagged one `SHA256 (NAME) = DIGEST`. A name that has a line feed, a carriage
 * return or a backslash in it is written with `\n`, `\r` and `\\` in their place, and its line begins with a backslash;
 * all other bytes stand for themselves. So every line is one record, whatever a file is called, and a carriage return
 * at the end is never a part of the name. This is what coreutils does in `src/digest.c` (`problematic_chars`,
 * `print_filename`, `filename_unescape`, `split_3`, `bsd_split_3`, `digest_check`, as of 9.7), and what b3sum 1.8
 * does; `b3sum/what_does_check_do.md` of BLAKE3 does not tell of the carriage return yet.
 *
 * Read are also the binary mark (`DIGEST *NAME`), digits in upper case, blanks before a line, lines that end like those
 * of Windows, and OpenSSL's `SHA2-256(NAME)= DIGEST`; comments (`#`) and empty lines are passed over. Not read is
 * BSD's `DIGEST NAME` with a single space: beside it, a name that begins with a space could pass for another.
 *
 * **Gotchas**
 *
 * `b3sum --check` gives up at the first name that is not UTF-8, and fails those with U+FFFD in them and, in the tagged
 * style, those with two spaces in a row. All programs take the name `-` for their standard input: write `./-`.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"
import * as HashAlgorithms from "./HashAlgorithm.ts"
import type { HashAlgorithm } from "./HashAlgorithm.ts"

/**
 * How lines are written: like `sha256sum`, or like `sha256sum --tag`.
 *
 * @category models
 */
export type Style = "plain" | "tagged"

const explanations = {
  NoChecksum: "is no checksum and name",
  UnknownAlgorithm: "is of an unknown algorithm",
  WrongLength: "has a digest of the wrong length",
  Sampled: "is a content id of samples, which tells nothing about the rest of the file",
  BadEscape: "has a backslash in the name before something else than n, r and a backslash",
  Nul: "has a zero byte in it",
  TooLong: "is too long",
  OtherAlgorithm: "is of another algorithm than the one asked for",
  StandardInput: "is of what was piped in, and not of a file"
} as const

/**
 * What is wrong with a line.
 *
 * @category models
 */
export type Problem = keyof typeof explanations

/**
 * Renders for people what is wrong, to follow "line 5".
 *
 * @category accessors
 */
export const explain = (problem: Problem): string => explanations[problem]

/**
 * Line that was read. Lines are numbered from 1, comments and empty ones included.
 *
 * @category models
 */
export type Line =
  | {
    readonly _tag: "Checksum"
    readonly lineNumber: number
    /** As the line tells it, which only the tagged style does. */
    readonly algorithm: Option.Option<HashAlgorithm>
    /** In lower case. */
    readonly digest: string
    readonly path: FilePath.FilePath
  }
  | { readonly _tag: "Malformed"; readonly lineNumber: number; readonly problem: Problem }

/**
 * What a line is written of.
 *
 * @category models
 */
export interface Checksum {
  readonly algorithm: HashAlgorithm
  readonly digest: string
  readonly path: FilePath.FilePath
}

/** Bytes that the longest line may have: many times what the longest path takes. */
const maxLineBytes = 2 ** 20

const escapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\\": "\\\\" }

/**
 * Writes the line of a file as text, line feed included. As in a `FilePath`, what is not UTF-8 in its name has escapes
 * there: bytes are what `FilePath.toBytes` makes of it.
 *
 * @category constructors
 */
export const text = ({ algorithm, digest, path }: Checksum, style: Style): string => {
  const isEscaped = /[\n\r\\]/.test(path)
  const name = isEscaped ? path.replaceAll(/[\n\r\\]/g, (character) => escapes[character] ?? character) : path
  const mark = isEscaped ? "\\" : ""
  return style === "plain"
    ? `${mark}${digest}  ${name}\n`
    : `${mark}${HashAlgorithms.tag(algorithm)} (${name}) = ${digest}\n`
}

/**
 * Encodes the line of a file, line feed included.
 *
 * @category constructors
 */
export const write = (checksum: Checksum, style: Style): Uint8Array =>
  FilePath.toBytes(FilePath.make(text(checksum, style)))

/** Length of the content ids of samples; no digest is so short. */
const sampledDigits = 16

const plain = /^(?<digest>[\da-f]+) [ *](?<name>.+)$/is
// No digest has a parenthesis in it: the last one closes the name.
const tagged = /^(?<tag>[\da-z-]+) ?\((?<name>.+)\)[ \t]*=[ \t]*(?<digest>[\da-f]+)$/is

const unescape = (name: string): Option.Option<string> => {
  // Removed pair by pair, what is left of the backslashes stands alone.
  if (name.replaceAll(/\\[nr\\]/g, "").includes("\\")) return Option.none()
  return Option.some(
    name.replaceAll(/\\[nr\\]/g, (pair) => pair === "\\n" ? "\n" : pair === "\\r" ? "\r" : "\\")
  )
}

/** Reads a line without its end; `None` if there is nothing on it. */
const parse = (bytes: Uint8Array, lineNumber: number): Option.Option<Line> => {
  const end = bytes.at(-1) === carriageReturn ? bytes.length - 1 : bytes.length
  if (end === 0 || bytes[0] === numberSign) return Option.none()
  const malformed = (problem: Problem) => Option.some<Line>({ _tag: "Malformed", lineNumber, problem })
  if (bytes.includes(0)) return malformed("Nul")
  const text = FilePath.fromBytes(bytes.subarray(0, end)).replace(/^[ \t]+/, "")
  const isEscaped = text.startsWith("\\")
  const record = isEscaped ? text.slice(1) : text
  const { digest = "", name = "", tag } = (tagged.exec(record) ?? plain.exec(record))?.groups ?? {}
  if (name === "") return malformed("NoChecksum")
  const algorithm = Option.flatMap(Option.fromUndefinedOr(tag), HashAlgorithms.find)
  if (tag !== undefined && Option.isNone(algorithm)) return malformed("UnknownAlgorithm")
  const fits = Option.match(algorithm, {
    onNone: () => HashAlgorithms.ofDigits(digest.length).length > 0,
    onSome: (algorithm) => HashAlgorithms.digits(algorithm) === digest.length
  })
  if (!fits) return malformed(tag === undefined && digest.length === sampledDigits ? "Sampled" : "WrongLength")
  const path = isEscaped ? unescape(name) : Option.some(name)
  if (Option.isNone(path)) return malformed("BadEscape")
  return Option.some({
    _tag: "Checksum",
    lineNumber,
    algorithm,
    digest: digest.toLowerCase(),
    path: FilePath.make(path.value)
  })
}

const lineFeed = 0x0a
const carriageReturn = 0x0d
const numberSign = 0x23

/**
 * Reads a checksum file piece by piece, in the memory that its longest line takes.
 *
 * @category running
 */
export class Reader {
  private readonly begun: Array<Uint8Array> = []
  private begunBytes = 0
  private lineNumber = 0

  /** Takes the next bytes, which may change once this returns, and gives the lines that they complete. */
  add(bytes: Uint8Array): ReadonlyArray<Line> {
    const lines: Array<Line> = []
    let start = 0
    for (let end = bytes.indexOf(lineFeed); end >= 0; end = bytes.indexOf(lineFeed, start)) {
      this.begin(bytes.subarray(start, end))
      this.end(lines)
      start = end + 1
    }
    this.begin(bytes.slice(start))
    return lines
  }

  /** Gives the last line, if nothing ended it. */
  get rest(): ReadonlyArray<Line> {
    const lines: Array<Line> = []
    if (this.begunBytes > 0) this.end(lines)
    return lines
  }

  private begin(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.begunBytes += bytes.length
    if (this.begunBytes <= maxLineBytes) this.begun.push(bytes)
    else this.begun.length = 0
  }

  private end(lines: Array<Line>): void {
    const lineNumber = ++this.lineNumber
    const line = this.begunBytes > maxLineBytes
      ? Option.some<Line>({ _tag: "Malformed", lineNumber, problem: "TooLong" })
      : parse(this.begun.length === 1 ? this.begun[0] ?? empty : Buffer.concat(this.begun), lineNumber)
    this.begun.length = 0
    this.begunBytes = 0
    if (Option.isSome(line)) lines.push(line.value)
  }
}

const empty = new Uint8Array(0)

/**
 * Reads a whole checksum file.
 *
 * @category constructors
 */
export const read = (bytes: Uint8Array): ReadonlyArray<Line> => {
  const reader = new Reader()
  return [...reader.add(bytes), ...reader.rest]
}

/**
 * Error of a file that has not the digest that its line says, or can't be read.
 *
 * @category errors
 */
export class CheckFailed extends Schema.TaggedError<CheckFailed>("@fanout/ops/HashTask/CheckFailed")("CheckFailed", {
  /**
   * The file system's own code, such as `EACCES`; `Changed` where it changed while it was read, `Different` where its
   * digest is another one, `NoFile` where a file was expected, `Database` where it belongs to that of the job.
   */
  code: Schema.String,
  path: FilePath.FilePath,
  why: Schema.String
}) {
  override get message(): string {
    return this.why
  }
}
