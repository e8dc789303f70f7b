/**
 * Has a copy work with objects: as sources, or as destinations.
 */
import type * as Job from "@fanout/core/Job"
import type { JobContext } from "@fanout/core/JobContext"
import type { JobId } from "@fanout/core/JobId"
import * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Copy from "../../Copy.ts"
import { CopyOptions } from "../../CopyOptions.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { ObjectStores } from "../../ObjectStore.ts"
import { SkipReason } from "../../SkipReason.ts"
import * as CopyEntryLive from "../copy/copyEntryLive.ts"
import { CopyEntry, EntryCopied, EntryFailed } from "../copy/copyTask.ts"
import * as TouchedFolders from "../copy/touchedFolders.ts"
import { ContentWays, ofFiles } from "../entry/contentWays.ts"
import { QuickFiles } from "../files/quickFiles.ts"
import * as MovedSource from "../move/movedSource.ts"
import type { Transfer } from "../path/destination.ts"
import * as Place from "../path/place.ts"
import * as SavedCopy from "../steps/savedCopy.ts"
import * as FileTree from "../tree/fileTree.ts"
import { SourceWalk } from "../tree/sourceWalk.ts"
import * as ObjectAccess from "./objectAccess.ts"
import * as ObjectFiles from "./objectFiles.ts"
import { tried } from "./objectReach.ts"
import { isSettledByListing, statOf, withTimeOf } from "./objectStat.ts"
import * as ObjectTree from "./objectTree.ts"
import * as ObjectUnit from "./objectUnit.ts"
import * as ObjectUpload from "./objectUpload.ts"
import { waysBetween } from "./storeCopy.ts"
import * as TargetListing from "./targetListing.ts"

type Payload = Task.Payload<typeof CopyEntry>

/** What a listing has told of an object, if there is something to be asked still. */
const listed = ({ known }: ObjectAccess.ObjectAccess, path: FilePath.FilePath) => {
  const found = known.get(path)
  return found?._tag === "Object" && found.info.metadata === undefined ? found.info : undefined
}

/**
 * Asks for the time of an object that was listed. What can't be asked for now, or is gone, as its bucket may be, is
 * asked for by who needs it.
 */
const askFor = Effect.fnUntraced(function*(access: ObjectAccess.ObjectAccess, path: FilePath.FilePath) {
  const head = Effect.flatMap(access.at(path), ({ key, store }) => store.head(key))
  const found = yield* Effect.orElseSucceed(head, () => Option.none())
  if (Option.isSome(found)) access.known.set(path, { _tag: "Object", info: found.value })
  else access.known.delete(path)
})

/** Sees to it that the time of a source is known where it matters: where a file of the same size is in the way. */
const sharpenSource = Effect.fnUntraced(function*(
  access: ObjectAccess.ObjectAccess,
  { source, target }: Pick<Payload, "source" | "target">
) {
  const from = listed(access, source)
  if (from === undefined) return
  const files = yield* Files.Files
  const file = Option.getOrUndefined(yield* Effect.orElseSucceed(files.find(target), Option.none))
  if (file?.sizeBytes === from.sizeBytes) yield* askFor(access, source)
})

/** Sees to it that the time of an object in the way is known where it matters: where it has the size of the source. */
const sharpenTarget = Effect.fnUntraced(function*(
  access: ObjectAccess.ObjectAccess,
  { source, target }: Pick<Payload, "source" | "target">
) {
  const to = listed(access, target)
  if (to === undefined) return
  const files = yield* Files.Files
  const file = Option.getOrUndefined(yield* Effect.orElseSucceed(files.find(source), Option.none))
  if (file?.sizeBytes !== to.sizeBytes) return
  if (isSettledByListing(file, to)) {
    access.known.set(target, { _tag: "Object", info: withTimeOf(to, file) })
  } else {
    yield* askFor(access, target)
  }
})

/** What is known of an object, as it was listed or as the store says; nothing where there is none. */
const infoAt = Effect.fnUntraced(function*(access: ObjectAccess.ObjectAccess, path: FilePath.FilePath) {
  if (!access.known.has(path)) yield* askFor(access, path)
  const known = access.known.get(path)
  return known?._tag === "Object" ? known.info : undefined
})

