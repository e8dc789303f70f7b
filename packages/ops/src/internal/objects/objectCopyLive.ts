/**
 * Has a copy work with objects: as sources, or as destinations.
 */
import type * as Job from "@fanout/core/Job"
import type { JobContext } from "@fanout/core/JobContext"
import type { JobId } from "@fanout/core/JobId"
import * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Copy from "../../Copy.ts"
import { CopyOptions } from "../../CopyOptions.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { ObjectStores } from "../../ObjectStore.ts"
import { SkipReason } from "../../SkipReason.ts"
import { fill } from "../content/bufferFill.ts"
import * as CopyEntryLive from "../copy/copyEntryLive.ts"
import { CopyEntry, EntryCopied, EntryFailed } from "../copy/copyTask.ts"
import * as TouchedFolders from "../copy/touchedFolders.ts"
import { ContentWays, ofFiles } from "../entry/contentWays.ts"
import * as MovedSource from "../move/movedSource.ts"
import type { Transfer } from "../path/destination.ts"
import * as Place from "../path/place.ts"
import * as SavedCopy from "../steps/savedCopy.ts"
import * as FileTree from "../tree/fileTree.ts"
import { SourceWalk } from "../tree/sourceWalk.ts"
import * as ObjectAccess from "./objectAccess.ts"
import * as ObjectFiles from "./objectFiles.ts"
import { errorIn, tried } from "./objectReach.ts"
import { foundAs, isUnchanged } from "./objectStat.ts"
import * as ObjectTree from "./objectTree.ts"
import * as ObjectUnit from "./objectUnit.ts"
import * as ObjectUpload from "./objectUpload.ts"
import { waysBetween } from "./storeCopy.ts"
import * as TargetListing from "./targetListing.ts"

type Payload = Task.Payload<typeof CopyEntry>

/** Both sides of a copy. */
type Sides = Pick<Payload, "source" | "target">

/**
 * Asks for an object, or for the time of one that was listed. What can't be asked for now is asked for by who needs it,
 * and so is a source that is gone, as its bucket may be.
 */
const askFor = Effect.fnUntraced(
  function*(access: ObjectAccess.ObjectAccess, path: FilePath.FilePath, isTarget: boolean) {
    const answer = yield* Effect.option(Effect.flatMap(access.at(path), ({ key, store }) => store.head(key)))
    const found = Option.flatten(answer)
    if (Option.isSome(found)) access.known.set(path, { _tag: "Object", info: found.value })
    else if (isTarget && Option.isSome(answer)) access.known.set(path, { _tag: "Absent" })
    else access.known.delete(path)
  }
)

/** Reads a small file that has this size. Files of the kernel have more than they say. */
const readSmall = (path: FilePath.FilePath, sizeBytes: number) =>
  Files.Files.use((files) => files.open(path)).pipe(
    Effect.flatMap(({ readAt }) => {
      const buffer = Buffer.allocUnsafe(sizeBytes + 1)
      return Effect.map(
        fill(buffer, 0, readAt),
        (length) => length === sizeBytes ? buffer.subarray(0, length) : undefined
      )
    }),
    Effect.scoped,
    Effect.orElseSucceed(() => undefined)
  )

/**
 * Sees to it that it is known what is at both sides, and whether these are the same, where that decides: then the time
 * of a target says it.
 */
export const sharpen = Effect.fnUntraced(function*(
  access: ObjectAccess.ObjectAccess,
  { conflict, ...sides }: Sides & Pick<Payload, "conflict">
) {
  const { source, target } = sides
  const objects = [source, target].filter(FilePath.isAddress)
  // Who looks at a target takes it for a folder where keys begin with its own.
  const asked = objects.length > 1 ? objects : objects.filter((path) => path === target)
  for (const path of asked) {
    const tag = access.known.get(path)?._tag
    if (tag !== "Object" && tag !== "Absent") yield* askFor(access, path, path === target)
  }
  // What is not known, or is not there, is looked at by what decides.
  if (conflict !== "changed" || objects.some((path) => ObjectAccess.infoOf(access, path) === undefined)) return
  const files = yield* Files.Files
  const entryAt = (path: FilePath.FilePath) =>
    Effect.map(
      Effect.orElseSucceed(files.find(path), () => Option.none<Files.FileStat>()),
      Option.match({ onNone: () => undefined, onSome: (stat) => ({ stat, info: ObjectAccess.infoOf(access, path) }) })
    )
  const [from, to] = [yield* entryAt(source), yield* entryAt(target)]
  if (from === undefined || to === undefined) return
  const isSame = yield* isUnchanged({
    source: from,
    target: to,
    look: (side) => Effect.andThen(askFor(access, sides[side], side === "target"), entryAt(sides[side])),
    read: readSmall(source, from.stat.sizeBytes)
  })
  const [now, there] = [yield* entryAt(source), ObjectAccess.infoOf(access, target)]
  if (now === undefined || there === undefined || isSame === undefined) return
  access.known.set(target, { _tag: "Object", info: foundAs(there, now.stat, isSame) })
})

