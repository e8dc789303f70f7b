/**
 * Digests by the algorithms of checksums that stores keep.
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import type { Checksum, ChecksumAlgorithm } from "../../ObjectStore.ts"
import type { Hasher } from "./hasher.ts"

/** What is compared by, the surest and quickest first. */
const preferred: ReadonlyArray<ChecksumAlgorithm> = ["sha256", "sha1", "md5", "crc32", "crc64nvme", "crc32c"]

/** Checksums of two by one algorithm, if there are some. */
export const common = (a: ReadonlyArray<Checksum>, b: ReadonlyArray<Checksum>) =>
  preferred.flatMap((algorithm) => {
    const [inA, inB] = [a, b].map((all) => all.find((one) => one.algorithm === algorithm)?.digest)
    return inA === undefined || inB === undefined ? [] : [{ algorithm, a: inA, b: inB }]
  }).at(0)

/** The checksum that content is compared by, if there is one. */
export const surest = (checksums: ReadonlyArray<Checksum>): Checksum | undefined =>
  preferred.map((algorithm) => checksums.find((one) => one.algorithm === algorithm)).find((one) => one !== undefined)

const hexOf = (value: number): string => (value >>> 0).toString(16).padStart(8, "0")

/** What each byte does to a CRC of up to 64 bits, as lower and upper halves; `poly` is reflected. */
const tableOf = ([polyLow, polyHigh]: readonly [low: number, high: number]): Int32Array => {
  const table = new Int32Array(512)
  for (let byte = 0; byte < 256; byte++) {
    let [low, high] = [byte, 0]
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = (low & 1) === 1
      low = (low >>> 1) | (high << 31)
      high >>>= 1
      if (isOdd) {
        low ^= polyLow
        high ^= polyHigh
      }
    }
    table[2 * byte] = low
    table[2 * byte + 1] = high
  }
  return table
}

/** A CRC that Node does not have. */
const crcBy = (poly: readonly [low: number, high: number], bits: 32 | 64) => {
  let table: Int32Array | undefined
  return (): Hasher => {
    const entries = table ??= tableOf(poly)
    let [low, high] = [-1, bits === 64 ? -1 : 0]
    return {
      update: (bytes) => {
        for (let at = 0; at < bytes.length; at++) {
          const entry = 2 * ((low ^ (bytes[at] ?? 0)) & 255)
          low = ((low >>> 8) | (high << 24)) ^ (entries[entry] ?? 0)
          high = (high >>> 8) ^ (entries[entry + 1] ?? 0)
        }
      },
      digest: () => (bits === 64 ? hexOf(~high) : "") + hexOf(~low)
    }
  }
}

const crc64nvme = crcBy([0xac4bc9b5, 0x9a6c9329], 64)
const crc32c = crcBy([0x82f63b78, 0], 32)

/** Hashes once. */
export const hasherOf = (algorithm: ChecksumAlgorithm): Hasher => {
  switch (algorithm) {
    case "crc64nvme":
      return crc64nvme()
    case "crc32c":
      return crc32c()
    case "crc32": {
      let value = 0
      return { update: (bytes) => void (value = crc32(bytes, value)), digest: () => hexOf(value) }
    }
    default: {
      const hash = createHash(algorithm)
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest("hex") }
    }
  }
}

/** The digest of bytes. */
export const digestOf = (algorithm: ChecksumAlgorithm, bytes: Uint8Array): string => {
  const hasher = hasherOf(algorithm)
  hasher.update(bytes)
  return hasher.digest()
}

/** So many bytes take some milliseconds: then all else on the thread has its turn. */
const turnBytes = 2 ** 22

/** The digest of bytes that may be many. */
export const digestInTurns = Effect.fnUntraced(function*(algorithm: ChecksumAlgorithm, bytes: Uint8Array) {
  const hasher = hasherOf(algorithm)
  for (let at = 0; at < bytes.length; at += turnBytes) {
    hasher.update(bytes.subarray(at, at + turnBytes))
    yield* Effect.yieldNow
  }
  return hasher.digest()
})
