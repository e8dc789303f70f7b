/**
 * Identifies a file by a sample of its content, as Spacedrive's content id does.
 *
 * The id is the BLAKE3 of the size, eight bytes with the lowest first, followed by what is read: of a file of up to
 * 100 KiB everything, of a larger one 8 KiB from each end and four samples of 10 KiB from between, at even distances.
 * It consists of the digest's first 16 digits. Files that differ only between the samples have the same id.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { fill } from "../content/bufferFill.ts"
import type { Hasher } from "./hasher.ts"

/** Of files up to this size all of the content is in their id. No more is read of any file. */
export const wholeUpToBytes = 102_400

const endBytes = 8192
const sampleBytes = 10_240
const sampleCount = 4

/** The size of a file as it is hashed before the content. */
export const sizeOf = (sizeBytes: number): Uint8Array => {
  const size = new Uint8Array(8)
  new DataView(size.buffer).setBigUint64(0, BigInt(sizeBytes), true)
  return size
}

/** The id by the digest of all that. */
export const ofDigest = (digest: string): string => digest.slice(0, 16)

/** Tells what of a file of this size is read, in order. Samples of a file that is just large enough overlap. */
export const samples = (
  sizeBytes: number
): ReadonlyArray<{ readonly offset: number; readonly sizeBytes: number }> => {
  if (sizeBytes <= wholeUpToBytes) return [{ offset: 0, sizeBytes }]
  const distance = Math.floor((sizeBytes - 2 * endBytes) / sampleCount)
  return [
    { offset: 0, sizeBytes: endBytes },
    ...Array.from(
      { length: sampleCount },
      (_, index) => ({ offset: endBytes + index * distance, sizeBytes: sampleBytes })
    ),
    { offset: sizeBytes - endBytes, sizeBytes: endBytes }
  ]
}

/** Reads into the buffer what stands at this offset of a file, and returns how many bytes it got; 0 at the end. */
export type ReadAt<E> = (buffer: Uint8Array, offset: number) => Effect.Effect<number, E>

/**
 * Computes the id of a file of this size with a BLAKE3 hasher; `None` if the file turns out to be shorter. Of a file
 * that says to be empty it takes what there is: those of the kernel say so.
 */
export const compute = Effect.fnUntraced(function*<E>(hasher: Hasher, sizeBytes: number, readAt: ReadAt<E>) {
  hasher.update(sizeOf(sizeBytes))
  let isWhole = true
  for (const sample of samples(sizeBytes)) {
    const buffer = new Uint8Array(sizeBytes === 0 ? wholeUpToBytes : sample.sizeBytes)
    const length = yield* fill(buffer, sample.offset, readAt)
    isWhole = length >= sample.sizeBytes
    if (!isWhole) break
    hasher.update(buffer.subarray(0, length))
  }
  // Taken in any case, so that the hasher starts anew.
  const digest = hasher.digest()
  return isWhole ? Option.some(ofDigest(digest)) : Option.none<string>()
})
