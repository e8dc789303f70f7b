/**
 * Reads objects as files that are open.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import { type ByteRange, type ObjectInfo, ObjectStoreError, StoreReason } from "../../ObjectStore.ts"
import { failure } from "../files/openHandle.ts"
import { digestOf, surest } from "../hash/storedDigest.ts"
import {
  asCall,
  failureOf,
  hold,
  lend,
  type ObjectAccess,
  type ObjectPlace,
  patiently,
  pieceBytes,
  piecesAhead
} from "./objectAccess.ts"
import { hasMetadata, type Info, statOf } from "./objectStat.ts"
import * as Unsupported from "./unsupportedCalls.ts"

/** Error: the bytes of an answer are not those of the object. */
const corrupt = ({ key, store }: ObjectPlace, code: string): ObjectStoreError =>
  new ObjectStoreError({
    call: "get",
    address: { ...store.bucket, key },
    reason: StoreReason.cases.Corrupt.make({ code })
  })

/** Error: the object is another one by now. */
const changed = ({ key, store }: ObjectPlace): ObjectStoreError =>
  new ObjectStoreError({
    call: "get",
    address: { ...store.bucket, key },
    reason: StoreReason.cases.PreconditionFailed.make({})
  })

/** Whether bytes are what the store knows of the whole object by a checksum. */
const isWhole = ({ checksums }: ObjectInfo, bytes: Uint8Array): boolean => {
  const kept = surest(checksums)
  return kept === undefined || digestOf(kept.algorithm, bytes) === kept.digest
}

/**
 * Reads an object that is said to have this size, and compares it by a checksum that the store tells. One that has
 * another size by now has no bytes.
 */
export const readWhole = Effect.fnUntraced(function*(place: ObjectPlace, sizeBytes: number) {
  const buffer = Buffer.allocUnsafe(sizeBytes)
  const { info, length } = yield* place.store.read(place.key, buffer)
  if (info.sizeBytes !== sizeBytes && Number.isSafeInteger(info.sizeBytes)) return { bytes: undefined, info }
  // The service may have told no length at all.
  if (Option.getOrUndefined(length) !== info.sizeBytes) return yield* corrupt(place, "WrongLength")
  return isWhole(info, buffer) ? { bytes: buffer, info } : yield* corrupt(place, "ChecksumMismatch")
})

/** Copies what there is at a place into a buffer. */
const copied = (bytes: Uint8Array, start: number, buffer: Uint8Array): number => {
  const length = Math.max(0, Math.min(bytes.length - start, buffer.length))
  buffer.set(bytes.subarray(start, start + length))
  return length
}

/** Reads a range of an object that is still the one that was opened: not each store obeys a condition on a read. */
const collectRange = Effect.fnUntraced(function*(
  place: ObjectPlace,
  { etag, key, sizeBytes }: Info,
  range: ByteRange,
  buffer: Uint8Array
) {
  const { info, length } = yield* place.store.read(key, buffer, { range, etag })
  if (info.etag !== etag || info.sizeBytes !== sizeBytes) return yield* changed(place)
  return Option.getOrUndefined(length) === buffer.length ? buffer : yield* corrupt(place, "WrongLength")
})

/** A range that was asked for. Its memory is given back with the fiber. */
interface Asked {
  readonly answer: Deferred.Deferred<Uint8Array, ObjectStoreError>
  readonly fiber: Fiber.Fiber<never>
}

/** Reads a large object by ranges, some of which are asked for ahead. One reader reads in it, and not backwards. */
class Ranges {
  private readonly access: ObjectAccess
  private readonly place: ObjectPlace
  private readonly info: ObjectInfo
  private readonly scope: Scope.Scope
  /** Those that were asked for, by their numbers. */
  private readonly asked = new Map<number, Asked>()

  constructor(access: ObjectAccess, place: ObjectPlace, info: ObjectInfo, scope: Scope.Scope) {
    this.access = access
    this.place = place
    this.info = info
    this.scope = scope
  }

  private rangeOf(number: number): ByteRange {
    return { start: number * pieceBytes, end: Math.min((number + 1) * pieceBytes, this.info.sizeBytes) }
  }

  /** Asks for a range, and keeps it until nobody reads in it any more. */
  private ask(number: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.asked.has(number) || number * pieceBytes >= this.info.sizeBytes) return Effect.void
      const answer = Deferred.makeUnsafe<Uint8Array, ObjectStoreError>()
      const range = this.rangeOf(number)
      const kept = (buffer: Uint8Array) =>
        Effect.andThen(
          Deferred.into(patiently(collectRange(this.place, this.info, range, buffer)), answer),
          Effect.never
        )
      return Effect.map(
        Effect.forkIn(lend(this.access, range.end - range.start)(kept), this.scope),
        (fiber) => void this.asked.set(number, { answer, fiber })
      )
    })
  }

  private drop(before: number): Effect.Effect<void> {
    const old = Array.from(this.asked).filter(([number]) => number < before)
    for (const [number] of old) this.asked.delete(number)
    return Effect.forEach(old, ([, { fiber }]) => Fiber.interrupt(fiber), { discard: true })
  }

  readonly readAt = (buffer: Uint8Array, offset: number): Effect.Effect<number, ObjectStoreError> =>
    Effect.suspend(() => {
      if (offset >= this.info.sizeBytes) return Effect.succeed(0)
      const number = Math.floor(offset / pieceBytes)
      const ahead = Array.from({ length: piecesAhead }, (_, index) => number + index)
      return this.drop(number).pipe(
        Effect.andThen(Effect.forEach(ahead, (one) => this.ask(one), { discard: true })),
        Effect.andThen(Effect.suspend(() => {
          const asked = this.asked.get(number)
          return asked === undefined
            ? Effect.die(new Error("Two readers of one object"))
            : Deferred.await(asked.answer)
        })),
        Effect.map((bytes) => copied(bytes, offset - number * pieceBytes, buffer))
      )
    })
}

