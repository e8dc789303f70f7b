/**
 * Decides what a line of a checksum file asks to be hashed.
 *
 * A line in the plain style doesn't tell its algorithm, and the digests of BLAKE3 are as long as those of SHA-256.
 * Unless the algorithm is given, any whose digests are of that length will do: that a file has a given digest by
 * either of two sound algorithms is no easier to forge than by one.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as ChecksumLine from "./ChecksumLine.ts"
import * as FilePath from "./FilePath.ts"
import * as HashAlgorithms from "./HashAlgorithm.ts"
import { HashAlgorithm } from "./HashAlgorithm.ts"

/**
 * Schema for a file that is to be checked: by its path as the line has it, which relative ones leave to whoever asks.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ChecksumCheck = Schema.Struct({
  lineNumber: Schema.Natural,
  path: FilePath.FilePath,
  digest: Schema.String,
  /** Those by which the file may have the digest, the likeliest first. */
  algorithms: Schema.NonEmptyArray(HashAlgorithm)
})

/**
 * File that is to be checked.
 *
 * @category models
 * @since 0.1.0
 */
export type ChecksumCheck = typeof ChecksumCheck.Type

/**
 * Line by which nothing can be checked.
 *
 * @category models
 * @since 0.1.0
 */
export type Refused = typeof ChecksumLine.Line.cases.Malformed.Type

/**
 * What is known of the algorithm of all lines.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The one that was asked for: lines that can't be of it are refused. */
  readonly algorithm: Option.Option<HashAlgorithm>

  /** The one that the name of the checksum file tells: the likeliest where it is possible. */
  readonly likely: Option.Option<HashAlgorithm>
}

type Checksum = typeof ChecksumLine.Line.cases.Checksum.Type

/** The algorithms that the line may be of, whatever else is known. */
const possible = ({ algorithm, digest }: Checksum, { likely }: Options): ReadonlyArray<HashAlgorithm> => {
  if (Option.isSome(algorithm)) return [algorithm.value]
  const byLength = HashAlgorithms.ofDigits(digest.length)
  const told = Option.filter(likely, (likely) => HashAlgorithms.digits(likely) === digest.length)
  return Arr.dedupe([...Option.toArray(told), ...byLength])
}

const asked = (line: Checksum, algorithm: HashAlgorithm): Result.Result<HashAlgorithm, ChecksumLine.Problem> => {
  if (Option.isSome(line.algorithm) && line.algorithm.value !== algorithm) return Result.fail("OtherAlgorithm")
  return line.digest.length === HashAlgorithms.digits(algorithm)
    ? Result.succeed(algorithm)
    : Result.fail("WrongLength")
}

/**
 * Decides what a line asks for.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromLine = (line: ChecksumLine.Line, options: Options): Result.Result<ChecksumCheck, Refused> => {
  if (line._tag === "Malformed") return Result.fail(line)
  const { digest, lineNumber, path } = line
  const refused = (problem: ChecksumLine.Problem) =>
    Result.fail(ChecksumLine.Line.cases.Malformed.make({ lineNumber, problem }))
  // What the programs write for their standard input. A file of that name is written as "./-".
  if (path === "-") return refused("StandardInput")
  const algorithms = Option.match(options.algorithm, {
    onNone: () => Result.succeed(possible(line, options)),
    onSome: (algorithm) => Result.map(asked(line, algorithm), (algorithm) => [algorithm])
  })
  if (Result.isFailure(algorithms)) return refused(algorithms.failure)
  return Arr.isReadonlyArrayNonEmpty(algorithms.success)
    ? Result.succeed({ lineNumber, path, digest, algorithms: algorithms.success })
    : refused("WrongLength")
}
