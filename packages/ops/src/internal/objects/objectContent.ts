/**
 * Reads objects as files that are open.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import type * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import {
  type ByteRange,
  type ChecksumAlgorithm,
  type ObjectInfo,
  ObjectStoreError,
  StoreReason
} from "../../ObjectStore.ts"
import { failure } from "../files/openHandle.ts"
import {
  asCall,
  failureOf,
  giveBack,
  type ObjectAccess,
  type ObjectPlace,
  patiently,
  take,
  within
} from "./objectAccess.ts"
import { statOf } from "./objectStat.ts"
import * as Unsupported from "./unsupportedCalls.ts"

/** Objects up to this size are read by one request. */
const wholeBytes = 2 ** 23

/** Of larger ones so much is asked for at once, and so many of these at the same time. */
const [rangeBytes, rangesAhead] = [2 ** 23, 4]

/** Error: the bytes of an answer are not those of the object. */
const corrupt = ({ key, store }: ObjectPlace, code: string): ObjectStoreError =>
  new ObjectStoreError({
    call: "get",
    address: { ...store.bucket, key },
    reason: StoreReason.cases.Corrupt.make({ code })
  })

/** The checksum of bytes, where Node has the algorithm. */
const digestOf = (algorithm: ChecksumAlgorithm, bytes: Uint8Array): string | undefined => {
  switch (algorithm) {
    case "crc32":
      return crc32(bytes).toString(16).padStart(8, "0")
    case "md5":
    case "sha1":
    case "sha256":
      return createHash(algorithm).update(bytes).digest("hex")
    default:
      return undefined
  }
}

/** Whether bytes are what the store knows of the whole object by a checksum. */
const isWhole = ({ checksums }: ObjectInfo, bytes: Uint8Array): boolean =>
  checksums.every(({ algorithm, digest }) => (digestOf(algorithm, bytes) ?? digest) === digest)

/**
 * Reads all of an object that is not too large, and compares it by the checksums that the store tells. One that is too
 * large has no bytes.
 */
export const readWhole = Effect.fnUntraced(function*(place: ObjectPlace, mostBytes: number) {
  const { bytes, info } = yield* place.store.read(place.key, mostBytes)
  if (Option.isNone(bytes)) return { bytes: undefined, info }
  // The service may have told no length at all.
  if (bytes.value.length !== info.sizeBytes) return yield* corrupt(place, "WrongLength")
  return isWhole(info, bytes.value) ? { bytes: bytes.value, info } : yield* corrupt(place, "ChecksumMismatch")
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
  { etag, key, sizeBytes }: ObjectInfo,
  range: ByteRange
) {
  const length = range.end - range.start
  const { bytes, info } = yield* place.store.read(key, length, { range, etag })
  if (info.etag !== etag || info.sizeBytes !== sizeBytes) {
    const reason = StoreReason.cases.PreconditionFailed.make({})
    return yield* new ObjectStoreError({ call: "get", address: { ...place.store.bucket, key }, reason })
  }
  return Option.isSome(bytes) && bytes.value.length === length ? bytes.value : yield* corrupt(place, "WrongLength")
})

/** A range that was asked for. Its memory is given back with the fiber. */
interface Asked {
  readonly answer: Deferred.Deferred<Uint8Array, ObjectStoreError>
  readonly fiber: Fiber.Fiber<never>
}

/** Reads a large object by ranges, some of which are asked for ahead. */
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
    return { start: number * rangeBytes, end: Math.min((number + 1) * rangeBytes, this.info.sizeBytes) }
  }

  /** Asks for a range, and keeps it until nobody reads in it any more. */
  private ask(number: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.asked.has(number) || number * rangeBytes >= this.info.sizeBytes) return Effect.void
      const answer = Deferred.makeUnsafe<Uint8Array, ObjectStoreError>()
      const range = this.rangeOf(number)
      const get = collectRange(this.place, this.info, range)
      const kept = Effect.andThen(Deferred.into(patiently(get), answer), Effect.never)
      return Effect.map(
        Effect.forkIn(within(this.access, range.end - range.start)(kept), this.scope),
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
      const number = Math.floor(offset / rangeBytes)
      const ahead = Array.from({ length: rangesAhead }, (_, index) => number + index)
      return this.drop(number).pipe(
        Effect.andThen(Effect.forEach(ahead, (one) => this.ask(one), { discard: true })),
        Effect.andThen(Effect.suspend(() => {
          const asked = this.asked.get(number)
          return asked === undefined ? Effect.succeed(new Uint8Array(0)) : Deferred.await(asked.answer)
        })),
        Effect.map((bytes) => copied(bytes, offset - number * rangeBytes, buffer))
      )
    })
}

type Opening = Effect.Effect<Files.OpenFile, FilesError, Scope.Scope>

/** An object that was read when it was opened. */
const openWhole = (access: ObjectAccess, place: ObjectPlace, path: FilePath.FilePath, likely: number): Opening =>
  Effect.gen(function*() {
    yield* Effect.acquireRelease(take(access, likely), () => giveBack(access, likely), { interruptible: true })
    const { bytes, info } = yield* asCall(
      "open",
      path,
      readWhole(place, wholeBytes)
    )
    if (bytes === undefined) return yield* openLarge(access, place, path, info)
    let position = 0
    return {
      ...Unsupported.file(path),
      stat: Effect.succeed(statOf(place.bucket, info, access.process)),
      read: (buffer) =>
        Effect.sync(() => {
          const length = copied(bytes, position, buffer)
          position += length
          return length
        }),
      readAt: (buffer, offset) => Effect.sync(() => copied(bytes, offset, buffer))
    } satisfies Files.OpenFile
  })

const openLarge = (access: ObjectAccess, place: ObjectPlace, path: FilePath.FilePath, info: ObjectInfo): Opening =>
  Effect.gen(function*() {
    const ranges = new Ranges(access, place, info, yield* Effect.scope)
    return {
      ...Unsupported.file(path),
      stat: Effect.succeed(statOf(place.bucket, info, access.process)),
      readAt: (buffer, offset) => Effect.mapError(ranges.readAt(buffer, offset), failureOf("read", path))
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
    if (sizeBytes !== undefined && sizeBytes <= wholeBytes) return yield* openWhole(access, place, path, sizeBytes)
    const found = yield* asCall("open", path, place.store.head(place.key))
    if (Option.isNone(found)) {
      // An answer to HEAD does not say whether the bucket is gone. A listing fails then.
      yield* asCall("open", path, Stream.runHead(place.store.list(place.key)))
      return yield* failure("open", path, "ENOENT")
    }
    const { value } = found
    if (!Number.isSafeInteger(value.sizeBytes)) return yield* failureOf("open", path)(corrupt(place, "NoLength"))
    return value.sizeBytes <= wholeBytes
      ? yield* openWhole(access, place, path, value.sizeBytes)
      : yield* openLarge(access, place, path, value)
  })
