/**
 * Names the files that a job neither opens nor replaces: those of the database that it is kept in, and the one that the
 * checksums of a copy are written to.
 *
 * Whoever closes a file of a database, by whatever name, gives up the locks that its whole process has on it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { FilePath } from "../../FilePath.ts"
import * as Files from "../../Files.ts"

/** What a file is that is to be left alone. */
export type Use = "Database" | "Output"

/** What is there, whatever other names it has. */
interface Found extends Pick<Files.FileStat, "device" | "inode"> {
  readonly use: Use
}

/** Files that are to be left alone. */
export interface ProtectedFiles {
  /** Paths without links. What has none of these names yet must not get one. */
  readonly paths: ReadonlyMap<FilePath, Use>

  /** What is there, whatever other names it has. */
  readonly found: ReadonlyArray<Found>
}

/** Reference to the files that the present job leaves alone; none by default. */
export const ProtectedFiles: Context.Reference<ProtectedFiles> = Context.Reference<ProtectedFiles>(
  "@fanout/ops/ProtectedFiles",
  { defaultValue: () => ({ paths: new Map(), found: [] }) }
)

/** Looks at the files of these paths, as far as they exist. */
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

/** Tells which of these files of a database have other names, where a walk may meet them. */
export const withOtherNames = (
  database: ReadonlyArray<FilePath>
): Effect.Effect<ReadonlyArray<FilePath>, never, Files.Files> =>
  Files.Files.use(({ find }) =>
    Effect.filter(database, (path) =>
      Effect.match(find(path), {
        onFailure: () => true,
        onSuccess: Option.exists(({ links }) => links > 1)
      }))
  )

/**
 * Gives what has work leave alone the database whose files have these paths. It looks at them the first time only, and
 * not for each piece of work.
 */
export const leaving: Effect.Effect<
  <A, E, R>(database: ReadonlyArray<FilePath>, work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>,
  never,
  Files.Files
> = Effect.map(Files.Files, (files) => {
  const known = new Map<string, ProtectedFiles>()
  const look = (database: ReadonlyArray<FilePath>, key: string) =>
    Effect.tap(
      Effect.provideService(make(database), Files.Files, files),
      (found) => Effect.sync(() => known.set(key, found))
    )
  return (database, work) => {
    if (database.length === 0) return work
    const key = database.join("\0")
    const found = known.get(key)
    return found === undefined
      ? Effect.flatMap(look(database, key), (found) => Effect.provideService(work, ProtectedFiles, found))
      : Effect.provideService(work, ProtectedFiles, found)
  }
})

/** Says what a file is left alone for, whatever its name is; `undefined` where it is not. */
export const useOfFile = (
  { found }: ProtectedFiles,
  file: Pick<Files.FileStat, "device" | "inode">
): Use | undefined => found.find((one) => Files.isSameInode(one, file))?.use

/** Tells of files whether they may be opened; `undefined` where all may be. */
export const mayOpen = (files: ProtectedFiles): ((file: Files.FileStat) => boolean) | undefined =>
  files.found.length === 0 ? undefined : (file) => useOfFile(files, file) === undefined

/** Says what a path, or what is there, is left alone for; `undefined` where it is not. */
export const useOf = (files: ProtectedFiles, path: FilePath, stat: Option.Option<Files.FileStat>): Use | undefined => {
  const named = files.paths.get(path)
  return named !== undefined || Option.isNone(stat) ? named : useOfFile(files, stat.value)
}
