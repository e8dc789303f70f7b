/**
 * Ways to copy the content of a file to an object: by one request, or in parts that go on where they were stopped.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import type * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { ByteRange, ObjectStoreError, StoredObject, Upload, UploadedPart } from "../../ObjectStore.ts"
import { failureOf as errorOf } from "../cloud/storeFailure.ts"
import type { ContentWay, CopiedContent, Copying } from "../entry/contentCopy.ts"
import type { ContentWays } from "../entry/contentWays.ts"
import type { CopyRequest } from "../entry/copyRequest.ts"
import { edition } from "../files/statComparison.ts"
import * as Place from "../path/place.ts"
import { CopyError, Reason } from "../steps/copyError.ts"
import * as SavedCopy from "../steps/savedCopy.ts"
import { onDestination, onSource } from "../steps/sideErrors.ts"
import { pauseNameOf } from "../work/diskPause.ts"
import { asCall, failureOf, lend, type ObjectAccess, type ObjectPlace, patiently, pieceBytes } from "./objectAccess.ts"
import { absent, draftOf, findOwn, isOccupied, madeAs, orOccupied, orOwn, propertiesFor, whole } from "./objectPut.ts"
import { nonceName } from "./objectStat.ts"
import { checkParts, isPartOf, onStore } from "./uploadCheck.ts"

/** So many parts of one file are sent at the same time. Each is a piece, unless there would be too many. */
const partsAtOnce = 4

/** Of what the store copies itself nothing is in memory, so each part has more. */
const copiedBytes = 2 ** 27

/** Whether the content of a file gets to a place by one request. */
export const isWhole = ({ store }: ObjectPlace, sizeBytes: number): boolean =>
  sizeBytes <= Math.min(pieceBytes, store.capabilities.limits.putBytes)

export const placeOf = (access: ObjectAccess, { target }: CopyRequest) =>
  onDestination(asCall("open", Place.path(target), access.at(Place.path(target))))

/** What parts are made for, and how. */
interface Parts {
  readonly access: ObjectAccess
  readonly place: ObjectPlace
  /** Has the store make a part of its own object; not there where bytes are sent. */
  readonly copyPart?: (
    request: CopyRequest,
    upload: Upload,
    number: number,
    range: ByteRange
  ) => Effect.Effect<UploadedPart, CopyError>
}

/** Name of the way of what a store has copied itself. */
export const byStore = "server"

/** An upload that is under way. */
interface Sending extends SavedCopy.Uploading {
  readonly id: string
  readonly place: ObjectPlace
  readonly parts: Map<number, UploadedPart>
  /** Parts that have the bytes of the file for sure, where the copy is verified. */
  readonly known: Set<number>
  /** Whether the object is there already. */
  readonly isComplete: boolean
}

/** An upload that is begun, with the parts that are there. */
const sendingOf = (
  place: ObjectPlace,
  saved: SavedCopy.Uploading & Pick<Sending, "id">,
  parts: ReadonlyArray<UploadedPart> = [],
  isComplete = false
): Sending => ({
  ...saved,
  place,
  parts: new Map(parts.map((part) => [part.number, part])),
  known: new Set(),
  isComplete
})

const inOrder = ({ parts }: Pick<Sending, "parts">): ReadonlyArray<UploadedPart> =>
  Array.from(parts.values()).toSorted((a, b) => a.number - b.number)

/** As much the clock of a store may differ: it refuses requests by others. */
const mostSkewMillis = 15 * 60_000

/** Of so many open uploads of one key it is kept that they are others. */
const mostOthers = 100

/** Open uploads of a key; nothing where there are very many, or nobody is allowed to list them. */
const othersOf = ({ key, store: { uploads } }: ObjectPlace) =>
  uploads.open(key).pipe(
    Stream.filter((open) => open.key === key),
    Stream.take(mostOthers + 1),
    Stream.runCollect,
    Effect.map((open) => open.length > mostOthers ? undefined : open.map(({ id }) => id)),
    Effect.catchIf(
      ({ reason }) => reason._tag === "Denied" || reason._tag === "Unsupported",
      () => Effect.succeed(undefined)
    )
  )