/** Whether there is an object with the key of a folder and a slash, as it was listed or as the store says. */
const isMarked = (access: ObjectAccess.ObjectAccess, path: FilePath.FilePath) =>
  Effect.suspend(() => {
    const known = access.known.get(ObjectAccess.ofFolder(path))
    if (known?._tag === "Folder" && known.isMarked !== undefined) return Effect.succeed(known.isMarked)
    return Effect.flatMap(access.at(path), ({ key, store }) =>
      key === "" ? Effect.succeed(false) : Effect.map(store.head(`${key}/`), Option.isSome))
  })

/** Whether a folder of files is empty, and that of their objects is: what a move has taken out of it is there. */
const areEmpty = Effect.fnUntraced(function*(access: ObjectAccess.ObjectAccess, { source, target }: Sides) {
  const { list } = yield* Files.Files
  if ((yield* list(source)).size > 0) return false
  const { key, store } = yield* access.at(target)
  return Option.isNone(yield* Stream.runHead(store.list(`${key}/`)))
})

/** An empty folder is kept as an object whose key ends with a slash. */
const mark = Effect.fnUntraced(function*(access: ObjectAccess.ObjectAccess, target: FilePath.FilePath) {
  const { key, store } = yield* access.at(target)
  if (key !== "") yield* ObjectAccess.patiently(store.put(`${key}/`, new Uint8Array(0)))
})

/** Removes the folder that a source was, as far as nothing is left in it. A run before this one may have done it. */
const removeSource = Effect.fnUntraced(function*({ source, target }: Sides) {
  const { isMove } = yield* CopyOptions
  if (!isMove) return
  yield* MovedSource.removeFolder(yield* Place.open(source))
  // It may have been the last that was left in its folder.
  yield* TouchedFolders.add(source, yield* Place.open(target))
}, Effect.scoped)

const failed = (path: FilePath.FilePath, code: string, why: string) => new EntryFailed({ code, path, why })

/** Ends or begins a folder. It is where keys are, so all that there is to do is to mark an empty one. */
const endOrBegin = (access: ObjectAccess.ObjectAccess, payload: Payload) =>
  Effect.gen(function*() {
    const { kind, source, target } = payload
    const isFrom = FilePath.isAddress(source)
    const isToBeMarked = kind === "folder"
      ? isFrom && (yield* isMarked(access, source)) && !(yield* isMarked(access, target))
      : !isFrom && (yield* areEmpty(access, payload))
    if (isToBeMarked) yield* mark(access, target)
    if (kind === "folder") return EntryCopied.cases.FolderMade.make({})
    yield* removeSource(payload)
    return EntryCopied.cases.FolderEnded.make({})
  }).pipe(Effect.catchTags({
    CopyError: ({ message, reason }) =>
      Effect.fail(failed(payload.source, reason._tag === "CallFailed" ? reason.error.code : reason._tag, message)),
    FilesError: ({ code, isMissing, message }) =>
      isMissing
        ? Effect.succeed(EntryCopied.cases.FolderEnded.make({}))
        : Effect.fail(failed(payload.source, code, message)),
    JobStoreError: ({ _tag, message }) => Effect.fail(failed(payload.source, _tag, message)),
    ObjectStoreError: ({ message, reason: { _tag } }) => Effect.fail(failed(payload.target, _tag, message))
  }))

/** Copies an entry by itself. A folder of objects is where keys are, and is neither made nor in the way. */
const copyOne = Effect.fnUntraced(function*(access: ObjectAccess.ObjectAccess, payload: Payload) {
  const { kind, source, target } = payload
  const isFolder = kind === "folder" || kind === "folderEnd"
  if (FilePath.isAddress(target)) {
    if (isFolder) return yield* endOrBegin(access, payload)
    const { isFollowing } = yield* CopyOptions
    // One of several that were to be copied together may be a link.
    const found = yield* Effect.option(Files.Files.use((files) => files.lstat(source)))
    const isLink = Option.exists(found, (stat) => stat.kind === "link")
    if (isLink && !isFollowing) return yield* Task.skip(SkipReason.Link)
    if (!target.isWellFormed()) {
      const why = `"${FilePath.display(source)}" has a name that is not UTF-8, which no object can have: rename it`
      return yield* failed(source, "NotUTF8", why)
    }
  }
  const { copied, decision } = yield* SavedCopy.get
  if (isFolder) access.known.set(source, { _tag: "Folder" })
  // Who removes a source that was copied by a run before this one looks at it by then.
  else if (copied !== undefined) access.known.delete(source)
  // What an attempt before this one may have made is looked at like that, too, whatever the mode is.
  else yield* sharpen(access, decision === undefined ? payload : { ...payload, conflict: "changed" })
  return yield* CopyEntryLive.copyAlone(payload)
})

