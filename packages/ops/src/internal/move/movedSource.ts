/**
 * Moves what is copied otherwise: by another name, where that is enough; else a source is removed once its copy is on
 * the device and recorded. So a crash leaves each file whole in one place at least.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { type FilePath, isAddress } from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { FilesError } from "../../FilesError.ts"
import type { Copied, CopyRequest } from "../entry/copyRequest.ts"
import type { Transfer } from "../path/destination.ts"
import * as Place from "../path/place.ts"
import { CopyError, Reason } from "../steps/copyError.ts"
import { prepare } from "../steps/durability.ts"
import { occupied, temporaryName } from "../steps/filePlacement.ts"
import { areSame } from "../steps/readBack.ts"
import * as SavedCopy from "../steps/savedCopy.ts"
import { onDestination, onSource } from "../steps/sideErrors.ts"
import { editionOf, isContentOf, isEdition, isFileOf } from "../steps/sourceEdition.ts"

const { Changed, Mismatch } = Reason.cases

// What is not on the same file system, or is a mount.
const isElsewhere = ({ code }: FilesError): boolean => code === "EXDEV" || code === "EBUSY"

/** A name that is another one's place already would stay: both are of one file. */
const replace = Effect.fnUntraced(function*({ source, stat, target }: CopyRequest) {
  yield* source.folder.rename(source.name, target.name, target.folder)
  if (stat.links === 1) return
  const left = yield* Place.find(source)
  if (Option.exists(left, (left) => Files.isSameInode(left, stat))) yield* source.folder.unlink(source.name)
})

/** Gives a file or link its place by another name; nothing where that can't be. */
export const rename = Effect.fnUntraced(function*(
  request: CopyRequest
): Effect.fn.Return<Copied | undefined, CopyError | Interrupted> {
  const { placing, source, stat, target } = request
  // An object has no other name.
  if (isAddress(source.folder.path) || isAddress(target.folder.path)) return undefined
  const { device } = yield* onDestination(target.folder.stat)
  if (device !== stat.device) return undefined
  const flushes = [yield* prepare(target.folder), yield* prepare(source.folder)]
  // Who comes to it again finds no source, and has to know where that went.
  yield* SavedCopy.commit({ renamed: { device, inode: stat.inode, target: Place.path(target) } })
  yield* Lease.check
  const renamed = placing === "replace"
    ? replace(request)
    : source.folder.renameExclusively(source.name, target.name, target.folder)
  const isRenamed = yield* Effect.matchEffect(renamed, {
    onSuccess: () => Effect.succeed(true),
    onFailure: (error) => {
      if (error.code === "EEXIST") return Effect.fail(occupied(request))
      return isElsewhere(error) ? Effect.succeed(false) : onDestination(Effect.fail(error))
    }
  })
  if (!isRenamed) return undefined
  for (const { names } of flushes) yield* names
  return { strategy: "rename", sizeBytes: stat.kind === "file" ? stat.sizeBytes : 0, lost: [] }
})

const changed = (source: Place.Place): CopyError =>
  new CopyError({ reason: Changed.make({ path: Place.path(source) }) })

/** Gives what was put aside its name again. What has that by now keeps it: then the error names both. */
export const putBack = Effect.fnUntraced(function*(source: Place.Place, aside: Place.Place, stat: Files.FileStat) {
  yield* Lease.check
  const there = yield* onSource(Place.find(source))
  // It may have been given its name, and not been taken away, by a run before this one.
  if (Option.exists(there, (there) => Files.isSameInode(there, stat))) {
    return yield* onSource(aside.folder.unlink(aside.name))
  }
  yield* onSource(aside.folder.renameExclusively(aside.name, source.name, source.folder))
})

/** Removes what has been put aside, if it is what was copied; else it gets its name again. */
const removeAside = Effect.fnUntraced(function*(source: Place.Place, copied: SavedCopy.Copied) {
  const { aside: name, edition } = copied
  const aside = { ...source, name }
  const stat = yield* onSource(Place.lstat(aside))
  yield* Lease.check
  if (isContentOf(stat, edition)) {
    const keep = Effect.gen(function*() {
      yield* putBack(source, aside, stat)
      // To be renamed has changed it.
      yield* SavedCopy.save({ copied: { ...copied, edition: editionOf(yield* Place.lstat(source)) } })
    })
    return yield* Effect.tapError(onSource(source.folder.unlink(name)), () => Effect.ignore(keep))
  }
  yield* putBack(source, aside, stat)
  return yield* changed(source)
})

/** Removes an object, if it is what was copied: its inode stands for its content. It can't be put aside. */
const removeObject = Effect.fnUntraced(function*(source: Place.Place, { edition }: SavedCopy.Copied) {
  const found = yield* onSource(Place.find(source))
  if (Option.isNone(found)) return
  if (!isFileOf(found.value, edition)) return yield* changed(source)
  yield* Lease.check
  yield* onSource(source.folder.unlink(source.name))
})

/**
 * Removes a source whose copy is recorded, if it is what was copied. It is put aside first, so that nothing else can
 * take its place in the last moment.
 */
