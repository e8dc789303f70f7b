/**
 * Where thumbnails are: `ab/cd/abcd…/grid@1x.webp` in the folder for all of them, by the id of what the file holds.
 *
 * They are written right in that folder, under temporary names, and renamed once they are whole: so whatever was left
 * by a process that was ended is found by listing one folder.
 */
import * as Lease from "@fanout/core/Lease"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { folderOf } from "../../ThumbnailTask.ts"
import type { Format, ThumbnailVariant } from "../../ThumbnailVariant.ts"
import { componentsOf } from "../path/components.ts"
import { createAnew, temporaryName } from "../steps/filePlacement.ts"
import type { Picture } from "./imageRendering.ts"

const extensions = { webp: "webp", avif: "avif", jpeg: "jpg" } as const

/** Name of a thumbnail in the folder of its content. */
const nameOf = (variant: ThumbnailVariant, format: Format): FilePath.FilePath =>
  FilePath.make(`${variant}.${extensions[format]}`)

/** Folders from the one for all thumbnails to that of a content. */
const shardsOf = (contentId: string): ReadonlyArray<FilePath.FilePath> => componentsOf(folderOf(contentId))

/** A file that is empty, as a crash of the system may leave one behind that was renamed, is no thumbnail. */
const isThere = ({ kind, sizeBytes }: Files.FileStat): boolean => kind !== "file" || sizeBytes > 0

/** Which of these thumbnails a content lacks. */
export const missing = Effect.fnUntraced(
  function*(output: Files.Folder, contentId: string, variants: ReadonlyArray<ThumbnailVariant>, format: Format) {
    let folder = output
    for (const name of shardsOf(contentId)) folder = yield* folder.folder(name)
    return yield* Effect.filter(
      variants,
      (variant) => Effect.map(folder.find(nameOf(variant, format)), (found) => !Option.exists(found, isThere))
    )
  },
  Effect.scoped,
  (lacking, _, __, variants) => Effect.catchIf(lacking, ({ isMissing }) => isMissing, () => Effect.succeed(variants))
)

/** Makes a folder that everybody may read whom the process lets. */
export const makeReadable = Effect.fnUntraced(function*(folder: Files.Folder, name: FilePath.FilePath) {
  const { denied } = yield* Files.Files
  yield* folder.makeFolder(name)
  yield* (yield* folder.open(name)).setMode(0o777 & ~(yield* denied))
}, Effect.scoped)

/** Opens a folder, and makes it before if it is not there. */
const make = Effect.fnUntraced(function*(folder: Files.Folder, name: FilePath.FilePath) {
  yield* Lease.check
  yield* Effect.catchIf(makeReadable(folder, name), ({ code }) => code === "EEXIST", () => Effect.void)
  return yield* folder.folder(name)
})

const write = Effect.fnUntraced(function*(
  output: Files.Folder,
  temporary: FilePath.FilePath,
  folder: Files.Folder,
  name: FilePath.FilePath,
  bytes: Uint8Array
) {
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
) {
  const lease = yield* Lease.Lease
  let folder = output
  for (const name of shardsOf(contentId)) folder = yield* make(folder, name)
  for (const { bytes, variant } of pictures) {
    const name = nameOf(variant, format)
    yield* write(output, temporaryName(lease, FilePath.join(path, name)), folder, name, bytes)
  }
}, Effect.scoped)
