/**
 * Names the algorithms that content can be hashed with: how people type them, and how checksum files tell them.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"

/**
 * Schema for the names of the algorithms.
 *
 * @category schemas
 */
export const HashAlgorithm = Schema.Literals([
  "blake3",
  "sha256",
  "sha512",
  "sha384",
  "sha224",
  "sha1",
  "md5",
  "blake2b",
  "sha3-224",
  "sha3-256",
  "sha3-384",
  "sha3-512"
])
export type HashAlgorithm = typeof HashAlgorithm.Type

interface Facts {
  readonly digestBytes: number
  /** Its name in lines that tell the algorithm, as coreutils, b3sum and OpenSSL have it. */
  readonly tag: string
}

const facts: Readonly<Record<HashAlgorithm, Facts>> = {
  blake3: { digestBytes: 32, tag: "BLAKE3" },
  sha256: { digestBytes: 32, tag: "SHA256" },
  sha512: { digestBytes: 64, tag: "SHA512" },
  sha384: { digestBytes: 48, tag: "SHA384" },
  sha224: { digestBytes: 28, tag: "SHA224" },
  sha1: { digestBytes: 20, tag: "SHA1" },
  md5: { digestBytes: 16, tag: "MD5" },
  blake2b: { digestBytes: 64, tag: "BLAKE2b" },
  "sha3-224": { digestBytes: 28, tag: "SHA3-224" },
  "sha3-256": { digestBytes: 32, tag: "SHA3-256" },
  "sha3-384": { digestBytes: 48, tag: "SHA3-384" },
  "sha3-512": { digestBytes: 64, tag: "SHA3-512" }
}

/** A name without what people write in different ways: `SHA-256`, `sha_256`, and OpenSSL's `SHA2-256`. */
const folded = (name: string): string => name.toLowerCase().replaceAll(/[-_ ]/g, "").replace(/^sha2(?=\d{3}$)/, "sha")

const byFoldedName: ReadonlyMap<string, HashAlgorithm> = new Map<string, HashAlgorithm>([
  ...HashAlgorithm.literals.map((algorithm) => [folded(algorithm), algorithm] as const),
  ["b3", "blake3"],
  ["b2", "blake2b"],
  ["blake2b512", "blake2b"]
])

/**
 * Finds the algorithm that a person or a tag calls by this name, in whatever case: `SHA-256` is `sha256`.
 *
 * @category constructors
 */
export const find = (name: string): Option.Option<HashAlgorithm> =>
  Option.fromUndefinedOr(byFoldedName.get(folded(name)))

/**
 * Finds the algorithm that the name of a checksum file tells: `SHA256SUMS`, `b3sum.txt`, `image.iso.sha512`.
 *
 * @category constructors
 */
export const fromFileName = (path: FilePath.FilePath): Option.Option<HashAlgorithm> => {
  const name = FilePath.name(path).replace(/\.txt$/i, "").replace(/sums?$/i, "")
  // From the first dot, dash or underscore that an algorithm follows: `a.sha3-256` is not one called `256`.
  return Option.firstSomeOf(
    [name, ...Array.from(name.matchAll(/[-._]/g), ({ index }) => name.slice(index + 1))].map(find)
  )
}

/**
 * Finds the algorithms that digests of so many hexadecimal digits are usually of, the likeliest first. A line of
 * `b3sum` looks like one of `sha256sum`.
 *
 * @category accessors
 */
export const ofDigits = (digits: number): ReadonlyArray<HashAlgorithm> =>
  HashAlgorithm.literals.filter((algorithm) =>
    facts[algorithm].digestBytes * 2 === digits && !algorithm.startsWith("sha3-")
  )

/**
 * Counts the hexadecimal digits of a digest.
 *
 * @category accessors
 */
export const digits = (algorithm: HashAlgorithm): number => facts[algorithm].digestBytes * 2

/**
 * Reads the name that lines of checksum files have for the algorithm.
 *
 * @category accessors
 */
export const tag = (algorithm: HashAlgorithm): string => facts[algorithm].tag
