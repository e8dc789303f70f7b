/**
 * Names the files that a copy neither reads nor replaces: those of the database that its own job is kept in.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { FilePath } from "./FilePath.ts"
import * as Files from "./Files.ts"

/**
 * Files that are to be left alone.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProtectedFiles {
  /** Paths without links. What has none of these names yet must not get one. */
  readonly paths: ReadonlySet<FilePath>

  /** What is there, whatever other names it has. */
  readonly found: ReadonlyArray<Pick<Files.FileStat, "device" | "inode">>
}

/**
 * Reference to the files that the copies of the present job leave alone; none by default.
 *
 * @category services
 * @since 0.1.0
 */
export const ProtectedFiles: Context.Reference<ProtectedFiles> = Context.Reference<ProtectedFiles>(
  "@fanout/ops/ProtectedFiles",
  { defaultValue: () => ({ paths: new Set(), found: [] }) }
)

/**
 * Looks at the files of these paths, as far as they exist.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (paths: ReadonlyArray<FilePath>): Effect.Effect<ProtectedFiles, never, Files.Files> =>
  Effect.map(
    Files.Files.use((files) => Effect.forEach(paths, (path) => Effect.orElseSucceed(files.find(path), Option.none))),
    (found) => ({ paths: new Set(paths), found: found.flatMap((stat) => Option.toArray(stat)) })
  )

/**
 * Checks whether a path, or what is there, is to be left alone.
 *
 * @category predicates
 * @since 0.1.0
 */
export const has = (files: ProtectedFiles, path: FilePath, stat: Option.Option<Files.FileStat>): boolean =>
  files.paths.has(path) ||
  Option.exists(stat, ({ device, inode }) => files.found.some((one) => one.device === device && one.inode === inode))
