/**
 * Where thumbnails are: `ab/cd/abcd…/grid@1x.webp` in the folder for all of them, by the id of what the file holds.
 *
 * They are written right in that folder, under temporary names, and renamed once they are whole: so whatever was left
 * by a process that was ended is found by listing one folder.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as FilePath from "../FilePath.ts"
import * as Files from "../Files.ts"
import type { FilesError } from "../FilesError.ts"
import { folderOf } from "../ThumbnailTask.ts"
import type { Format, ThumbnailVariant } from "../ThumbnailVariant.ts"
import { componentsOf } from "./components.ts"
import type { Picture } from "./imageRendering.ts"
import { createAnew, temporaryName } from "./placing.ts"

const extensions = { webp: "webp", avif: "avif", jpeg: "jpg" } as const

/** Name of a thumbnail in the folder of its content. */
const nameOf = (variant: ThumbnailVariant, format: Format): FilePath.FilePath =>
  FilePath.make(`${variant}.${extensions[format]}`)

/** Folders from the one for all thumbnails to that of a content. */
const shardsOf = (contentId: string): ReadonlyArray<FilePath.FilePath> => componentsOf(folderOf(contentId))

/** Opens the folder of a content, if it is there. */
const find = (output: Files.Folder, contentId: string): Effect.Effect<
  Option.Option<Files.Folder>,
  FilesError,
  Scope.Scope
> =>
  shardsOf(contentId).reduce(
    (folder: Effect.Effect<Files.Folder, FilesError, Scope.Scope>, name) =>
      Effect.flatMap(folder, (folder) => folder.folder(name)),
    Effect.succeed(output)
  ).pipe(
    Effect.asSome,
    Effect.catchIf((error) => error.isMissing, () => Effect.succeedNone)
  )

/** A file that is empty, as a crash of the system may leave one behind that was renamed, is no thumbnail. */
const isThere = ({ kind, sizeBytes }: Files.FileStat): boolean => kind !== "file" || sizeBytes > 0

/** Which of these thumbnails a content lacks. */
export const missing = Effect.fnUntraced(function*(
  output: Files.Folder,
  contentId: string,
  variants: ReadonlyArray<ThumbnailVariant>,
  format: Format
): Effect.fn.Return<ReadonlyArray<ThumbnailVariant>, FilesError, Scope.Scope> {
  const folder = yield* find(output, contentId)
  if (Option.isNone(folder)) return variants
  return yield* Effect.filter(
    variants,
    (variant) => Effect.map(folder.value.find(nameOf(variant, format)), (found) => !Option.exists(found, isThere))
  )
}, Effect.scoped)

/** Makes a folder that everybody may read whom the process lets. */
export const makeReadable = Effect.fnUntraced(function*(folder: Files.Folder, name: FilePath.FilePath) {
  const { denied } = yield* Files.Files
  yield* folder.makeFolder(name)
  yield* (yield* folder.open(name)).setMode(0o777 & ~(yield* denied))
}, Effect.scoped)

/** Opens a folder, and makes it before if it is not there. */
const make = Effect.fnUntraced(function*(
  folder: Files.Folder,
  name: FilePath.FilePath
): Effect.fn.Return<Files.Folder, FilesError | Interrupted, Files.Files | Scope.Scope> {
  yield* Lease.check
  yield* Effect.catchIf(makeReadable(folder, name), ({ code }) => code === "EEXIST", () => Effect.void)
  return yield* folder.folder(name)
})

const write = Effect.fnUntraced(function*(
  output: Files.Folder,
  folder: Files.Folder,
  { bytes, name, temporary }: {
    readonly bytes: Uint8Array
    readonly name: FilePath.FilePath
    readonly temporary: FilePath.FilePath
  }
): Effect.fn.Return<void, FilesError | Interrupted, Files.Files | Scope.Scope> {
  yield* Effect.addFinalizer((exit) => Exit.isSuccess(exit) ? Effect.void : Effect.ignore(output.unlink(temporary)))
  const file = yield* createAnew(output, temporary, output.create(temporary))
  yield* file.write(bytes)
  yield* file.setMode(0o666 & ~(yield* (yield* Files.Files).denied))
  yield* file.close
  yield* Lease.check
  yield* output.rename(temporary, name, folder)
}, Effect.scoped)

/** Puts the pictures of a content in their places: of each, there is all or nothing. */
export const put = Effect.fnUntraced(function*(
  output: Files.Folder,
  { contentId, format, path, pictures }: {
    readonly contentId: string
    /** What they are of: files with the same content are rendered at the same time. */
    readonly path: FilePath.FilePath
    readonly pictures: ReadonlyArray<Picture>
    readonly format: Format
  }
): Effect.fn.Return<void, FilesError | Interrupted, Files.Files | Scope.Scope> {
  const lease = yield* Lease.Lease
  let folder = output
  for (const name of shardsOf(contentId)) folder = yield* make(folder, name)
  for (const { bytes, variant } of pictures) {
    const name = nameOf(variant, format)
    const temporary = temporaryName(lease, FilePath.join(path, name))
    yield* write(output, folder, { bytes, name, temporary })
  }
}, Effect.scoped)
