/**
 * Tells the folders in a folder from what else is in it, also where the file system does not say when it is listed.
 */
import * as Effect from "effect/Effect"
import type * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import type { FolderListing } from "../../FolderListing.ts"

/** Whether an entry of a folder is a folder. */
export const isFolderAt = (
  folder: Files.Folder,
  listing: FolderListing,
  index: number
): Effect.Effect<boolean, FilesError> => {
  const kind = listing.kindAt(index)
  return kind === "unknown"
    ? Effect.map(folder.lstat(listing.nameAt(index)), ({ kind }) => kind === "folder")
    : Effect.succeed(kind === "folder")
}

/** Names of the folders in a folder, and of what else is in it. */
export const namesIn = Effect.fnUntraced(function*(folder: Files.Folder) {
  const listing = yield* folder.list
  const [folders, others]: [Array<FilePath.FilePath>, Array<FilePath.FilePath>] = [[], []]
  for (let index = 0; index < listing.size; index++) {
    const isFolder = yield* Effect.catchIf(
      isFolderAt(folder, listing, index),
      // What is gone by now is told so by whoever comes to it.
      (error) => error.isMissing,
      () => Effect.succeed(false)
    )
    const into = isFolder ? folders : others
    into.push(listing.nameAt(index))
  }
  return { folders, others }
})
