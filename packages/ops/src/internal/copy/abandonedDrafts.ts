/**
 * Removes what a copy that is given up has left under temporary names, and looks no further for that than it has to.
 */
import type { JobId } from "@fanout/core/JobId"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Payload } from "../../Copy.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import * as FolderListing from "../../FolderListing.ts"
import { namesIn } from "../path/subfolders.ts"
import * as TemporaryName from "../path/temporaryName.ts"
import * as JobFileSystems from "../work/jobFileSystems.ts"

/** A folder of a destination that a copy may have written in, with what is below it. */
interface Place {
  readonly target: FilePath.FilePath
  /** The folder whose copy it is: nothing is written in others. It is not there where these are not known any more. */
  readonly source?: FilePath.FilePath | undefined
}

/** Removes temporary names from a folder, and gives the folders that are in it. */
const sweep = Effect.fnUntraced(function*(folder: Files.Folder, job: JobId) {
  const { folders, others } = yield* namesIn(folder)
  const isOwn = (name: FilePath.FilePath): boolean => TemporaryName.isOf(job, name)
  // What can't be removed has to stay.
  yield* Effect.forEach(others.filter(isOwn), (name) => Effect.ignore(folder.unlink(name)), { discard: true })
  yield* Effect.forEach(folders.filter(isOwn), (name) => Effect.ignore(TemporaryName.removeFolder(folder, name)), {
    discard: true
  })
  return folders.filter((name) => !isOwn(name))
})

/** Names of the folders in a source. One with nothing in it may be what an unplugged disk has left. */
const foldersOf = (source: FilePath.FilePath) =>
  Files.Files.use((files) => files.folders(source)).pipe(
    Effect.map(({ listing, others }) =>
      listing.size + others === 0
        ? Option.none()
        : Option.some(new Set(FolderListing.namesOf(listing)))
    ),
    Effect.orElseSucceed(() => Option.none())
  )

/** Sweeps a folder, and gives those in it that are to be swept, too. Nobody knows what is on a mount in others. */
const through = Effect.fnUntraced(
  function*({ source, target }: Place, job: JobId, home: { identity?: Files.Identity }) {
    const folder = yield* Files.Files.use((files) => files.folder(target))
    const identity = yield* folder.identity
    home.identity ??= identity
    if (source === undefined && !Files.isOnSame(identity, home.identity)) return []
    const names = yield* sweep(folder, job)
    const known = source === undefined || names.length === 0 ? Option.none() : yield* foldersOf(source)
    return names.flatMap((name): ReadonlyArray<Place> => {
      const below = FilePath.join(target, name)
      if (source === undefined || Option.isNone(known)) return [{ target: below }]
      return known.value.has(name) ? [{ target: below, source: FilePath.join(source, name) }] : []
    })
  },
  Effect.scoped,
  Effect.orElseSucceed((): ReadonlyArray<Place> => [])
)

/**
 * Removes them all, but what is in these folders, from which a move takes what it copies. What sources were is not
 * known then, nor where links were followed or a disk is gone: all on the file system of a target is looked through.
 */
export const removeAll = Effect.fnUntraced(function*(
  { homes = [], request: { dereference }, transfers: all }: Payload,
  job: JobId,
  spared: ReadonlyArray<FilePath.FilePath>
) {
  // An object store keeps nothing that is not whole under a name.
  const transfers = all.filter(({ target }) => !FilePath.isAddress(target))
  const isSpared = ({ target }: Place): boolean => spared.some((one) => FilePath.isWithin(target, one))
  const sources = transfers.map(({ source }) => source)
  const moved = yield* Effect.provideService(JobFileSystems.findMoved(sources), JobFileSystems.Homes, homes)
  const isKnown = spared.length === 0 && dereference !== true && moved === undefined
  for (const target of Arr.dedupe(transfers.map(({ target }) => FilePath.parent(target)))) {
    if (!isSpared({ target })) yield* through({ target }, job, {})
  }
  for (const { source, target } of transfers) {
    const home = {}
    const left: Array<Place> = [{ target, source: isKnown ? source : undefined }]
    for (let place = left.pop(); place !== undefined; place = left.pop()) {
      if (!isSpared(place)) left.push(...yield* through(place, job, home))
    }
  }
})
