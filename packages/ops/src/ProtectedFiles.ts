/**
 * Names the files that a copy neither reads nor replaces: those of the database that its own job is kept in, and the
 * one that its checksums are written to.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { FilePath } from "./FilePath.ts"
import * as Files from "./Files.ts"

/**
 * What a file is that is to be left alone.
 *
 * @category models
 * @since 0.1.0
 */
export type Use = "Database" | "Output"

/** What is there, whatever other names it has. */
interface Found extends Pick<Files.FileStat, "device" | "inode"> {
  readonly use: Use
}

/**
 * Files that are to be left alone.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProtectedFiles {
  /** Paths without links. What has none of these names yet must not get one. */
  readonly paths: ReadonlyMap<FilePath, Use>

  /** What is there, whatever other names it has. */
  readonly found: ReadonlyArray<Found>
}

/**
 * Reference to the files that the copies of the present job leave alone; none by default.
 *
 * @category services
 * @since 0.1.0
 */
export const ProtectedFiles: Context.Reference<ProtectedFiles> = Context.Reference<ProtectedFiles>(
  "@fanout/ops/ProtectedFiles",
  { defaultValue: () => ({ paths: new Map(), found: [] }) }
)

/**
 * Looks at the files of these paths, as far as they exist.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  database: ReadonlyArray<FilePath>,
  output?: FilePath
): Effect.Effect<ProtectedFiles, never, Files.Files> => {
  const paths = new Map<FilePath, Use>(database.map((path) => [path, "Database"]))
  if (output !== undefined) paths.set(output, "Output")
  const look = (files: Files.Files["Service"]) =>
    Effect.forEach(paths, ([path, use]) =>
      Effect.match(files.find(path), {
        onFailure: () => [],
        onSuccess: (stat) =>
          Option.match(stat, { onNone: () => [], onSome: ({ device, inode }) => [{ device, inode, use }] })
      }))
  return Effect.map(Files.Files.use(look), (found) => ({ paths, found: found.flat() }))
}

/**
 * Says what a path, or what is there, is left alone for; `undefined` where it is not.
 *
 * @category accessors
 * @since 0.1.0
 */
export const useOf = (files: ProtectedFiles, path: FilePath, stat: Option.Option<Files.FileStat>): Use | undefined => {
  const named = files.paths.get(path)
  if (named !== undefined || Option.isNone(stat)) return named
  const { device, inode } = stat.value
  return files.found.find((one) => one.device === device && one.inode === inode)?.use
}
