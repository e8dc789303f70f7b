/**
 * What jobs that read files, and change none, are given.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"

/**
 * Schema for files that are to be read.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Sources = Schema.Struct({
  /** Files and folders, absolute and without links. Links in folders are passed over. */
  sources: Schema.NonEmptyArray(FilePath.FilePath),
  /** Files that are not read: those of the job's own database. Without links above their names. */
  leaveOut: Schema.Array(FilePath.FilePath),
  /** Where what is read is written to, if that is inside of a source: it is not read either. Without links. */
  output: Schema.optionalKey(FilePath.FilePath)
})

/**
 * Files that are to be read.
 *
 * @category models
 * @since 0.1.0
 */
export type Sources = typeof Sources.Type

/**
 * Works out what to read: where links lead that were named, and whether the output is in there. What can't be found
 * stays as it is, and fails then.
 *
 * @category running
 * @since 0.1.0
 */
export const plan = ({ leaveOut, output, sources }: Sources): Effect.Effect<Sources, never, Files.Files> =>
  Effect.gen(function*() {
    const files = yield* Files.Files
    const real = yield* Effect.forEach(sources, (path) => Effect.orElseSucceed(files.realPath(path), () => path))
    const isInside = output !== undefined && real.some((source) => FilePath.isWithin(output, source))
    return { sources: real, leaveOut, ...(isInside ? { output } : {}) }
  })
