/**
 * Ways to copy an object to another one: by the store itself where both are of one provider, or else through this
 * process. What is copied is the object that was opened: each request names its ETag.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { CopySource, ObjectStoreError, StoredObject } from "../../ObjectStore.ts"
import type { ContentWay, CopiedContent, Copying } from "../entry/contentCopy.ts"
import type { ContentWays } from "../entry/contentWays.ts"
import type { CopyRequest } from "../entry/copyRequest.ts"
import * as Place from "../path/place.ts"
import { CopyError, Reason } from "../steps/copyError.ts"
import { onSource } from "../steps/sideErrors.ts"
import { asCall, type ObjectAccess, type ObjectPlace, patiently } from "./objectAccess.ts"
import { absent, draftOf, isOccupied, madeAs, openedOf, orOccupied, whole } from "./objectPut.ts"
import { byStore, inParts, isWhole, placeOf } from "./objectUpload.ts"

/** Both sides of a copy, and what is known of both. */
interface Sides {
  readonly access: ObjectAccess
  readonly from: ObjectPlace
  readonly to: ObjectPlace
}

/** The object that was opened. */
const originalOf = ({ access, from: { bucket, key } }: Sides, request: CopyRequest) =>
  Effect.map(openedOf(access, request), ({ etag }): CopySource => ({ bucket, key, etag }))

/**
 * Why a store did not copy: it can't; or the source is gone, or another one by now; or it says so itself. Some stores
 * can't copy what was made of parts: they compare an ETag that they do not tell.
 */
const whyNot = Effect.fnUntraced(function*(sides: Sides, request: CopyRequest, error: ObjectStoreError) {
  const { access, from, to: { store: { capabilities } } } = sides
  const path = Place.path(request.source)
  const unsupported = new CopyError({ reason: Reason.cases.Unsupported.make({ path }) })
  if (error.reason._tag === "Unsupported") return unsupported
  const isOfSource = error.reason._tag === "PreconditionFailed" || error.reason._tag === "ObjectMissing"
  const now = isOfSource ? yield* onSource(asCall("read", path, from.store.head(from.key))) : undefined
  if (now === undefined) return orOccupied(access, request)(error)
  if (Option.isNone(now)) return new CopyError({ reason: Reason.cases.Vanished.make({ path }) })
  if (now.value.etag !== (yield* originalOf(sides, request)).etag) {
    return new CopyError({ reason: Reason.cases.Changed.make({ path }) })
  }
  const isOfTarget = error.reason._tag !== "PreconditionFailed" || capabilities.conditions.copy
  return isOfTarget ? orOccupied(access, request)(error) : unsupported
})

/** Makes a call to the store that copies. */
const orWhyNot = (sides: Sides, request: CopyRequest) => <A>(call: Effect.Effect<A, ObjectStoreError>) =>
  Effect.catch(patiently(call), (error) => Effect.flatMap(whyNot(sides, request, error), Effect.fail))

/**
 * Whether what is in the way is the copy: a call that was answered by a failure may have been done. The ETag alone says
 * so: an object of the same size, and with the same metadata, may be anybody's.
 */
const isDone = ({ to }: Sides, { etag }: CopySource) =>
  Effect.map(patiently(to.store.head(to.key)), Option.exists((copy) => copy.etag === etag))

/** Has the store copy all of the object by one request. */
const atOnce = (sides: Sides): ContentWay => {
  const { access, to } = sides
  let made: StoredObject | undefined
  const copy = Effect.fnUntraced(function*(
    { count, request, stat: { sizeBytes } }: Copying
  ): Effect.fn.Return<CopiedContent, CopyError | Interrupter.Interrupted> {
    yield* Interrupter.check
    const condition = yield* absent(access, request, to, "copy")
    yield* Lease.check
    const original = yield* originalOf(sides, request)
    const copied = Effect.catchIf(
      patiently(to.store.copy(original, to.key, condition)),
      (error) => isOccupied(error, request),
      (error) => Effect.flatMap(isDone(sides, original), (isDone) => isDone ? Effect.undefined : Effect.fail(error))
    )
    made = yield* orWhyNot(sides, request)(copied)
    yield* count(sizeBytes)
    return { strategy: byStore, sizeBytes }
  })
  return {
    isLong: false,
    isUnseen: true,
    // It has its name once it is copied.
    open: (request, stat) =>
      Effect.succeed(draftOf(request, stat, Effect.void, { made: () => madeAs(to, made?.etag) })),
    copy
  }
}

/** Reads all of the object by one request, into the memory that it is put from. */
const readWhole = Effect.fnUntraced(function*(
  { count, from, request, stat: { sizeBytes }, take, to }: Copying
): Effect.fn.Return<CopiedContent, CopyError | Interrupter.Interrupted> {
  yield* Interrupter.check
  yield* TaskDispatcher.throttle(sizeBytes)
  const readAt: typeof from.readAt = (buffer, offset) =>
    Effect.tap(from.readAt(buffer, offset), (length) => Effect.sync(() => take?.(buffer.subarray(0, length))))
  const read = yield* onSource(to.file.copyFrom({ ...from, readAt }, 0, sizeBytes))
  if (read < sizeBytes) {
    return yield* new CopyError({ reason: Reason.cases.Changed.make({ path: Place.path(request.source) }) })
  }
  yield* count(sizeBytes)
  return { strategy: "whole", sizeBytes }
})

/** Whether the store of the target copies itself. */
export const isCopiedByStore = (from: ObjectPlace, { store: { capabilities, provider } }: ObjectPlace): boolean =>
  from.store.provider === provider && capabilities.copies

/** Has the store copy, and this process from when on it was seen that the store can't. */
const orThrough = (through: ContentWay, byStore: ContentWay): ContentWay => {
  let way = byStore
  const copy: ContentWay["copy"] = (copying) =>
    Effect.tapError(way.copy(copying), (error) =>
      Effect.sync(() => {
        if (error._tag === "CopyError" && error.reason._tag === "Unsupported") way = through
      }))
  return {
    get isLong() {
      return way.isLong
    },
    get isUnseen() {
      return way.isUnseen === true
    },
    get verifies() {
      return way.verifies === true
    },
    open: (request, stat) => way.open(request, stat),
    copy
  }
}

/** Ways from objects to objects. */
export const waysBetween = (access: ObjectAccess): ContentWays =>
  Effect.fnUntraced(function*(request, { sizeBytes }) {
    const path = Place.path(request.source)
    const from = yield* onSource(asCall("open", path, access.at(path)))
    const to = yield* placeOf(access, request)
    const { capabilities: { limits }, uploads } = to.store
    const through = isWhole(to, sizeBytes) ? { ...whole(access, to), copy: readWhole } : inParts({ access, place: to })
    if (!isCopiedByStore(from, to)) return through
    const sides = { access, from, to }
    return orThrough(
      through,
      sizeBytes <= limits.putBytes ? atOnce(sides) : inParts({
        access,
        place: to,
        copyPart: (request, upload, number, range) =>
          Effect.flatMap(
            originalOf(sides, request),
            (original) => orWhyNot(sides, request)(uploads.copy(upload, number, original, range))
          )
      })
    )
  })