const remove = Effect.fnUntraced(function*(
  source: Place.Place,
  copied: SavedCopy.Copied
): Effect.fn.Return<void, CopyError | Interrupted> {
  if (isAddress(source.folder.path)) return yield* removeObject(source, copied)
  const aside = { ...source, name: copied.aside }
  if (Option.isSome(yield* onSource(Place.find(aside)))) return yield* removeAside(source, copied)
  const found = yield* onSource(Place.find(source))
  if (Option.isNone(found)) return
  if (!isEdition(found.value, copied.edition)) return yield* changed(source)
  yield* Lease.check
  // That name is this job's alone.
  yield* onSource(source.folder.rename(source.name, copied.aside))
  yield* removeAside(source, copied)
})

/** What is to be recorded of a source of this edition before it is removed. */
export const copiedOf = Effect.fnUntraced(function*(source: Place.Place, edition: string, target: Place.Place) {
  const aside = temporaryName(yield* Lease.Lease, Place.path(source))
  const { device, inode, modifiedNanos, sizeBytes } = yield* onDestination(Place.lstat(target))
  const copy = { target: Place.path(target), device, inode, modifiedNanos, sizeBytes }
  return { edition, aside, ...copy } satisfies SavedCopy.Copied
})

/**
 * Removes a source once it is recorded that its copy is in its place, and on the device. An object is looked at: what
 * has another size or ETag than what was made is no copy, whoever has put it there.
 */
export const removeCopied = Effect.fnUntraced(function*(
  source: Place.Place,
  stat: Files.FileStat,
  target: Place.Place,
  { made, sizeBytes }: Pick<Copied, "made" | "sizeBytes">
) {
  const copied = yield* copiedOf(source, editionOf(stat), target)
  const isMade = copied.sizeBytes === sizeBytes && copied.inode === (made ?? copied.inode)
  if (isAddress(target.folder.path) && !isMade) {
    return yield* new CopyError({ reason: Mismatch.make({ path: Place.path(target) }) })
  }
  yield* SavedCopy.commit({ copied })
  yield* remove(source, copied)
})

/** Whether what a run before this one has put in its place is there. */
const isThere = ({ target, ...wanted }: SavedCopy.Renamed & { readonly sizeBytes?: number }) =>
  Effect.flatMap(Place.open(target), Place.find).pipe(
    Effect.scoped,
    Effect.map(
      Option.exists((found) =>
        Files.isSameInode(found, wanted) && found.sizeBytes === (wanted.sizeBytes ?? found.sizeBytes)
      )
    ),
    Effect.catchIf((error) => error.isMissing, () => Effect.succeed(false))
  )

/** Removes a copy that nobody has changed: its source is another one by now, and is to be copied anew. */
const removeCopy = Effect.fnUntraced(function*({ modifiedNanos, target, ...copy }: SavedCopy.Copied) {
  const place = yield* Place.open(target)
  const found = yield* Place.find(place)
  const isOwn = Option.exists(
    found,
    (found) =>
      Files.isSameInode(found, copy) && found.sizeBytes === copy.sizeBytes && found.modifiedNanos === modifiedNanos
  )
  if (!isOwn) return
  yield* Lease.check
  yield* place.folder.unlink(place.name)
}, Effect.scoped)

/**
 * Has a source copied anew that was written to since. What another file has taken the place of may only be left in its
 * copy: that stays, and the error is told.
 */
const copyAnew = Effect.fnUntraced(function*(
  source: Place.Place,
  copied: SavedCopy.Copied,
  error: CopyError
): Effect.fn.Return<boolean, CopyError | FilesError | Interrupted, Files.Files> {
  if (!isFileOf(yield* onSource(Place.lstat(source)), copied.edition)) return yield* error
  yield* SavedCopy.forgetCopied
  yield* removeCopy(copied)
  return false
})

const isChanged = (error: CopyError | Interrupted): error is CopyError =>
  error._tag === "CopyError" && error.reason._tag === "Changed"

/** The folder that a source was in may be removed by now. */
const openSource = (path: FilePath) =>
  Effect.catchIf(Place.open(path), (error) => error.isMissing, () => Effect.undefined)

/** What a run before this one has renamed may not be on the device. */
const flushNames = (...folders: ReadonlyArray<Files.Folder>) =>
  Effect.forEach(folders, (folder) => Effect.flatMap(prepare(folder), ({ names }) => names), { discard: true })

/**
 * Whether a run before this one has moved the source, and goes on with that where it has begun to. What is at the place
 * of the source by now is another one then.
 */
