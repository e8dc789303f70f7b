/**
 * Hashes content synchronously with native code, for use in a thread.
 *
 * BLAKE3 comes from an addon, all else from Node. The addon is loaded by the first hasher that needs it: that takes
 * some milliseconds, and a command that hashes nothing works on a platform that the addon isn't built for.
 */
import type * as Crypto from "node:crypto"
import { createRequire } from "node:module"
import type { HashAlgorithm } from "../../HashAlgorithm.ts"

/** Takes content piece by piece and gives its digest. */
export interface Hasher {
  /** Takes the next bytes, which may change once this returns. */
  readonly update: (bytes: Uint8Array) => void

  /** The digest of all that was taken, in lower-case hexadecimal digits. The hasher then starts anew. */
  readonly digest: () => string
}

/** What is used of the addon, whose own types ask for a Buffer where any bytes will do. */
interface Addon {
  readonly Blake3Hasher: new() => {
    update(bytes: Uint8Array): void
    digest(format: "hex"): string
    reset(): void
  }
}

const require = createRequire(import.meta.url)

const makeBlake3 = (): Hasher => {
  const { Blake3Hasher }: Addon = require("@napi-rs/blake-hash")
  const hasher = new Blake3Hasher()
  return {
    update: (bytes) => {
      hasher.update(bytes)
    },
    // To reset one takes half as long as to make one, for 4 KiB all told.
    digest: () => {
      const digest = hasher.digest("hex")
      hasher.reset()
      return digest
    }
  }
}

const makeNode = (algorithm: Exclude<HashAlgorithm, "blake3">): Hasher => {
  // It takes a while to load, and the default algorithm has no use for it.
  const { createHash }: typeof Crypto = require("node:crypto")
  const create = () => createHash(algorithm === "blake2b" ? "blake2b512" : algorithm)
  let hash = create()
  return {
    update: (bytes) => {
      hash.update(bytes)
    },
    digest: () => {
      const digest = hash.digest("hex")
      hash = create()
      return digest
    }
  }
}

/**
 * Creates a hasher, throwing where the platform has none for the algorithm. It can be used for one content after the
 * other, which for small files is twice as fast as to make one for each.
 */
export const make = (algorithm: HashAlgorithm): Hasher => algorithm === "blake3" ? makeBlake3() : makeNode(algorithm)