/**
 * Sees to it that the times of two objects of one size tell whether they are the same. Where they have one ETag, or the
 * copy is newer than its source, the listings have told so, and none of both is asked for.
 */
const sharpenBoth = Effect.fnUntraced(function*(
  access: ObjectAccess.ObjectAccess,
  { source, target }: Pick<Payload, "source" | "target">
) {
  const from = yield* infoAt(access, source)
  const to = yield* infoAt(access, target)
  if (from === undefined || to === undefined || from.sizeBytes !== to.sizeBytes) return
  const stat = statOf("", from, access.process)
  if (from.etag === to.etag || isSettledByListing(stat, to)) {
    access.known.set(target, { _tag: "Object", info: withTimeOf(to, stat) })
    return
  }
  if (from.metadata === undefined) yield* askFor(access, source)
  if (to.metadata === undefined) yield* askFor(access, target)
})

/** An empty folder is kept as an object whose key ends with a slash. */
const mark = Effect.fnUntraced(function*(access: ObjectAccess.ObjectAccess, target: FilePath.FilePath) {
  const { key, store } = yield* access.at(target)
  if (key !== "") yield* ObjectAccess.patiently(store.put(`${key}/`, new Uint8Array(0)))
})

/** Marks a folder that nothing is in: what a move has taken out of it is at the target. */
const markEmpty = Effect.fnUntraced(function*(
  access: ObjectAccess.ObjectAccess,
  { source, target }: Pick<Payload, "source" | "target">
) {
  const { list } = yield* Files.Files
  if ((yield* list(source)).size > 0) return
  const { key, store } = yield* access.at(target)
  if (Option.isNone(yield* Stream.runHead(store.list(`${key}/`)))) yield* mark(access, target)
})

/** Whether there is an object with the key of a folder and a slash, as it was listed or as the store says. */
const isMarked = (access: ObjectAccess.ObjectAccess, path: FilePath.FilePath) =>
  Effect.suspend(() => {
    const known = access.known.get(ObjectAccess.ofFolder(path))
    if (known?._tag === "Folder" && known.isMarked !== undefined) return Effect.succeed(known.isMarked)
    return Effect.flatMap(access.at(path), ({ key, store }) =>
      key === "" ? Effect.succeed(false) : Effect.map(store.head(`${key}/`), Option.isSome))
  })

/** Sees to it that all is known of an object that decides what is done, where that takes no more than a look. */
export const sharpen = (access: ObjectAccess.ObjectAccess, payload: Pick<Payload, "source" | "target">) =>
  FilePath.isAddress(payload.target)
    ? FilePath.isAddress(payload.source) ? sharpenBoth(access, payload) : sharpenTarget(access, payload)
    : sharpenSource(access, payload)

/** Marks a folder whose source is. */
const markAlike = Effect.fnUntraced(function*(
  access: ObjectAccess.ObjectAccess,
  { source, target }: Pick<Payload, "source" | "target">
) {
  if ((yield* isMarked(access, source)) && !(yield* isMarked(access, target))) yield* mark(access, target)
})

/** Removes the folder that a source was, as far as nothing is left in it. A run before this one may have done it. */
const removeSource = ({ source, target }: Pick<Payload, "source" | "target">) =>
  Effect.gen(function*() {
    const { isMove } = yield* CopyOptions
    if (!isMove) return
    yield* MovedSource.removeFolder(yield* Place.open(source))
    // It may have been the last that was left in its folder.
    yield* TouchedFolders.add(source, yield* Place.open(target))
  }).pipe(
    Effect.scoped,
    Effect.catchTag("CopyError", ({ message, reason }) =>
      Effect.fail(failed(source, reason._tag === "CallFailed" ? reason.error.code : reason._tag, message))),
    Effect.catchTag("JobStoreError", ({ _tag, message }) =>
      Effect.fail(failed(source, _tag, message)))
  )

const failed = (path: FilePath.FilePath, code: string, why: string) => new EntryFailed({ code, path, why })

