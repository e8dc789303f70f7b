/**
 * What a content id has in it beside the content.
 */

/** Of files up to this size all of the content is in their id. */
export const wholeUpToBytes = 102_400

/** The size of a file as it is hashed before the content. */
export const sizeOf = (sizeBytes: number): Uint8Array => {
  const size = new Uint8Array(8)
  new DataView(size.buffer).setBigUint64(0, BigInt(sizeBytes), true)
  return size
}

/** The id by the digest of all that. */
export const ofDigest = (digest: string): string => digest.slice(0, 16)