type Opening = Effect.Effect<Files.OpenFile, FilesError, Scope.Scope>

/** An open file that is read like this, from any place or from where the last read has ended. */
const opened = (
  access: ObjectAccess,
  place: ObjectPlace,
  path: FilePath.FilePath,
  info: ObjectInfo,
  readAt: Files.OpenFile["readAt"]
): Files.OpenFile => {
  let position = 0
  const read: Files.OpenFile["read"] = (buffer) =>
    Effect.suspend(() => Effect.tap(readAt(buffer, position), (length) => Effect.sync(() => void (position += length))))
  const stat = Effect.succeed(statOf(place.bucket, info, access.process))
  const kept = "checksums" in info ? surest(info.checksums) : undefined
  return { ...Unsupported.file(path), stat, kept, hasMetadata: hasMetadata(info), read, readAt }
}

/** An object that was read when it was opened. */
const openWhole = (access: ObjectAccess, place: ObjectPlace, path: FilePath.FilePath, likely: number): Opening =>
  Effect.gen(function*() {
    const own = yield* Scope.fork(yield* Effect.scope)
    yield* Scope.provide(hold(access, likely), own)
    const { bytes, info } = yield* asCall("open", path, readWhole(place, likely))
    if (bytes === undefined) {
      // It is another one by now. Whoever keeps memory and waits for more may keep others from theirs.
      yield* Scope.close(own, Exit.void)
      return yield* openLarge(access, place, path, info)
    }
    return opened(access, place, path, info, (buffer, offset) => Effect.sync(() => copied(bytes, offset, buffer)))
  })

const openLarge = (access: ObjectAccess, place: ObjectPlace, path: FilePath.FilePath, info: ObjectInfo): Opening =>
  Effect.map(Effect.scope, (scope) => {
    const ranges = new Ranges(access, place, info, scope)
    return opened(
      access,
      place,
      path,
      info,
      (buffer, offset) => Effect.mapError(ranges.readAt(buffer, offset), failureOf("read", path))
    )
  })

/** Looks at an object that is to be opened. */
const look = Effect.fnUntraced(function*(place: ObjectPlace, path: FilePath.FilePath) {
  const found = yield* asCall("open", path, place.store.head(place.key))
  if (Option.isNone(found)) {
    // An answer to HEAD does not say whether the bucket is gone. A listing fails then.
    yield* asCall("open", path, Stream.runHead(place.store.list(place.key)))
    return yield* failure("open", path, "ENOENT")
  }
  const { value } = found
  return Number.isSafeInteger(value.sizeBytes) ? value : yield* failureOf("open", path)(corrupt(place, "NoLength"))
})

/** Reads a whole object, or a range of it, into a buffer that has room for that. */
const readInto = Effect.fnUntraced(function*(
  place: ObjectPlace,
  info: Info,
  range: ByteRange,
  buffer: Uint8Array
): Effect.fn.Return<Info, ObjectStoreError> {
  const own = buffer.subarray(0, range.end - range.start)
  if (own.length < info.sizeBytes) {
    yield* collectRange(place, info, range, own)
    return info
  }
  const { info: now, length } = yield* place.store.read(place.key, own, { etag: info.etag })
  if (now.etag !== info.etag || now.sizeBytes !== info.sizeBytes) return yield* changed(place)
  if (Option.getOrUndefined(length) !== own.length) return yield* corrupt(place, "WrongLength")
  return isWhole(now, own) ? now : yield* corrupt(place, "ChecksumMismatch")
})

/**
 * Opens an object that is copied to another one: its bytes are read by those who have memory for them, by one request
 * for as many as are asked for, or not at all. Nobody is asked where a listing has told enough.
 */
export const openUnread = (
  opened: Map<FilePath.FilePath, Info>,
  access: ObjectAccess,
  place: ObjectPlace,
  path: FilePath.FilePath,
  listed: Info | undefined
): Opening =>
  Effect.gen(function*() {
    // Only what is read by one request, and sent by one, tells its metadata by that.
    const most = Math.min(pieceBytes, place.store.capabilities.limits.putBytes)
    const isTold = listed !== undefined &&
      (listed.metadata !== undefined || (listed.sizeBytes > 0 && listed.sizeBytes <= most))
    const info: Info = isTold ? listed : yield* look(place, path)
    opened.set(path, info)
    return {
      ...Unsupported.file(path),
      stat: Effect.succeed(statOf(place.bucket, info, access.process)),
      readAt: Effect.fnUntraced(function*(buffer, offset) {
        const range = { start: offset, end: Math.min(offset + buffer.length, info.sizeBytes) }
        if (range.start >= range.end) return 0
        opened.set(path, yield* asCall("read", path, readInto(place, info, range, buffer)))
        return range.end - range.start
      })
    } satisfies Files.OpenFile
  })

/** Opens an object. Where its size is known it takes one request; a large one tells its time by another. */
export const open = (
  access: ObjectAccess,
  place: ObjectPlace,
  path: FilePath.FilePath,
  sizeBytes: number | undefined
): Opening =>
  Effect.gen(function*() {
    if (sizeBytes !== undefined && sizeBytes <= pieceBytes) return yield* openWhole(access, place, path, sizeBytes)
    const value = yield* look(place, path)
    return value.sizeBytes <= pieceBytes
      ? yield* openWhole(access, place, path, value.sizeBytes)
      : yield* openLarge(access, place, path, value)
  })