/** Ends or begins a folder. It is where keys are, so all that there is to do is to mark an empty one. */
const endOrBegin = (access: ObjectAccess.ObjectAccess, payload: Payload) =>
  Effect.gen(function*() {
    const { kind, source } = payload
    const isFrom = FilePath.isAddress(source)
    if (kind === "folder") {
      if (isFrom) yield* markAlike(access, payload)
      return EntryCopied.cases.FolderMade.make({})
    }
    if (!isFrom) yield* markEmpty(access, payload)
    yield* removeSource(payload)
    return EntryCopied.cases.FolderEnded.make({})
  }).pipe(
    Effect.catchTag("FilesError", ({ isMissing, code, message }) =>
      isMissing
        ? Effect.succeed(EntryCopied.cases.FolderEnded.make({}))
        : Effect.fail(failed(payload.source, code, message))),
    Effect.catchTag("ObjectStoreError", ({ message, reason: { _tag } }) =>
      Effect.fail(failed(payload.target, _tag, message)))
  )

/** Prepares for what decides. Who removes a source that was copied by a run before this one looks at it by then. */
const prepare = (access: ObjectAccess.ObjectAccess, payload: Payload) =>
  Effect.flatMap(
    SavedCopy.get,
    ({ copied }) =>
      copied === undefined ? sharpen(access, payload) : Effect.sync(() => void access.known.delete(payload.source))
  )

/** Copies to an object. */
const copyTo = (access: ObjectAccess.ObjectAccess, payload: Payload) =>
  Effect.gen(function*() {
    const { kind, source, target } = payload
    const { isFollowing } = yield* CopyOptions
    if (kind === "folder" || kind === "folderEnd") return yield* endOrBegin(access, payload)
    // One of several that were to be copied together may be a link.
    const found = yield* Effect.option(Files.Files.use((files) => files.lstat(source)))
    const isLink = Option.exists(found, (stat) => stat.kind === "link")
    if (isLink && !isFollowing) return yield* Task.skip(SkipReason.Link)
    if (!target.isWellFormed()) {
      const why = `"${FilePath.display(source)}" has a name that is not UTF-8, which no object can have: rename it`
      return yield* failed(source, "NotUTF8", why)
    }
    yield* prepare(access, payload)
    return yield* CopyEntryLive.copyAlone(payload)
  })

/** Copies an object to a file, or makes a folder for some. */
const copyFrom = (access: ObjectAccess.ObjectAccess, payload: Payload) => {
  const { kind, source } = payload
  const prepared = kind === "file" || kind === "link"
    ? prepare(access, payload)
    : Effect.sync(() => void access.known.set(source, { _tag: "Folder" }))
  return Effect.andThen(prepared, CopyEntryLive.copyAlone(payload))
}

/** Has an object fail by itself that fails while its store answers. */
const failingAlone = Effect.fnUntraced(function*<A, E, R>(
  access: ObjectAccess.ObjectAccess,
  { source, target }: Payload,
  copy: Effect.Effect<A, E | EntryFailed, R>
) {
  const { alone, exit } = yield* tried(access.at, [source, target], copy, (exit) => {
    const error = Option.getOrUndefined(Exit.findErrorOption(exit))
    return error instanceof EntryFailed ? error : undefined
  })
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
  const tell = (path: FilePath.FilePath, known: ObjectAccess.Known) => {
    if (!isCounted) access.known.set(path, known)
  }
  const walked = areFrom(transfers)
    ? ObjectTree.walk(access, { ...options, areFiles: !areTo(transfers), tell })
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
  const { access, files: all } = yield* ObjectFiles.withObjects(areForObjects(transfers))
  const near = transfers.flatMap(({ source, target }) => [source, target]).filter((path) => !FilePath.isAddress(path))
  // What is on a disk of this machine is asked at once, where that is quick.
  const local = yield* (yield* QuickFiles).throughout(near)
  const files = Option.match(local, { onNone: () => all, onSome: (local) => ObjectFiles.make(local, access) })
  const isTo = areTo(transfers)
  const copy = (payload: Payload) =>
    payload.kind === "files"
      ? Effect.provideService(ObjectUnit.copyFiles(access, payload), Files.Files, files)
      : failingAlone(access, payload, isTo ? copyTo(access, payload) : copyFrom(access, payload)).pipe(
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