/**
 * Drops an upload, or those that may be it where its id is not known: a process that was killed right after it had
 * begun one has not kept that. They are of the same key and the same time, and were not open before.
 */
const drop = ({ store: { uploads } }: ObjectPlace, { begunMillis, id, key, others }: SavedCopy.Uploading) => {
  if (id !== undefined) return uploads.abort({ id, key })
  if (others === undefined) return Effect.void
  return Stream.runForEach(
    uploads.open(key),
    (open) =>
      open.key === key && !others.includes(open.id) && open.begunMillis !== undefined &&
        Math.abs(open.begunMillis - begunMillis) <= mostSkewMillis
        ? uploads.abort(open)
        : Effect.void
  )
}

/** Drops what may be left of an upload. What can't be dropped is left to the store. */
const dropped = (place: ObjectPlace, saved: SavedCopy.Uploading): Effect.Effect<void> =>
  Effect.catch(
    patiently(drop(place, saved)),
    (error) => Effect.logWarning("An upload could not be dropped", error)
  )

/** Parts that are there, as long as they are the whole parts that they were to be; nothing if the upload is gone. */
const partsThere = ({ store }: ObjectPlace, saved: Pick<Sending, "id" | "key">) =>
  Effect.catchIf(
    Effect.asSome(Stream.runCollect(store.uploads.parts(saved))),
    ({ reason }) => reason._tag === "UploadMissing" || reason._tag === "ObjectMissing",
    () => Effect.succeedNone
  )

/** Goes on with an upload that a run before this one has begun, or finds that it was completed. */
const goOn = Effect.fnUntraced(function*(
  place: ObjectPlace,
  saved: SavedCopy.Uploading,
  sizeBytes: number
): Effect.fn.Return<Sending | undefined, ObjectStoreError> {
  const { id } = saved
  if (id === undefined) return undefined
  const found = yield* partsThere(place, { ...saved, id })
  if (Option.isSome(found)) {
    const whole = found.value.filter((part) => part.sizeBytes === lengthOf(part.number, saved.partBytes, sizeBytes))
    return sendingOf(place, { ...saved, id }, whole)
  }
  return Option.isSome(yield* findOwn(place, saved.nonce)) ? sendingOf(place, { ...saved, id }, [], true) : undefined
})

const lengthOf = (number: number, partBytes: number, sizeBytes: number): number =>
  Math.max(0, Math.min(partBytes, sizeBytes - (number - 1) * partBytes))

/** How many parts there are. */
const countOf = (partBytes: number, sizeBytes: number): number => Math.ceil(sizeBytes / partBytes)

const MiB = 2 ** 20

/** Whole MiB, so that there are not too many parts. */
const partBytesOf = ({ store }: ObjectPlace, sizeBytes: number, usual: number): number => {
  const { leastPartBytes: least, mostPartBytes, parts } = store.capabilities.limits
  const fitting = Math.ceil(sizeBytes / parts / MiB) * MiB
  return Math.min(Math.max(usual, least, fitting), mostPartBytes)
}

/** Whether somebody goes on with an upload that ended like this. */
const isKept = (exit: Exit.Exit<unknown, unknown>): boolean => {
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return true
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  if (error instanceof Interrupter.Interrupted) return true
  const reason = error instanceof CopyError ? error.reason : undefined
  // The job is paused then.
  return reason?._tag === "CallFailed" && pauseNameOf(reason.error.code) !== undefined
}

