/**
 * Lists a folder, a part at a time.
 */
import * as Effect from "effect/Effect"
import type { Call } from "../../Calls.ts"
import type * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import * as FolderListing from "../../FolderListing.ts"
import { attempt, type System } from "./openHandle.ts"

/** Opens a folder, does something with it, and lists what is not skipped. */
const list = <A>(
  { calls, way }: System,
  path: FilePath.FilePath,
  open: () => Call<number>,
  first: (descriptor: number) => Effect.Effect<A, FilesError>,
  skips?: (kind: FolderListing.EntryKind) => boolean
): Effect.Effect<readonly [first: A, listing: FolderListing.FolderListing], FilesError> =>
  Files.waitForDescriptor(Effect.acquireUseRelease(
    attempt(way, "scandir", open, { path }),
    (descriptor) =>
      Effect.gen(function*() {
        const done = yield* first(descriptor)
        const builder = FolderListing.builderUnsafe()
        const add = (name: string, kind: FolderListing.EntryKind): void => builder.addUnsafe(name, kind)
        while (yield* attempt(way, "scandir", () => calls.list(descriptor, add, skips), { path })) {
          // There is more.
        }
        return [done, yield* builder.build] as const
      }),
    // What was read fails to close for nothing.
    (descriptor) => Effect.ignore(attempt(way, "close", () => calls.close(descriptor), { path }))
  ))

/** Lists a folder that this opens. */
export const listFolder = (
  system: System,
  path: FilePath.FilePath,
  open: () => Call<number>
): Effect.Effect<FolderListing.FolderListing, FilesError> =>
  Effect.map(list(system, path, open, () => Effect.void), ([, listing]) => listing)

/** Lists the folders in the folder at a path. */
export const listFolders = (system: System, path: FilePath.FilePath): Effect.Effect<Files.FoldersIn, FilesError> =>
  Effect.suspend(() => {
    const { calls, way } = system
    let others = 0
    const skips = (kind: FolderListing.EntryKind): boolean => {
      if (kind !== "folder") others++
      return kind !== "folder" && kind !== "unknown"
    }
    const identify = (descriptor: number) => attempt(way, "fstat", () => calls.identity(descriptor), { path })
    return Effect.map(
      list(system, path, () => calls.openPath(path, "list"), identify, skips),
      ([identity, listing]) => ({ identity, others, listing })
    )
  })
