/**
 * CRC-32 as stores write it, and that of a whole from those of its parts.
 */
import { crc32 } from "node:zlib"
import type { Checksum, UploadedPart } from "../../ObjectStore.ts"

const hexOf = (value: number): string => value.toString(16).padStart(8, "0")

export const crc32Of = (bytes: Uint8Array): Checksum => ({ algorithm: "crc32", digest: hexOf(crc32(bytes)) })

// What a zero bit behind the data does to the state is linear, so it is a matrix of bits, whose powers are those of
// more zeros. As in `crc32_combine` of zlib.
const times = (matrix: Uint32Array, vector: number): number => {
  let sum = 0
  for (let row = 0, rest = vector; rest !== 0; row++, rest >>>= 1) if ((rest & 1) === 1) sum ^= matrix[row] ?? 0
  return sum >>> 0
}
const squared = (matrix: Uint32Array): Uint32Array => matrix.map((row) => times(matrix, row))

const combined = (first: number, second: number, secondBytes: number): number => {
  const oneBit = Uint32Array.from({ length: 32 }, (_, row) => row === 0 ? 0xedb88320 : (1 << (row - 1)) >>> 0)
  let zeros = squared(squared(oneBit))
  let state = first
  for (let bytes = secondBytes; bytes > 0; bytes = Math.floor(bytes / 2)) {
    zeros = squared(zeros)
    if (bytes % 2 === 1) state = times(zeros, state)
  }
  return (state ^ second) >>> 0
}

/** The checksum of parts, one behind the other, if each of them has one. */
export const crc32OfParts = (parts: ReadonlyArray<UploadedPart>): Checksum | undefined => {
  let whole = 0
  for (const { checksum, sizeBytes } of parts) {
    if (checksum?.algorithm !== "crc32") return undefined
    whole = combined(whole, Number.parseInt(checksum.digest, 16), sizeBytes)
  }
  return { algorithm: "crc32", digest: hexOf(whole) }
}
