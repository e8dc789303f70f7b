/**
 * Puts the content of a file to an object by one request, and tells what is in the way of it.
 */
import type * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { randomUUID } from "node:crypto"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { ObjectStoreError, WriteOptions } from "../../ObjectStore.ts"
import type { ContentWay } from "../entry/contentCopy.ts"
import type { CopyRequest } from "../entry/copyRequest.ts"
import type { PartialFile } from "../entry/partialFile.ts"
import * as WholeCopy from "../entry/wholeCopy.ts"
import { isChanged } from "../files/statComparison.ts"
import * as Place from "../path/place.ts"
import { CopyError, Reason } from "../steps/copyError.ts"
import { occupied } from "../steps/filePlacement.ts"
import { onSource } from "../steps/sideErrors.ts"
import { failureOf, hold, type ObjectAccess, type ObjectPlace, patiently } from "./objectAccess.ts"
import { carriedBy, inodeOf, nonceName, propertiesOf } from "./objectStat.ts"
import * as Unsupported from "./unsupportedCalls.ts"
import { checkPut, onStore } from "./uploadCheck.ts"

/** The condition of a copy that takes the place of nothing. Where the store obeys none it is asked before. */
export const absent = Effect.fnUntraced(function*(
  access: ObjectAccess,
  request: CopyRequest,
  { key, store }: ObjectPlace,
  call: "put" | "complete" | "copy"
): Effect.fn.Return<Pick<WriteOptions, "condition">, CopyError> {
  if (request.placing === "replace") return {}
  if (store.capabilities.conditions[call]) return { condition: { _tag: "Absent" } }
  if (Option.isNone(yield* onStore(request, store.head(key)))) return {}
  access.known.delete(Place.path(request.target))
  return yield* occupied(request)
})

export const isOccupied = ({ reason }: ObjectStoreError, { placing }: CopyRequest): boolean =>
  reason._tag === "PreconditionFailed" && placing === "exclusive"

/** Says that something has the name, where the store does. What was listed there is forgotten. */
export const orOccupied = (access: ObjectAccess, request: CopyRequest) => (error: ObjectStoreError): CopyError => {
  const path = Place.path(request.target)
  access.known.delete(path)
  if (isOccupied(error, request)) return occupied(request)
  const failure = failureOf("write", path)(error)
  return new CopyError({ reason: Reason.cases.CallFailed.make({ side: "destination", error: failure }) })
}

/** A file whose properties are told before, as metadata, and which gets its place as an object. */
export const draftOf = (
  { target }: CopyRequest,
  stat: Files.FileStat,
  place: PartialFile["place"],
  { counted = 0, made, ...calls }:
    & Partial<Pick<Files.OpenFile, "write" | "copyFrom">>
    & Partial<Pick<PartialFile, "counted" | "made">> = {}
): PartialFile => ({
  file: {
    ...Unsupported.file(Place.path(target)),
    stat: Effect.succeed(stat),
    ...calls
  },
  bytes: 0,
  counted,
  save: () => Effect.void,
  place,
  ...made === undefined ? {} : { made }
})

/** Inode of an object that a store has made, if it has told the ETag. */
export const madeAs = ({ key }: ObjectPlace, etag: string | undefined): bigint | undefined =>
  etag === undefined || etag === "" ? undefined : inodeOf({ etag, key })

/** The object, if it is what was sent with this word. */
export const findOwn = ({ key, store }: ObjectPlace, nonce: string) =>
  Effect.map(patiently(store.head(key)), Option.filter(({ metadata }) => metadata[nonceName] === nonce))

/** The object that was sent with this word, in the place of an error that its own store may have had made of it. */
export const orOwn = (place: ObjectPlace, nonce: string) => (error: ObjectStoreError) =>
  Effect.flatMap(
    findOwn(place, nonce),
    Option.match({ onNone: () => Effect.fail(error), onSome: Effect.succeed })
  )

/** The object that a copy is made of, as it was opened. */
export const openedOf = Effect.fnUntraced(function*({ opened }: ObjectAccess, { source }: CopyRequest) {
  const path = Place.path(source)
  // Where it is copied twice, the other copy may have ended meanwhile. This one opens it once more.
  return opened?.get(path) ?? (yield* new CopyError({ reason: Reason.cases.Changed.make({ path }) }))
})

