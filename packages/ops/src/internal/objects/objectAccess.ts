/**
 * What all that works on objects shares: stores by addresses, what was listed of them, and a budget of memory.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as FilePath from "../../FilePath.ts"
import { type Call, FilesError } from "../../FilesError.ts"
import {
  type CloudAddressError,
  type ObjectStore,
  ObjectStoreError,
  ObjectStores,
  parseAddress,
  StoreReason
} from "../../ObjectStore.ts"
import { mostAskedMillis, paced } from "./objectPace.ts"
import type { Info, Process } from "./objectStat.ts"

/** What a listing tells of a name: an object, a folder, or that there is none. */
export type Known =
  | { readonly _tag: "Object"; readonly info: Info }
  /** It is marked where there is an object with its key and a slash. */
  | { readonly _tag: "Folder"; readonly isMarked?: boolean }
  | { readonly _tag: "Absent" }

/** A key, and the store that it is in. */
export interface ObjectPlace {
  readonly store: ObjectStore
  readonly bucket: string
  readonly key: string
}

/** What is shared. */
export interface ObjectAccess {
  /** A folder has the key that an object of its name has. */
  readonly at: Places
  /** What listings have told of late, by addresses. What is not there is asked for. */
  readonly known: Map<FilePath.FilePath, Known>
  /** Objects that are copied to others, as they were when they were opened; not there where none are. */
  readonly opened?: Map<FilePath.FilePath, Info>
  /** Memory for content, in KiB. */
  readonly memory: Semaphore.Semaphore
  /** The same for pairs of objects, of which whoever has the one gets the other. */
  readonly pairs: Semaphore.Semaphore
  /** Buffers that nobody uses. */
  readonly pieces: Array<Buffer>
  readonly process: Process
}

/** The name by which a folder is known: an object may have that of the folder. */
export const ofFolder = (path: FilePath.FilePath): FilePath.FilePath =>
  path.endsWith("/") ? path : FilePath.make(`${path}/`)

/** So much is kept of what listings have told, which is many times as much as is under way. */
export const mostKnown = 2 ** 14

/** Drops the older half once it is full: nobody comes for what is left out, or fails before it is looked at. */
class Recent extends Map<FilePath.FilePath, Known> {
  override set(path: FilePath.FilePath, known: Known): this {
    if (this.size >= mostKnown) {
      for (const older of Array.from(this.keys()).slice(0, mostKnown / 2)) this.delete(older)
    }
    return super.set(path, known)
  }
}

/** What is known of an object; nothing where there is none, or nobody knows. */
export const infoOf = ({ known }: ObjectAccess, path: FilePath.FilePath): Info | undefined => {
  const found = known.get(path)
  return found?._tag === "Object" ? found.info : undefined
}

/** Forgets what was listed of a name, as an object and as a folder. */
export const forget = ({ known }: ObjectAccess, path: FilePath.FilePath): void => {
  known.delete(path)
  known.delete(ofFolder(path))
}

/** Larger content comes and goes in pieces of this size: no part of an upload to S3 may be smaller, but the last. */
export const pieceBytes = 5 * 2 ** 20

/** As much content may be in memory at the same time. */
const memoryBytes = 12 * pieceBytes

const kib = (bytes: number): number => Math.min(Math.ceil(bytes / 1024), memoryBytes / 1024)

/** Does something that keeps so many bytes in memory meanwhile. */
export const within = ({ memory }: ObjectAccess, bytes: number) => memory.withPermits(kib(bytes))

/**
 * Lends a buffer of so many bytes. Those of pieces are kept for the next ones: what is made anew for each is only given
 * back by a garbage collection, which takes longer than all else that is done with a piece.
 */
