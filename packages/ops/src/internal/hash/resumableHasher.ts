/**
 * Hashes content synchronously, and can be saved between any two pieces and go on from there in another process.
 *
 * This is WebAssembly, up to seven times slower than `Hasher` (BLAKE3 0.7 GB/s instead of 4.8, SHA-256 0.3 instead of
 * 1.2), and so only for files that are so large that to start over would cost more.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as HashWasm from "hash-wasm"
import * as HashAlgorithms from "../../HashAlgorithm.ts"
import type { HashAlgorithm } from "../../HashAlgorithm.ts"
import type { Hasher } from "./hasher.ts"

/**
 * Schema for the state of a hasher, stored as text.
 *
 * A state holds up to a kilobyte of the content as it is: keep it as well as the file itself.
 */
export const HasherState = Schema.Uint8ArrayFromBase64

/** Hasher that can be saved. */
export interface ResumableHasher extends Hasher {
  /** The state. How many bytes were taken is for the caller to remember. */
  readonly save: () => Uint8Array

  /**
   * Goes on from a state. Returns false, and starts anew, where that is not one of this algorithm and version.
   */
  readonly restore: (state: Uint8Array) => boolean
}

// Codes of all algorithms, which take time to load, for what few files need.
const load = (): Promise<typeof HashWasm> => import("hash-wasm")

const makers: Readonly<Record<HashAlgorithm, (wasm: typeof HashWasm) => Promise<HashWasm.IHasher>>> = {
  blake3: (wasm) => wasm.createBLAKE3(),
  sha256: (wasm) => wasm.createSHA256(),
  sha512: (wasm) => wasm.createSHA512(),
  sha384: (wasm) => wasm.createSHA384(),
  sha224: (wasm) => wasm.createSHA224(),
  sha1: (wasm) => wasm.createSHA1(),
  md5: (wasm) => wasm.createMD5(),
  blake2b: (wasm) => wasm.createBLAKE2b(512),
  "sha3-224": (wasm) => wasm.createSHA3(224),
  "sha3-256": (wasm) => wasm.createSHA3(256),
  "sha3-384": (wasm) => wasm.createSHA3(384),
  "sha3-512": (wasm) => wasm.createSHA3(512)
}

/**
 * Creates a hasher that can be saved. Only this is asynchronous; the hasher can be used for one content after the
 * other.
 */
export const make = (algorithm: HashAlgorithm): Effect.Effect<ResumableHasher> =>
  // What could fail is the compiler of WebAssembly, on a code that it is known to take.
  Effect.map(Effect.promise(() => load().then(makers[algorithm])), (hasher) => {
    // The states of algorithms that share a code, such as SHA-256 and SHA-224, look alike but for this.
    const kind = HashAlgorithms.digits(algorithm)
    hasher.init()
    return {
      update: (bytes) => {
        hasher.update(bytes)
      },
      digest: () => {
        const digest = hasher.digest()
        hasher.init()
        return digest
      },
      save: () => Uint8Array.of(kind, ...hasher.save()),
      restore: (state) => {
        hasher.init()
        if (state[0] !== kind) return false
        try {
          hasher.load(state.subarray(1))
          return true
        } catch {
          return false
        }
      }
    }
  })
