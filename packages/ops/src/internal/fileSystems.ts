/**
 * Remembers which file systems a job works on, and tells when a path leads to another one: a disk that was unplugged or
 * unmounted leaves an empty folder behind, and what was on it has not vanished.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as FilePath from "../FilePath.ts"
import * as Files from "../Files.ts"
import type { FilesError } from "../FilesError.ts"

/** A path, and what the file system that it is on is called, wherever that is mounted. */
export const Home = Schema.Struct({ path: FilePath.FilePath, fileSystem: Schema.String })
export type Home = typeof Home.Type

/** Reference to the homes of the present job; outside of one nothing is remembered. */
export const Homes = Context.Reference<ReadonlyArray<Home>>("@fanout/ops/internal/fileSystems", {
  defaultValue: () => []
})

const ofFolder = (path: FilePath.FilePath): Effect.Effect<Option.Option<string>, FilesError, Files.Files> =>
  Effect.scoped(Files.Files.use((files) => Effect.flatMap(files.open(path), (file) => file.fileSystem)))

/**
 * What a folder is on, or the nearest one above that is there; `None` where that has no name, or can't be asked. Only
 * folders are opened: closing a file of a database would give up its locks.
 */
const fileSystemOf = (path: FilePath.FilePath): Effect.Effect<Option.Option<string>, never, Files.Files> =>
  Files.Files.use((files) => files.lstat(path)).pipe(
    Effect.flatMap(({ kind }) => ofFolder(kind === "folder" ? path : FilePath.parent(path))),
    Effect.catch(({ isMissing }) =>
      isMissing && path !== "/" ? fileSystemOf(FilePath.parent(path)) : Effect.succeedNone
    )
  )

/** Looks where these paths are at home. */
export const find = (
  paths: ReadonlyArray<FilePath.FilePath>
): Effect.Effect<ReadonlyArray<Home>, never, Files.Files> =>
  Effect.map(
    Effect.forEach(paths, (path) =>
      Effect.map(fileSystemOf(path), Option.map((fileSystem): Home => ({ path, fileSystem })))),
    (homes) =>
      homes.flatMap(Option.toArray)
  )

/** The first path that is on another file system by now, if any is. */
export const findMoved: Effect.Effect<FilePath.FilePath | undefined, never, Files.Files> = Effect.gen(function*() {
  for (const { fileSystem, path } of yield* Homes) {
    const now = yield* fileSystemOf(path)
    if (!Option.contains(now, fileSystem)) return path
  }
  return undefined
})

/** Why a job is paused then. */
export const explain = (path: FilePath.FilePath): string =>
  `"${FilePath.display(path)}" is on another file system than when the job was started: is a disk missing?`
