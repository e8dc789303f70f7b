/**
 * Remembers which file systems a job works on, and tells when a path leads to another one: a disk that was unplugged or
 * unmounted leaves an empty folder behind, and what was on it has not vanished.
 */
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"

/** A folder, and what the file system that it is on is called, wherever that is mounted. */
export const Home = Schema.Struct({ path: FilePath.FilePath, fileSystem: Schema.String })
export type Home = typeof Home.Type

/** Reference to the homes of the present job; outside of one nothing is remembered. */
export const Homes = Context.Reference<ReadonlyArray<Home>>("@fanout/ops/internal/fileSystems", {
  defaultValue: () => []
})

/** What calls answer where a device is gone. One file may answer so, too: a dead mount among those that are well. */
const isGone = (code: string): boolean =>
  code === "ENODEV" || code === "ENOMEDIUM" || code === "ESTALE" || code === "ENOTCONN"

/** Whether an error may be all of a disk's, and not of one file. */
export const mayBeAll = ({ code, isMissing }: FilesError): boolean => isMissing || isGone(code)

/**
 * What a folder is on, or the nearest one above that is there. Only folders are opened: closing a file of a database
 * would give up its locks.
 */
const fileSystemOf = (folder: FilePath.FilePath): Effect.Effect<Option.Option<string>, FilesError, Files.Files> =>
  Effect.catchIf(
    Effect.scoped(Files.Files.use((files) => Effect.flatMap(files.open(folder), (file) => file.fileSystem))),
    ({ isMissing }) => isMissing && folder !== "/",
    () => fileSystemOf(FilePath.parent(folder))
  )

/** The folder that stands for a path: itself, or the one that it is in. */
const folderOf = (path: FilePath.FilePath): Effect.Effect<FilePath.FilePath, never, Files.Files> =>
  Files.Files.use((files) => files.lstat(path)).pipe(
    Effect.match({
      onFailure: () => FilePath.parent(path),
      onSuccess: ({ kind }) => kind === "folder" ? path : FilePath.parent(path)
    })
  )

/** Looks where these paths are at home, as far as that has a name. An address has none. */
export const find = Effect.fnUntraced(function*(
  paths: ReadonlyArray<FilePath.FilePath>
): Effect.fn.Return<ReadonlyArray<Home>, never, Files.Files> {
  const local = paths.filter((path) => !FilePath.isAddress(path))
  const folders = Arr.dedupe(yield* Effect.forEach(local, folderOf))
  const homes = yield* Effect.forEach(folders, (path) =>
    Effect.map(
      Effect.orElseSucceed(fileSystemOf(path), () => Option.none<string>()),
      Option.map((fileSystem): Home => ({ path, fileSystem }))
    ))
  return homes.flatMap(Option.toArray)
})

/** Whether a folder is on another file system by now. Where that can't be asked, or has no name, nothing is known. */
const isElsewhere = ({ fileSystem, path }: Home): Effect.Effect<boolean, never, Files.Files> =>
  Effect.match(fileSystemOf(path), {
    onFailure: ({ code }) => isGone(code),
    onSuccess: Option.exists((now) => now !== fileSystem)
  })

/** As many homes are asked at most: there is one for each folder that was named. */
const maxHomes = 100

/** The first home of these paths that is elsewhere by now, if any is; of all paths if none is given. */
export const findMoved = Effect.fnUntraced(function*(
  paths?: ReadonlyArray<FilePath.FilePath>
): Effect.fn.Return<FilePath.FilePath | undefined, never, Files.Files> {
  const homes = yield* Homes
  const own = paths === undefined
    ? homes
    : homes.filter(({ path }) => paths.some((one) => FilePath.isWithin(one, path)))
  for (const home of own.slice(0, maxHomes)) if (yield* isElsewhere(home)) return home.path
  return undefined
})

/** Why a job is paused then. */
export const explain = (path: FilePath.FilePath): string =>
  `"${FilePath.display(path)}" is on another file system than when the job was started: is a disk missing?`
