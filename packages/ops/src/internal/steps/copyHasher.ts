/**
 * Hashes what is copied on its way, for those who are to know its digests.
 */
import type { CopyOptions } from "../../CopyOptions.ts"
import * as Hasher from "../hash/hasher.ts"
import { comparedBy } from "./readBack.ts"

/** What the bytes of a copy were hashed to. */
export interface Digests {
  /** To be compared with what is read back, if that is asked for. */
  readonly compared: string | undefined
  /** To be told, if that is asked for. */
  readonly checksum: string | undefined
}

/** Takes the bytes of one copy after the other. */
export interface Taker {
  /** Takes the next bytes, which may change once this returns. */
  readonly take: (bytes: Uint8Array) => void
  /** The digests of all that was taken. It starts anew then. */
  readonly end: () => Digests
}

/** Creates what takes the bytes, where somebody is to know of them. */
export const makeTaker = (
  { checksums, isVerified }: Pick<CopyOptions, "checksums" | "isVerified">
): Taker | undefined => {
  const comparing = isVerified ? Hasher.make(comparedBy) : undefined
  const telling = checksums === undefined || (isVerified && checksums === comparedBy)
    ? undefined
    : Hasher.make(checksums)
  if (comparing === undefined && telling === undefined) return undefined
  return {
    take: (bytes) => {
      comparing?.update(bytes)
      telling?.update(bytes)
    },
    end: () => {
      const compared = comparing?.digest()
      const told = telling?.digest()
      return { compared, checksum: checksums === undefined ? undefined : told ?? compared }
    }
  }
}
