/**
 * Identifies a file by a sample of its content, as Spacedrive's content id does.
 *
 * The id is the BLAKE3 of the size, eight bytes with the lowest first, followed by what is read: of a file of up to
 * 100 KiB everything, of a larger one 8 KiB from each end and four samples of 10 KiB from between, at even distances.
 * It consists of the digest's first 16 digits.
 *
 * **Gotchas**
 *
 * Files that differ only between the samples have the same id. It finds what may be duplicates; it is no checksum, and
 * verifies nothing.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Hasher } from "./Hasher.ts"
import * as ContentId from "./internal/contentId.ts"

/**
 * Part of a file.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sample {
  readonly offset: number
  readonly sizeBytes: number
}

/**
 * Reads into the buffer what stands at this offset of a file, and returns how many bytes it got; 0 at the end.
 *
 * @category models
 * @since 0.1.0
 */
export type ReadAt<E> = (buffer: Uint8Array, offset: number) => Effect.Effect<number, E>

const { wholeUpToBytes } = ContentId
const endBytes = 8192
const sampleBytes = 10_240
const sampleCount = 4

/**
 * The most that is read of a file, in bytes.
 *
 * @category accessors
 * @since 0.1.0
 */
export const maxReadBytes = wholeUpToBytes

/**
 * Tells what of a file of this size is read, in order. Samples of a file that is just large enough overlap.
 *
 * @category accessors
 * @since 0.1.0
 */
export const samples = (sizeBytes: number): ReadonlyArray<Sample> => {
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

/** Fills the buffer as far as the file goes, and returns how many bytes that are. */
const fill = Effect.fnUntraced(function*<E>(buffer: Uint8Array, offset: number, readAt: ReadAt<E>) {
  let at = 0
  while (at < buffer.length) {
    const got = yield* readAt(buffer.subarray(at), offset + at)
    if (got === 0) break
    at += got
  }
  return at
})

/**
 * Computes the id of a file of this size with a BLAKE3 hasher; `None` if the file turns out to be shorter. Of a file
 * that says to be empty it takes what there is: those of the kernel say so.
 *
 * @category running
 * @since 0.1.0
 */
export const compute = Effect.fnUntraced(function*<E>(hasher: Hasher, sizeBytes: number, readAt: ReadAt<E>) {
  hasher.update(ContentId.sizeOf(sizeBytes))
  let whole = true
  for (const sample of samples(sizeBytes)) {
    const buffer = new Uint8Array(sizeBytes === 0 ? wholeUpToBytes : sample.sizeBytes)
    const length = yield* fill(buffer, sample.offset, readAt)
    whole = length >= sample.sizeBytes
    if (!whole) break
    hasher.update(buffer.subarray(0, length))
  }
  // Taken in any case, so that the hasher starts anew.
  const digest = hasher.digest()
  return whole ? Option.some(ContentId.ofDigest(digest)) : Option.none<string>()
})
