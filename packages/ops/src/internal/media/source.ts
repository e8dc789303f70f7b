/**
 * Reads bytes of a file by their place, and never more of them than is allowed.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"

/** Why a file can't be read as what it is said to be. */
export class Fault extends Data.TaggedError("Fault")<{
  readonly code: "Malformed" | "TooMuch"
  readonly why: string
}> {}

export const malformed = (why: string): Fault => new Fault({ code: "Malformed", why })

/** What bytes come from. */
export interface Source {
  readonly sizeBytes: number
  /** Exactly these bytes. They are not to be changed. */
  readonly at: (offset: number, length: number) => Effect.Effect<Uint8Array, FilesError | Fault>
  /** The same, if they are there already. */
  readonly kept?: (offset: number, length: number) => Uint8Array | undefined
}

/** A part of a source, as a source. */
export const within = (source: Source, start: number, end: number): Source => ({
  sizeBytes: end - start,
  at: (offset, length) => offset + length > end - start ? Effect.fail(pastEnd) : source.at(start + offset, length)
})

export const ofBytes = (bytes: Uint8Array): Source => ({
  sizeBytes: bytes.length,
  at: (offset, length) =>
    offset + length > bytes.length ? Effect.fail(pastEnd) : Effect.succeed(bytes.subarray(offset, offset + length)),
  kept: (offset, length) => bytes.subarray(offset, offset + length)
})

const pastEnd = malformed("it ends before what it says it has")

/** What a photo says of itself is hardly ever further behind. */
const headBytes = 2 ** 16

/** Whoever reads a few bytes somewhere reads more of them beside these. */
const pieceBytes = 2 ** 12

interface Piece {
  readonly start: number
  readonly bytes: Uint8Array
}

const nothing: Piece = { start: 0, bytes: new Uint8Array(0) }

/** A file that is open. Its first bytes are kept, and those that were read last. */
export class FileSource implements Source {
  readonly sizeBytes: number
  /** How many bytes were read of the file. */
  bytesRead = 0
  private readonly file: Files.OpenFile
  private readonly mostBytes: number
  private head = nothing
  private last = nothing

  constructor(file: Files.OpenFile, sizeBytes: number, mostBytes: number) {
    this.file = file
    this.sizeBytes = sizeBytes
    this.mostBytes = mostBytes
  }

  kept(offset: number, length: number): Uint8Array | undefined {
    for (const { bytes, start } of [this.head, this.last]) {
      if (offset >= start && offset + length <= start + bytes.length) {
        return bytes.subarray(offset - start, offset - start + length)
      }
    }
    return undefined
  }

  readonly at = (offset: number, length: number): Effect.Effect<Uint8Array, FilesError | Fault> => {
    const kept = this.kept(offset, length)
    if (kept !== undefined) return Effect.succeed(kept)
    // Claims are looked at before there is memory for them.
    if (offset + length > this.sizeBytes) return Effect.fail(pastEnd)
    const wanted = Math.min(Math.max(length, offset === 0 ? headBytes : pieceBytes), this.sizeBytes - offset)
    if (this.bytesRead + wanted > this.mostBytes) return Effect.fail(this.tooMuch)
    return Effect.flatMap(this.read(new Uint8Array(wanted), offset), (bytes) => {
      if (offset === 0) this.head = { start: offset, bytes }
      else this.last = { start: offset, bytes }
      return bytes.length < length ? Effect.fail(pastEnd) : Effect.succeed(bytes.subarray(0, length))
    })
  }

  private get tooMuch(): Fault {
    return new Fault({ code: "TooMuch", why: `more than ${this.mostBytes} bytes of it would have to be read` })
  }

  /** Fills the buffer, unless the file ends. */
  private read(buffer: Uint8Array, offset: number, filled = 0): Effect.Effect<Uint8Array, FilesError> {
    return Effect.flatMap(this.file.readAt(buffer.subarray(filled), offset + filled), (length) => {
      this.bytesRead += length
      return length === 0 || filled + length === buffer.length
        ? Effect.succeed(buffer.subarray(0, filled + length))
        : this.read(buffer, offset, filled + length)
    })
  }
}

/** The first bytes from a place on, as many of these as there are. */
export const headOf = (source: Source, length: number, start: number): Effect.Effect<Uint8Array, FilesError | Fault> =>
  source.at(start, Math.min(length, source.sizeBytes - start))

export const u16 = (bytes: Uint8Array, offset: number, isLittle = false): number => {
  const [a = 0, b = 0] = [bytes[offset], bytes[offset + 1]]
  return isLittle ? a | (b << 8) : (a << 8) | b
}

export const u32 = (bytes: Uint8Array, offset: number, isLittle = false): number =>
  isLittle
    ? u16(bytes, offset, true) + u16(bytes, offset + 2, true) * 65_536
    : u16(bytes, offset) * 65_536 + u16(bytes, offset + 2)

/** Bytes as one character each. */
export const latin = (bytes: Uint8Array, start = 0, end = bytes.length): string =>
  String.fromCharCode(...bytes.subarray(start, end))
