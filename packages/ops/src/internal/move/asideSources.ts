/**
 * Sources that a move has put aside to remove them, and has not removed before it was cancelled: they get their names
 * again. Nothing is removed, as nobody looks any more whether their copies are what they were.
 */
import type * as JobId from "@fanout/core/JobId"
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import * as FolderListing from "../../FolderListing.ts"
import * as Destination from "../path/destination.ts"
import * as NumberedName from "../path/numberedName.ts"
import * as Place from "../path/place.ts"
import { namesIn } from "../path/subfolders.ts"
import * as TemporaryName from "../path/temporaryName.ts"
import * as FileTree from "../tree/fileTree.ts"
import { isAside } from "../units/sourceRemoval.ts"
import { putBack } from "./movedSource.ts"

type Transfers = Arr.NonEmptyReadonlyArray<Destination.Transfer>

/** Names of what is in a folder; none of one that can't be read. */
const namesOf = (folder: FilePath.FilePath): Effect.Effect<ReadonlyArray<FilePath.FilePath>, never, Files.Files> =>
  Files.Files.use((files) => files.list(folder)).pipe(
    Effect.map((listing) => Array.from(FolderListing.namesOf(listing))),
    Effect.orElseSucceed(() => [])
  )

/** Name of what has a temporary one, if it is among these: that says no more than a hash of it. */
const nameOf = (job: JobId.JobId, aside: FilePath.FilePath, names: ReadonlyArray<FilePath.FilePath>) => {
  const [folder, temporary] = [FilePath.parent(aside), FilePath.name(aside)]
  return names.find((name) => TemporaryName.isFor(job, temporary, FilePath.join(folder, name)))
}

/** Names that files may have had whose copies have these: one that was taken has got a number. */
const withoutNumbers = (names: ReadonlyArray<FilePath.FilePath>): ReadonlyArray<FilePath.FilePath> =>
  names.flatMap((name) => [name, FilePath.make(name.replace(/ \(\d+\)(?=[^()]*$)/, ""))])

/** Gives what was put aside its name in a folder again. What has that by now keeps it: then it gets a number. */
const giveBack = (aside: Place.Place, to: Place.Place, stat: Files.FileStat) => {
  const numbered = Effect.flatMap(
    NumberedName.firstFree(to),
    (number) => putBack({ ...to, name: NumberedName.make(to.name, number) }, aside, stat)
  )
  return Effect.catchTag(putBack(to, aside, stat), "CopyError", () => numbered)
}

/** Gives all that a unit has put aside its names again. */
const restoreFolder = Effect.fnUntraced(function*({ folder, name }: Place.Place) {
  // Who is killed right after it was made, and before it has its mode, leaves it empty.
  if (yield* Effect.isSuccess(folder.removeFolder(name))) return
  const aside = yield* folder.folder(name)
  if (!isAside(yield* aside.stat, yield* folder.stat, yield* (yield* Files.Files).user)) return
  const { folders, others } = yield* namesIn(aside)
  for (const name of [...others, ...folders]) {
    yield* giveBack({ folder: aside, name }, { folder, name }, yield* aside.lstat(name))
  }
  yield* folder.removeFolder(name)
}, Effect.scoped)

const restore = Effect.fnUntraced(function*(aside: FilePath.FilePath, name: FilePath.FilePath | undefined) {
  const place = yield* Place.open(aside)
  const found = yield* Place.find(place)
  if (Option.isNone(found)) return
  if (found.value.kind === "folder") return yield* restoreFolder(place)
  if (name === undefined) {
    return yield* Effect.logWarning(
      `${FilePath.display(aside)} is a file that was moved, and had a name that nobody knows`
    )
  }
  yield* giveBack(place, { ...place, name }, found.value)
}, Effect.scoped)

/** Those of these that this job has put aside. */
const asidesAmong = (job: JobId.JobId, folder: FilePath.FilePath, names: ReadonlyArray<FilePath.FilePath>) =>
  names.filter((name) => TemporaryName.isOf(job, name)).map((name) => FilePath.join(folder, name))

/** The sources themselves. Beside them there may be what others have put aside, whose names are not among theirs. */
const restoreRoots = Effect.fnUntraced(function*(transfers: Transfers, job: JobId.JobId) {
  const inFolders = Map.groupBy(transfers.map(({ source }) => source), FilePath.parent)
  for (const [folder, sources] of inFolders) {
    for (const aside of asidesAmong(job, folder, yield* namesOf(folder))) {
      const name = nameOf(job, aside, sources.map(FilePath.name))
      if (name !== undefined) yield* Effect.ignore(restore(aside, name), { log: "Warn" })
    }
  }
})

/** Gives sources of these transfers their names again. What has such a name by now keeps it: they get a number. */
export const restoreAll = (
  transfers: Transfers,
  job: JobId.JobId
): Effect.Effect<void, never, Files.Files> => {
  // Objects are not put aside.
  if (transfers.some(({ source }) => FilePath.isAddress(source))) return Effect.void
  const restoreInner = Effect.fnUntraced(function*(element: FileTree.Element) {
    const { source, target } = Destination.placeOf(transfers, element)
    const known = withoutNumbers(yield* namesOf(FilePath.parent(target)))
    yield* Effect.ignore(restore(source, nameOf(job, source, known)), { log: "Warn" })
  })
  return FileTree.walk({ sources: transfers.map(({ source }) => source) }).pipe(
    Stream.filter(({ _tag, path }) =>
      (_tag === "Leaf" || _tag === "Open") && path !== "" && TemporaryName.isOf(job, FilePath.name(path))
    ),
    Stream.runForEach(restoreInner),
    Effect.andThen(restoreRoots(transfers, job))
  )
}