/** Has an object fail by itself that fails while its store answers. */
const failingAlone = Effect.fnUntraced(function*<A, E, R>(
  access: ObjectAccess.ObjectAccess,
  { source, target }: Payload,
  copy: Effect.Effect<A, E | EntryFailed, R>
) {
  const failure = errorIn((error) => error instanceof EntryFailed)
  const { alone, exit } = yield* tried(access.at, [source, target], copy, failure)
  if (alone === undefined) return yield* exit
  const { upload } = yield* SavedCopy.get
  if (upload !== undefined) yield* ObjectUpload.abort(access, target, upload)
  return yield* failed(alone.path, "ObjectFailed", alone.why)
})

type Transfers = ReadonlyArray<Transfer>

const areFrom = (transfers: Transfers): boolean => transfers.some(({ source }) => FilePath.isAddress(source))
const areTo = (transfers: Transfers): boolean => transfers.some(({ target }) => FilePath.isAddress(target))

/** Whether objects are copied to objects. */
export const areForObjects = (transfers: Transfers): boolean => areFrom(transfers) && areTo(transfers)

/** Walks sources in the order of keys, and beside them what is at their targets. What is only counted is forgotten. */
export const walkOf = (
  access: ObjectAccess.ObjectAccess,
  transfers: Transfers,
  options: FileTree.WalkOptions,
  isCounted: boolean
) => {
  const walked = areFrom(transfers)
    ? ObjectTree.walk(access, { ...options, areFiles: !areTo(transfers), isCounted })
    : FileTree.walk({ ...options, inKeyOrder: true, tellsTwins: false })
  return isCounted || !areTo(transfers) ? walked : TargetListing.telling(access, transfers, walked)
}

/** Ways to copy content. What was listed at the target is not what is there by then. */
const waysOf = (access: ObjectAccess.ObjectAccess, transfers: Transfers): ContentWays => {
  if (!areTo(transfers)) return ofFiles
  const wayFor = areFrom(transfers) ? waysBetween(access) : ObjectUpload.waysTo(access)
  return (request, stat) =>
    Effect.ensuring(wayFor(request, stat), Effect.sync(() => access.known.delete(Place.path(request.target))))
}

/** Adds objects to what a copy works with. */
const provisions = Effect.fnUntraced(function*(transfers: Transfers) {
  const job = yield* Effect.context<JobContext>()
  const paths = transfers.flatMap(({ source, target }) => [source, target])
  const { access, files } = yield* ObjectFiles.withQuickFiles(paths, areForObjects(transfers))
  const copy = (payload: Payload) =>
    payload.kind === "files"
      ? Effect.provideService(ObjectUnit.copyFiles(access, payload), Files.Files, files)
      : failingAlone(access, payload, copyOne(access, payload)).pipe(
        Effect.ensuring(Effect.sync(() => {
          for (const path of [payload.source, payload.target]) ObjectAccess.forget(access, path)
          access.opened?.delete(payload.source)
        })),
        Effect.provideService(Files.Files, files)
      )
  const walk: SourceWalk["walk"] = (options, isCounted) =>
    Stream.provideContext(ObjectTree.pausing(walkOf(access, transfers, options, isCounted)), job)
  return Layer.mergeAll(
    Layer.succeed(Files.Files, files),
    Layer.succeed(SourceWalk, { walk, together: ObjectUnit.together }),
    Layer.succeed(ContentWays, waysOf(access, transfers)),
    CopyEntryLive.Tasks.toLayer({ "@fanout/ops/CopyEntry": copy })
  )
})

/** Layer that supplies what a copy with addresses needs, in place of what one of files does. */
export const layer = (transfers: Transfers): Layer.Layer<
  Task.Handler<typeof CopyEntry> | Files.Files,
  never,
  Files.Files | ObjectStores | JobContext
> => Layer.unwrap(provisions(transfers))

/** Drops the uploads that a cancelled job has begun. */
export const abortUploads = (saved: Job.Saved): Effect.Effect<void, never, Files.Files | ObjectStores> =>
  Effect.gen(function*() {
    const { access } = yield* ObjectFiles.withObjects()
    yield* Stream.runForEach(
      saved.tasks(Copy.fanOutName, CopyEntry, SavedCopy.checkpoint),
      ({ checkpoint: { upload }, payload: { target } }) =>
        upload === undefined ? Effect.void : ObjectUpload.abort(access, target, upload)
    )
  }).pipe(Effect.catchTag("JobStoreError", (error) => Effect.logWarning("Uploads could not be dropped", error)))

/** Program of a copy with addresses. */
export const program = (payload: Copy.Payload) => Effect.provide(Copy.program(payload), layer(payload.transfers))

/** Removes what a cancelled copy with addresses has left. */
export const onCancel = (payload: Copy.Payload, id: JobId, saved: Job.Saved) =>
  Effect.andThen(abortUploads(saved), Copy.onCancel(payload, id, saved))