/** What a copy is to tell: the same as an object that it is made of, or what a file has for that. */
export const propertiesFor = (
  access: ObjectAccess,
  { key }: ObjectPlace,
  request: CopyRequest,
  stat: Files.FileStat
) =>
  FilePath.isAddress(Place.path(request.source))
    ? Effect.map(openedOf(access, request), carriedBy)
    : Effect.succeed(propertiesOf(key, stat, request.options))

/** Keeps all that is written in one buffer, which has the size that the file is said to have, or more. */
const bufferOf = (sizeBytes: number) => {
  let buffer = Buffer.allocUnsafeSlow(sizeBytes)
  let filled = 0
  const write = (bytes: Uint8Array) =>
    Effect.sync(() => {
      if (filled + bytes.length > buffer.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(filled + bytes.length, 2 * buffer.length))
        buffer.copy(larger, 0, 0, filled)
        buffer = larger
      }
      buffer.set(bytes, filled)
      filled += bytes.length
    })
  const copyFrom: Files.OpenFile["copyFrom"] = (from, offset, length) =>
    Effect.map(from.readAt(buffer.subarray(offset, offset + length), offset), (read) => {
      filled = offset + read
      return read
    })
  return { write, copyFrom, content: () => buffer.subarray(0, filled) }
}

/** The condition of a further try: the object is still what the one before has put. */
const still = ({ store }: ObjectPlace, etag: string): Pick<WriteOptions, "condition"> =>
  store.capabilities.conditions.put ? { condition: { _tag: "Same", etag } } : {}

const isUnsupported = (error: ObjectStoreError | CopyError | Interrupter.Interrupted): boolean =>
  error._tag === "ObjectStoreError" && error.reason._tag === "Unsupported"

/** Fails where the file is another one by now: what was sent is no copy of it. */
const checkSource = Effect.fnUntraced(function*({ source }: CopyRequest, stat: Files.FileStat) {
  // Each part of an object is asked for by its ETag.
  if (FilePath.isAddress(Place.path(source))) return
  const now = yield* onSource(Place.find(source))
  if (Option.isSome(now) && isChanged(stat, now.value)) {
    return yield* new CopyError({ reason: Reason.cases.Changed.make({ path: Place.path(source) }) })
  }
})

/**
 * Keeps the content in memory until it is put by one request. A file that changes while it is sent is sent once more:
 * its object is newer than the change, so no later copy would see it.
 */
export const whole = (access: ObjectAccess, place: ObjectPlace): ContentWay => {
  let sent: string | undefined
  const open: ContentWay["open"] = Effect.fnUntraced(function*(request, stat) {
    const { sizeBytes } = stat
    yield* hold(access, sizeBytes)
    const { content, copyFrom, write } = bufferOf(sizeBytes)
    const send = Effect.gen(function*() {
      const condition = sent === undefined || request.placing === "replace"
        ? yield* absent(access, request, place, "put")
        : still(place, sent)
      yield* Lease.check
      const nonce = randomUUID()
      // Only who asks for a condition can take its own object for another one.
      const own = condition.condition === undefined ? {} : { [nonceName]: nonce }
      const { attributes, metadata } = yield* propertiesFor(access, place, request, stat)
      const options = { ...condition, attributes, metadata: { ...metadata, ...own } }
      return yield* Effect.catchIf(
        patiently(place.store.put(place.key, content(), options)),
        (error) => isOccupied(error, request),
        orOwn(place, nonce)
      )
    })
    const put = Effect.gen(function*() {
      // The store may only find out by this request that it has no conditions. Then it is asked for none.
      const stored = yield* send.pipe(
        Effect.retry({ while: isUnsupported, times: 1 }),
        Effect.catchTag("ObjectStoreError", (error) => Effect.fail(orOccupied(access, request)(error)))
      )
      sent = stored.etag
      yield* checkPut(request, place, stored, content())
      yield* checkSource(request, stat)
    })
    return draftOf(request, stat, put, { write, copyFrom, made: () => madeAs(place, sent) })
  })
  return { isLong: false, verifies: true, copy: WholeCopy.way.copy, open }
}