/** Begins an upload. What was counted of one before this is not counted once more. */
const begin = Effect.fnUntraced(function*(
  { access, copyPart, place }: Parts,
  request: CopyRequest,
  stat: Files.FileStat,
  counted: number
) {
  const nonce = randomUUID()
  const others = yield* onStore(request, othersOf(place))
  const { attributes, metadata } = yield* propertiesFor(access, place, request, stat)
  const properties = { attributes, metadata: { ...metadata, [nonceName]: nonce } }
  const upload: SavedCopy.Uploading = {
    key: place.key,
    begunMillis: yield* Clock.currentTimeMillis,
    nonce,
    partBytes: partBytesOf(place, stat.sizeBytes, copyPart === undefined ? pieceBytes : copiedBytes),
    edition: edition(stat),
    counted,
    ...others === undefined ? {} : { others }
  }
  // Nobody else would know of an upload, whose parts are paid for, nor which parts need not be sent again.
  yield* SavedCopy.commit({ upload })
  // One whose answer was a failure may have been begun.
  const { id } = yield* patiently(place.store.uploads.begin(place.key, properties), dropped(place, upload)).pipe(
    Effect.mapError(failureOf("write", Place.path(request.target))),
    onDestination,
    Effect.onExit((exit) => isKept(exit) ? Effect.void : Effect.interruptible(dropped(place, upload)))
  )
  const { others: _, ...begun } = upload
  yield* SavedCopy.commit({ upload: { ...begun, id } })
  return sendingOf(place, { ...begun, id })
})

/** Opens what parts are sent to. It is dropped where the copy fails. */
const openUpload = Effect.fnUntraced(function*(
  to: Parts,
  request: CopyRequest,
  stat: Files.FileStat
): Effect.fn.Return<Sending, CopyError | Interrupter.Interrupted, Scope.Scope> {
  const { place } = to
  const { upload: saved } = yield* SavedCopy.get
  const isSame = saved?.edition === edition(stat) && saved.key === place.key
  const before = saved !== undefined && isSame
    ? yield* onStore(request, goOn(place, saved, stat.sizeBytes))
    : undefined
  yield* Lease.check
  if (saved !== undefined && before === undefined) yield* dropped(place, saved)
  const sending = before ?? (yield* begin(to, request, stat, saved?.counted ?? 0))
  yield* Effect.addFinalizer((exit) => isKept(exit) ? Effect.void : Effect.interruptible(dropped(place, sending)))
  return sending
})

/** Reads all of a part; less where the file is shorter by now. */
const readPart = Effect.fnUntraced(function*(from: Files.OpenFile, start: number, buffer: Uint8Array) {
  let filled = 0
  while (filled < buffer.length) {
    const read = yield* onSource(from.readAt(buffer.subarray(filled), start + filled))
    if (read === 0) break
    filled += read
  }
  return buffer.subarray(0, filled)
})

/** Sends the parts that are not there. Who is to know all bytes gets them in their order. */
const sendParts = Effect.fnUntraced(function*(
  { access, copyPart }: Parts,
  { isComplete, known, partBytes, parts, place, ...upload }: Sending,
  { count, from, request, stat: { sizeBytes }, take }: Copying
): Effect.fn.Return<CopiedContent, CopyError | Interrupter.Interrupted> {
  let sent = 0
  const passed = (length: number) => Effect.suspend(() => count(sent += length))
  const readAndPut = Effect.fnUntraced(function*(number: number, start: number, buffer: Uint8Array, isThere: boolean) {
    const bytes = yield* readPart(from, start, buffer)
    if (bytes.length < buffer.length) {
      return yield* new CopyError({ reason: Reason.cases.Changed.make({ path: Place.path(request.source) }) })
    }
    take?.(bytes)
    if (!isThere) {
      yield* Lease.check
      parts.set(number, yield* onStore(request, place.store.uploads.put(upload, number, bytes)))
    }
    const part = parts.get(number)
    if (request.options.isVerified && part !== undefined && (yield* isPartOf(part, bytes))) known.add(number)
  })
  const send = Effect.fnUntraced(function*(number: number) {
    yield* Interrupter.check
    const length = lengthOf(number, partBytes, sizeBytes)
    const isThere = isComplete || parts.has(number)
    // Nobody knows of parts that are there whether they are of this file, unless they are compared.
    const isCompared = request.options.isVerified && !isComplete && copyPart === undefined
    if (isThere && take === undefined && !isCompared) return yield* passed(length)
    const start = (number - 1) * partBytes
    if (copyPart === undefined) {
      if (!isThere) yield* TaskDispatcher.throttle(length)
      yield* lend(access, length)((buffer) => readAndPut(number, start, buffer, isThere))
    } else {
      yield* Lease.check
      parts.set(number, yield* copyPart(request, upload, number, { start, end: start + length }))
    }
    yield* passed(length)
    yield* SavedCopy.save({ upload: { ...upload, partBytes, counted: Math.max(upload.counted, sent) } })
  })
  const numbers = Array.from({ length: countOf(partBytes, sizeBytes) }, (_, index) => index + 1)
  yield* Effect.forEach(numbers, send, { concurrency: take === undefined ? partsAtOnce : 1, discard: true })
  return { strategy: copyPart === undefined ? "parts" : byStore, sizeBytes }
})

