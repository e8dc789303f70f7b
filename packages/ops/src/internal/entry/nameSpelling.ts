/**
 * Tells whether what has a name at the destination has that very name, where it may take several names for one.
 *
 * The destination itself is asked, so this holds after a crash, for another job, and when the source that has the name
 * is gone. Inodes don't tell: some file systems in user space give one file as many as it was asked for by names.
 */
import * as Lease from "@fanout/core/Lease"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as FilePath from "../../FilePath.ts"
import type { FilesError } from "../../FilesError.ts"
import * as FolderListing from "../../FolderListing.ts"
import * as CollidingNames from "../path/collidingNames.ts"
import * as Place from "../path/place.ts"
import { CopyError, Reason } from "../steps/copyError.ts"
import * as MadeFolders from "../steps/madeFolders.ts"
import type { CopyRequest } from "./copyRequest.ts"

/** Names that some file systems store as others, whatever else they take for one. */
const isSeldomKept = /[. ]$|[<>:"|?*\\]/

/** The name with one letter in the other case: few folders have both, as they have what is all in capitals. */
const inOtherCase = (name: string): string => {
  const at = Array.from(name).findLastIndex((letter) => letter.toUpperCase() !== letter.toLowerCase())
  return Array.from(name, (letter, index) => {
    if (index !== at) return letter
    return letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase()
  }).join("")
}

/** Names that a folder knows only if it takes some for one, most of the time. */
const variantsOf = (name: FilePath.FilePath): ReadonlyArray<FilePath.FilePath> =>
  [inOtherCase(name), name.normalize("NFC"), name.normalize("NFD")].filter((one) => one !== name).map(FilePath.make)

/** Whether what has a name may be something that has another spelling of it, as far as other names tell. */
export const mayBeOther = (name: FilePath.FilePath, isThere: (variant: FilePath.FilePath) => boolean): boolean =>
  isSeldomKept.test(name) || variantsOf(name).some(isThere)

/** The name by which a folder lists what is at a place, if that is another spelling of this one. */
export const otherAt = Effect.fnUntraced(function*(
  { folder, name }: Place.Place
): Effect.fn.Return<FilePath.FilePath | undefined, FilesError> {
  if (folder.isExact === true || name === "" || Option.isNone(yield* folder.find(name))) return undefined
  let isKnown = isSeldomKept.test(name)
  for (const variant of isKnown ? [] : variantsOf(name)) {
    // What it does not take is none of its names either.
    isKnown ||= Option.isSome(yield* Effect.orElseSucceed(folder.find(variant), () => Option.none()))
  }
  if (!isKnown) return undefined
  const folded = CollidingNames.fold(name)
  let other: FilePath.FilePath | undefined
  for (const listed of FolderListing.namesOf(yield* folder.list)) {
    if (listed === name) return undefined
    if (CollidingNames.fold(listed) === folded) other = listed
  }
  return other
})

/** Says that something has the name of a source in another spelling. */
export const taken = (source: Place.Place, other: FilePath.FilePath): CopyError =>
  new CopyError({ reason: Reason.cases.NameTaken.make({ path: Place.path(source), other }) })

/**
 * Removes a copy that has got another name than it was given, so that the source which has that may be copied. What it
 * has replaced had the very name.
 */
export const takeBack = Effect.fnUntraced(function*({ source, stat, target }: CopyRequest) {
  const other = yield* otherAt(target)
  if (other === undefined) return
  yield* Lease.check
  const { folder, name } = target
  yield* Effect.ignore(stat.kind === "folder" ? folder.removeFolder(name) : folder.unlink(name))
  yield* MadeFolders.remove(Place.path(target))
  return yield* taken(source, other)
})
