/**
 * Names something in a folder that is open.
 *
 * A copy opens the folders of its source and of its target once, and makes every call by a name in them: wherever
 * their paths lead meanwhile, it stays in these folders.
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"

/**
 * Name in a folder that is open, whatever has it. The empty name stands for the folder itself: the root has no other.
 */
export interface Place {
  readonly folder: Files.Folder
  readonly name: FilePath.FilePath
}

/** Name of what a path leads to. A slash at the end of an address tells a folder from an object of its name. */
const nameOf = (path: FilePath.FilePath): FilePath.FilePath => {
  const name = FilePath.name(path)
  return name !== "" && FilePath.isAddress(path) && path.endsWith("/") ? FilePath.make(`${name}/`) : name
}

/** Opens the folder that a real path is in. */
export const open = (path: FilePath.FilePath): Effect.Effect<Place, FilesError, Files.Files | Scope.Scope> =>
  Files.Files.use((files) =>
    Effect.map(files.folder(FilePath.parent(path)), (folder) => ({ folder, name: nameOf(path) }))
  )

/** Path of the place, as messages say it. */
export const path = ({ folder, name }: Place): FilePath.FilePath => FilePath.join(folder.path, name)

/** What is there; the link itself where that is one. */
export const lstat = ({ folder, name }: Place): Effect.Effect<Files.FileStat, FilesError> =>
  name === "" ? folder.stat : folder.lstat(name)

/** Like `lstat`, and `None` where there is nothing. */
export const find = ({ folder, name }: Place): Effect.Effect<Option.Option<Files.FileStat>, FilesError> =>
  name === "" ? Effect.asSome(folder.stat) : folder.find(name)

/** Opens the file or folder that is there, to read from it. */
export const openFile = (
  { folder, name }: Place
): Effect.Effect<Files.OpenFile, FilesError, Files.Files | Scope.Scope> =>
  name === "" ? Files.Files.use((files) => files.open(folder.path)) : folder.open(name)

/** Opens the folder that is there. */
export const openFolder = ({ folder, name }: Place): Effect.Effect<Files.Folder, FilesError, Scope.Scope> =>
  name === "" ? Effect.succeed(folder) : folder.folder(name)
