/**
 * Decides what a line of a checksum file asks to be hashed.
 *
 * A line in the plain style doesn't tell its algorithm, and the digests of BLAKE3 are as long as those of SHA-256.
 * Unless the algorithm is given, any whose digests are of that length will do: that a file has a given digest by
 * either of two sound algorithms is no easier to forge than by one.
 */
import * as Arr from "effect/Array"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as ChecksumLine from "../../ChecksumLine.ts"
import type * as FilePath from "../../FilePath.ts"
import * as HashAlgorithms from "../../HashAlgorithm.ts"
import type { HashAlgorithm } from "../../HashAlgorithm.ts"

/** File that is to be checked: by its path as the line has it, which relative ones leave to whoever asks. */
export interface ChecksumCheck {
  readonly lineNumber: number
  readonly path: FilePath.FilePath
  readonly digest: string
  /** Those by which the file may have the digest, the likeliest first. */
  readonly algorithms: Arr.NonEmptyReadonlyArray<HashAlgorithm>
}

/** Line by which nothing can be checked. */
export type Refused = Extract<ChecksumLine.Line, { readonly _tag: "Malformed" }>

/** What is known of the algorithm of all lines. */
interface Known {
  /** The one that was asked for: lines that can't be of it are refused. */
  readonly algorithm: Option.Option<HashAlgorithm>
  /** The one that the name of the checksum file tells: the likeliest where it is possible. */
  readonly likely: Option.Option<HashAlgorithm>
}

/** Decides what a line asks for. */
export const fromLine = (
  line: ChecksumLine.Line,
  { algorithm: asked, likely }: Known
): Result.Result<ChecksumCheck, Refused> => {
  if (line._tag === "Malformed") return Result.fail(line)
  const { algorithm: told, digest, lineNumber, path } = line
  const refused = (problem: ChecksumLine.Problem) => Result.fail({ _tag: "Malformed", lineNumber, problem } as const)
  // What the programs write for their standard input. A file of that name is written as "./-".
  if (path === "-") return refused("StandardInput")
  if (Option.isSome(asked) && Option.isSome(told) && asked.value !== told.value) return refused("OtherAlgorithm")
  const algorithms = Option.match(Option.orElse(asked, () => told), {
    onNone: () => Arr.dedupe([...Option.toArray(likely), ...HashAlgorithms.ofDigits(digest.length)]),
    onSome: Arr.of
  }).filter((algorithm) => HashAlgorithms.digits(algorithm) === digest.length)
  return Arr.isReadonlyArrayNonEmpty(algorithms)
    ? Result.succeed({ lineNumber, path, digest, algorithms })
    : refused("WrongLength")
}