export const isMoved = Effect.fnUntraced(function*(
  path: FilePath
): Effect.fn.Return<boolean, CopyError | FilesError | Interrupted, Files.Files | Scope.Scope> {
  const { copied, renamed } = yield* SavedCopy.get
  if (copied === undefined && renamed === undefined) return false
  const source = yield* openSource(path)
  if (copied !== undefined) {
    if (yield* isThere(copied)) {
      if (source === undefined) return true
      const removed = Effect.as(remove(source, copied), true)
      const isRemoved = yield* Effect.catchIf(removed, isChanged, (error) => copyAnew(source, copied, error))
      if (isRemoved) return true
    }
    // What is not there any more is copied again, and may have been put aside.
    const aside = source === undefined ? undefined : { ...source, name: copied.aside }
    const found = aside === undefined ? Option.none() : yield* onSource(Place.find(aside))
    if (source !== undefined && aside !== undefined && Option.isSome(found)) yield* putBack(source, aside, found.value)
  }
  if (renamed === undefined || !(yield* isThere(renamed))) return false
  const left = source === undefined ? Option.none() : yield* onSource(Place.find(source))
  // Both are names of one file as long as the other was not taken away.
  if (Option.exists(left, (left) => Files.isSameInode(left, renamed))) return false
  const target = yield* Place.open(renamed.target)
  yield* flushNames(target.folder, ...source === undefined ? [] : [source.folder])
  return true
})

/** Whether two files have the same content: only then may one of them be removed. Links were compared by that. */
export const isSameContent = Effect.fnUntraced(function*(a: Place.Place, b: Place.Place, kind: Files.FileKind) {
  if (kind === "link") return true
  const [from, to] = [yield* onSource(Place.openFile(a)), yield* onDestination(Place.openFile(b))]
  return yield* areSame(from, to, SavedCopy.comparing)
})

/** Removes the folder that a source was, unless something is left in it. */
export const removeFolder = ({ folder, name }: Place.Place): Effect.Effect<void, CopyError | Interrupted> =>
  name === "" ? Effect.void : Effect.andThen(
    Lease.check,
    onSource(Effect.catchIf(
      folder.removeFolder(name),
      (error) => error.isNotEmpty || error.code === "ENOENT",
      () => Effect.void
    ))
  )

/** What is at a place, and tells it from all others, whatever it is called. */
type Found = Pick<Files.FileStat, "bornNanos" | "device" | "inode" | "kind">

const findRoot = Effect.fnUntraced(function*(
  place: Place.Place
): Effect.fn.Return<Option.Option<Found>, FilesError, Scope.Scope> {
  const found = yield* Place.find(place)
  if (Option.isNone(found) || found.value.kind !== "folder") return found
  // On some file systems that tells more of a folder.
  const { bornNanos, device, inode } = yield* (yield* Place.openFolder(place)).identity
  return Option.some({ bornNanos, device, inode, kind: "folder" })
})

/** Whether it is what was recorded. Inodes are used again, and devices get other numbers. */
const isRoot = (recorded: SavedCopy.RenamedRoot) => ({ bornNanos, device, inode }: Found): boolean => {
  const born = recorded.bornNanos ?? 0n
  return inode === recorded.inode && (born === 0n || bornNanos === 0n ? device === recorded.device : born === bornNanos)
}

/** What has become of a source: it has its place, another one has its name, or each that is in it is to be moved. */
type Became = "moved" | "replaced" | "walked"

/**
 * Gives a source its place by another name, if that is free and on the same file system. What is in the way of all of
 * it is told for each that is in it. `note` stores what the source is known by before that is done. A run that comes
 * after this one gives what it has become as `before`, and moves nothing else that has its name by then: that would
 * take the place of what was moved.
 */
export const renameRoot = <E, R>(
  { source, target }: Pick<Transfer, "source" | "target">,
  before: SavedCopy.Root | undefined,
  note: (renamed: SavedCopy.RenamedRoot) => Effect.Effect<void, E, R>
) =>
  Effect.gen(function*(): Effect.fn.Return<Became, E | FilesError | Interrupted, R | Files.Files | Scope.Scope> {
    if (before === "walked") return before
    const [from, to] = [yield* Place.open(source), yield* Place.open(target)]
    const [there, taken] = [yield* findRoot(from), yield* findRoot(to)]
    if (before === "moved") return Option.isNone(there) ? before : "replaced"
    const { device: home } = yield* to.folder.stat
    if (before === undefined || Option.exists(there, isRoot(before))) {
      const isNamed = from.name !== "" && to.name !== ""
      if (!isNamed || Option.isNone(there) || Option.isSome(taken) || there.value.device !== home) return "walked"
      const { bornNanos, device, inode } = there.value
      yield* note({ bornNanos, device, inode, target })
      yield* Lease.check
      if (!(yield* Effect.isSuccess(from.folder.renameExclusively(from.name, to.name, to.folder)))) return "walked"
    } else if (Option.isSome(there) || !Option.exists(taken, isRoot(before))) {
      return "replaced"
    }
    // What is moved and not on the device can't be told as anything else.
    yield* Effect.orDie(flushNames(to.folder, from.folder))
    return "moved"
  }).pipe(
    Effect.scoped,
    // Of what can't be looked at no more is known.
    Effect.catchIf(
      (error: E | FilesError | Interrupted) => error instanceof FilesError,
      () => Effect.succeed<Became>(before === undefined ? "walked" : before === "moved" ? before : "replaced")
    )
  )