export const lend =
  (access: ObjectAccess, bytes: number) =>
  <A, E, R>(use: (buffer: Uint8Array) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    within(access, Math.max(bytes, pieceBytes))(
      bytes > pieceBytes
        ? Effect.suspend(() => use(Buffer.allocUnsafeSlow(bytes)))
        : Effect.acquireUseRelease(
          Effect.sync(() => access.pieces.pop() ?? Buffer.allocUnsafeSlow(pieceBytes)),
          (piece) => use(piece.subarray(0, bytes)),
          (piece) => Effect.sync(() => void access.pieces.push(piece))
        )
    )

/** Of an object that is larger than a piece so many pieces are asked for at the same time. */
export const piecesAhead = 4

/** Does something with a pair of objects of this size, both of which are read. */
export const withPair = ({ pairs }: ObjectAccess, sizeBytes: number) =>
  pairs.withPermits(2 * kib(Math.min(sizeBytes, piecesAhead * pieceBytes)))

/** Keeps memory for so many bytes until the scope closes. */
export const hold = ({ memory }: ObjectAccess, bytes: number): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(memory.take(kib(bytes)), () => memory.release(kib(bytes)), { interruptible: true })

const misconfigured = ({ message }: CloudAddressError) =>
  new ObjectStoreError({
    call: "configure",
    address: { scheme: "s3", bucket: "…", key: "" },
    reason: StoreReason.cases.Misconfigured.make({ detail: message.replace(/\.$/, "") })
  })

/** Finds the store of an address, and the key in it. */
export type Places = (path: FilePath.FilePath) => Effect.Effect<ObjectPlace, ObjectStoreError>

export const placesIn = (stores: ObjectStores["Service"]): Places => (path) =>
  Effect.gen(function*() {
    const { key, ...bucket } = yield* Effect.mapError(Effect.fromResult(parseAddress(path)), misconfigured)
    return { store: yield* stores.at(bucket), bucket: bucket.bucket, key }
  })

export const make = (process: Process): Effect.Effect<ObjectAccess, never, ObjectStores> =>
  Effect.map(ObjectStores, (stores) => {
    const paces = new Map<ObjectStore, ObjectStore>()
    const at = placesIn(stores)
    return {
      at: (path) =>
        Effect.map(at(path), (place) => {
          const store = paces.get(place.store) ?? paced(place.store)
          paces.set(place.store, store)
          return { ...place, key: place.key.replace(/\/$/, ""), store }
        }),
      known: new Recent(),
      memory: Semaphore.makeUnsafe(memoryBytes / 1024),
      pairs: Semaphore.makeUnsafe(memoryBytes / 1024),
      pieces: [],
      process
    }
  })

const mayBeOver = ({ reason }: ObjectStoreError): boolean =>
  reason._tag === "Throttled" || reason._tag === "ServiceFailed"

const askedMillis = ({ reason }: ObjectStoreError): number =>
  reason._tag === "Throttled" ? Math.min(reason.afterMillis ?? 0, mostAskedMillis) : 0

/**
 * A store that asks for fewer requests, or fails now and then, is asked again within two minutes. With longer delays it
 * has hardly anything to do at the end: all that are left wait then.
 */
const patience = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("2 seconds")]).pipe(
  Schedule.jittered,
  Schedule.setInputType<ObjectStoreError>(),
  Schedule.modifyDelay(({ duration, input }) =>
    Effect.succeed(Duration.max(duration, Duration.millis(askedMillis(input))))
  ),
  Schedule.upTo({ duration: "2 minutes" })
)

/** Makes a call that may be made again, once it was seen to what the one before may have left. */
export const patiently = <A, R, R2 = never>(
  call: Effect.Effect<A, ObjectStoreError, R>,
  before: Effect.Effect<void, ObjectStoreError, R2> = Effect.void
): Effect.Effect<A, ObjectStoreError, R | R2> =>
  // The schedule is only set up once it is needed.
  Effect.catchIf(call, mayBeOver, (error) => {
    let isFirst = true
    const again = Effect.suspend((): Effect.Effect<A, ObjectStoreError, R | R2> => {
      if (!isFirst) return Effect.andThen(before, call)
      isFirst = false
      return Effect.fail(error)
    })
    return Effect.retry(again, { schedule: patience, while: mayBeOver })
  })

/** The error of a call to the file system that stands for a call to a store. */
export const failureOf =
  (call: Call, path: FilePath.FilePath) => ({ message, reason: { _tag } }: ObjectStoreError): FilesError =>
    new FilesError({
      call,
      path,
      target: Option.none(),
      code: _tag === "ObjectMissing" ? "ENOENT" : _tag,
      // Sentences that quote it have an end of their own.
      told: message.replace(/\.$/, "")
    })

/** Makes a call for one to the file system. */
export const asCall = <A, R>(
  call: Call,
  path: FilePath.FilePath,
  effect: Effect.Effect<A, ObjectStoreError, R>
): Effect.Effect<A, FilesError, R> => Effect.mapError(patiently(effect), failureOf(call, path))
