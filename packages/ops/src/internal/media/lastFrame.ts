/**
 * Tells whether the last frames of FLAC and WavPack are there: their heads say how many samples there are, and not how
 * many bytes.
 */
import * as Effect from "effect/Effect"
import { headOf, type Source, u16, u32 } from "./byteSource.ts"

/** How many bytes of the end have a frame in them, where no writer makes larger ones. */
const tailBytes = 2 ** 17

/** Checksum of the head of a frame of FLAC. */
const checksum = (bytes: Uint8Array): number =>
  bytes.reduce((sum, byte) => {
    let value = sum ^ byte
    for (let bit = 0; bit < 8; bit++) value = (value << 1 ^ (value < 128 ? 0 : 7)) & 0xff
    return value
  }, 0)

/** Behind which sample a frame of FLAC ends that begins here, where blocks have so many; nothing if none does. */
export const flacEnd = (blockSamples: number) => (bytes: Uint8Array, at: number): number | undefined => {
  const [, second = 0, third = 0, , first = 0] = bytes.subarray(at, at + 5)
  if ((second & 0xfe) !== 0xf8) return undefined
  // A number as UTF-8 has it.
  const ones = Math.clz32(~(first << 24))
  const sizeAt = at + 4 + Math.max(1, ones)
  const number = bytes.subarray(at + 5, sizeAt).reduce((sum, byte) => sum * 64 + (byte & 63), first & (0x7f >> ones))
  const size = third >> 4
  const samples = size === 1
    ? 192
    : size === 6
    ? (bytes[sizeAt] ?? 0) + 1
    : size === 7
    ? u16(bytes, sizeAt) + 1
    : size < 6
    ? 576 << (size - 2)
    : 256 << (size - 8)
  const rate = third & 15
  const end = sizeAt + (size === 6 ? 1 : size === 7 ? 2 : 0) + (rate === 12 ? 1 : rate === 13 || rate === 14 ? 2 : 0)
  if (bytes[end] !== checksum(bytes.subarray(at, end))) return undefined
  return ((second & 1) === 1 ? number : number * blockSamples) + samples
}

/** Behind which sample a block of WavPack ends that begins here and is whole. */
export const wavPackEnd = (bytes: Uint8Array, at: number): number | undefined => {
  const samples = u32(bytes, at + 20, true)
  const isWhole = at + 8 + u32(bytes, at + 4, true) <= bytes.length
  return samples === 0 || !isWhole ? undefined : u32(bytes, at + 16, true) + samples
}

/** What is wrong where the last frame at the end of a file, which begins like this, is not that of the last sample. */
export const missingSamples = Effect.fnUntraced(function*(
  source: Source,
  mark: string,
  total: number,
  endAt: (bytes: Uint8Array, at: number) => number | undefined
) {
  const tail = Buffer.from(yield* headOf(source, tailBytes, Math.max(0, source.sizeBytes - tailBytes)))
  let last = 0
  for (let at = tail.indexOf(mark, 0, "latin1"); at !== -1; at = tail.indexOf(mark, at + 1, "latin1")) {
    last = Math.max(last, endAt(tail, at) ?? 0)
  }
  return last > 0 && last < total ? [`it is cut: it has ${last} of ${total} samples`] : []
})