/** Makes the object of its parts. An answer that was lost is found in the metadata of the object. */
const complete = Effect.fnUntraced(function*(
  access: ObjectAccess,
  request: CopyRequest,
  sending: Sending,
  sizeBytes: number
): Effect.fn.Return<StoredObject, CopyError | Interrupter.Interrupted> {
  const { isComplete, partBytes, parts, place } = sending
  const findStored = orOwn(place, sending.nonce)
  const missing = errorOf(place.store.bucket)("completeUpload", place.key, { _tag: "UploadMissing" })
  if (isComplete) return yield* onStore(request, findStored(missing))
  if (parts.size !== countOf(partBytes, sizeBytes)) {
    return yield* Effect.die(new Error("Parts of an upload are missing"))
  }
  const condition = yield* absent(access, request, place, "complete")
  yield* Lease.check
  return yield* Effect.catchIf(
    patiently(place.store.uploads.complete(sending, inOrder(sending), condition)),
    (error) => error.reason._tag === "UploadMissing" || isOccupied(error, request),
    findStored
  ).pipe(Effect.mapError(orOccupied(access, request)))
})

/** Makes the object in parts. */
export const inParts = (to: Parts): ContentWay => {
  let sending: Sending | undefined
  let from: Files.OpenFile | undefined
  let made: StoredObject | undefined
  return {
    isLong: true,
    isUnseen: to.copyPart !== undefined,
    verifies: true,
    open: Effect.fnUntraced(function*(request, stat) {
      const upload = yield* openUpload(to, request, stat)
      sending = upload
      const placed = Effect.gen(function*() {
        const stored = yield* complete(to.access, request, upload, stat.sizeBytes)
        made = stored
        if (from !== undefined && request.options.isVerified && to.copyPart === undefined) {
          const isKnown = upload.known.size === countOf(upload.partBytes, stat.sizeBytes)
          yield* checkParts(request, to.place, stored, from, isKnown ? inOrder(upload) : [])
        }
      })
      return draftOf(request, stat, placed, { counted: upload.counted, made: () => madeAs(to.place, made?.etag) })
    }),
    copy: (copying) => {
      from = copying.from
      return sending === undefined
        ? Effect.die(new Error("An upload was not begun"))
        : sendParts(to, sending, copying)
    }
  }
}

/** Ways to objects. */
export const waysTo = (access: ObjectAccess): ContentWays => (request, { sizeBytes }) =>
  Effect.map(
    placeOf(access, request),
    (place) => isWhole(place, sizeBytes) ? whole(access, place) : inParts({ access, place })
  )

/** Drops an upload that was begun, whose job is cancelled. What can't be dropped is left to the store. */
export const abort = (access: ObjectAccess, path: FilePath.FilePath, saved: SavedCopy.Uploading): Effect.Effect<void> =>
  Effect.ignore(Effect.flatMap(access.at(path), (place) => dropped(place, saved)))
