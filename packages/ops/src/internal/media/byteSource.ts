/**
 * Reads bytes of a file by their place, and never more of them than is allowed.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import { fill } from "../content/bufferFill.ts"

/** Why a file can't be read as what it is said to be. */
export class Fault extends Data.TaggedError("Fault")<{
  readonly code: "Malformed" | "TooMuch"
  readonly why: string
}> {}

export const malformed = (why: string): Fault => new Fault({ code: "Malformed", why })

/** What is malformed is noted, and is not there. */
export const noting = <A>(
  effect: Effect.Effect<A, FilesError | Fault>,
  note: (why: string) => void
): Effect.Effect<A | undefined, FilesError | Fault> =>
  Effect.catchTag(effect, "Fault", (fault) => {
    if (fault.code !== "Malformed") return Effect.fail(fault)
    note(fault.why)
    return Effect.undefined
  })

/** What bytes come from. */
export interface Source {
  readonly sizeBytes: number
  /** Exactly these bytes. They are not to be changed. */
  readonly at: (offset: number, length: number) => Effect.Effect<Uint8Array, FilesError | Fault>
}

/** A part of a source, as a source. */
export const within = (source: Source, start: number, end: number): Source => ({
  sizeBytes: end - start,
  at: (offset, length) => offset + length > end - start ? Effect.fail(pastEnd) : source.at(start + offset, length)
})

export const ofBytes = (bytes: Uint8Array): Source => ({
  sizeBytes: bytes.length,
  at: (offset, length) =>
    offset + length > bytes.length ? Effect.fail(pastEnd) : Effect.succeed(bytes.subarray(offset, offset + length))
})

const pastEnd = malformed("it ends before what it says it has")

/** Most bytes of one piece of metadata. */
export const mostBlockBytes = 2 ** 20

/** What a photo says of itself is hardly ever further behind. */
const headBytes = 2 ** 16

/** Whoever reads a few bytes somewhere reads more of them beside these. */
const pieceBytes = 2 ** 12

/** A file that is open, of which so much may be read. Its first bytes are kept, and those that were read last. */
export const ofFile = (file: Files.OpenFile, sizeBytes: number, mostBytes: number) => {
  let bytesRead = 0
  const pieces = [0, 0].map((start) => ({ start, bytes: new Uint8Array(0) }))
  const at: Source["at"] = (offset, length) => {
    for (const { bytes, start } of pieces) {
      const from = offset - start
      if (from >= 0 && from + length <= bytes.length) return Effect.succeed(bytes.subarray(from, from + length))
    }
    // Claims are looked at before there is memory for them.
    if (offset + length > sizeBytes) return Effect.fail(pastEnd)
    const wanted = Math.min(Math.max(length, offset === 0 ? headBytes : pieceBytes), sizeBytes - offset)
    if (bytesRead + wanted > mostBytes) {
      return Effect.fail(
        new Fault({ code: "TooMuch", why: `more than ${mostBytes} bytes of it would have to be read` })
      )
    }
    const buffer = new Uint8Array(wanted)
    return Effect.flatMap(fill(buffer, offset, (part, at) => file.readAt(part, at)), (filled) => {
      bytesRead += filled
      pieces[offset === 0 ? 0 : 1] = { start: offset, bytes: buffer.subarray(0, filled) }
      return filled < length ? Effect.fail(pastEnd) : Effect.succeed(buffer.subarray(0, length))
    })
  }
  return { sizeBytes, at, bytesRead: () => bytesRead }
}

/** The first bytes from a place on, as many of these as there are. */
export const headOf = (
  source: Source,
  length: number,
  start: number
): Effect.Effect<Uint8Array, FilesError | Fault> => {
  const from = Math.min(start, source.sizeBytes)
  return source.at(from, Math.max(0, Math.min(length, source.sizeBytes - from)))
}

export const u16 = (bytes: Uint8Array, offset: number, isLittle = false): number => {
  const [a = 0, b = 0] = [bytes[offset], bytes[offset + 1]]
  return isLittle ? a | (b << 8) : (a << 8) | b
}

export const u32 = (bytes: Uint8Array, offset: number, isLittle = false): number =>
  isLittle
    ? u16(bytes, offset, true) + u16(bytes, offset + 2, true) * 65_536
    : u16(bytes, offset) * 65_536 + u16(bytes, offset + 2)

export const u64 = (bytes: Uint8Array, offset: number): number => u32(bytes, offset) * 2 ** 32 + u32(bytes, offset + 4)

/** Bytes as one character each. */
export const latin = (bytes: Uint8Array, start = 0, end = bytes.length): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1", start, end)
