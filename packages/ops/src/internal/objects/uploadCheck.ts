/**
 * Compares objects with what they were made of: by what their store has answered, or by reading.
 */
import * as Progress from "@fanout/core/Progress"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Files from "../../Files.ts"
import type { ObjectStoreError, StoredObject, UploadedPart } from "../../ObjectStore.ts"
import { comparedUnits } from "../../ProgressUnits.ts"
import { crc32OfParts } from "../cloud/crc32.ts"
import type { CopyRequest } from "../entry/copyRequest.ts"
import { hashContent } from "../hash/fileHash.ts"
import { digestInTurns, digestOf, hasherOf, surest } from "../hash/storedDigest.ts"
import * as Place from "../path/place.ts"
import { CopyError, Reason } from "../steps/copyError.ts"
import { onDestination, onSource } from "../steps/sideErrors.ts"
import { asCall, type ObjectPlace } from "./objectAccess.ts"

/** Makes a call to the store of the target. */
export const onStore = <A, R>(request: CopyRequest, effect: Effect.Effect<A, ObjectStoreError, R>) =>
  onDestination(asCall("write", Place.path(request.target), effect))

/** By this all is hashed that has to be read. */
const readBy = "sha256"

/** Reads an object as it comes, and gives its digest. */
const digestStored = Effect.fnUntraced(function*({ key, store }: ObjectPlace, etag: string) {
  const { bytes } = yield* store.get(key, { etag })
  const hasher = hasherOf(readBy)
  yield* Stream.runForEach(bytes, (piece) => Effect.sync(() => hasher.update(piece)))
  return hasher.digest()
}, Effect.scoped)

const requireSame = ({ target }: CopyRequest, isSame: boolean): Effect.Effect<void, CopyError> =>
  isSame
    ? Effect.void
    : Effect.fail(new CopyError({ reason: Reason.cases.Mismatch.make({ path: Place.path(target) }) }))

/** Checks an object that was put by one request, if the copy is verified. */
export const checkPut = Effect.fnUntraced(function*(
  request: CopyRequest,
  place: ObjectPlace,
  { checksums, etag }: StoredObject,
  bytes: Uint8Array
) {
  if (!request.options.isVerified) return
  const told = surest(checksums)
  const digest = told?.digest ?? (yield* onStore(request, digestStored(place, etag)))
  yield* requireSame(request, digest === (yield* digestInTurns(told?.algorithm ?? readBy, bytes)))
  yield* Progress.add(told === undefined ? comparedUnits.reading : comparedUnits.checksum, 1)
})

/** Whether a part is known to have these bytes: by its CRC-32, or by its ETag, which is mostly the MD5. */
export const isPartOf = ({ checksum, etag }: UploadedPart, bytes: Uint8Array): Effect.Effect<boolean> => {
  const { algorithm, digest } = checksum ?? { algorithm: "md5" as const, digest: etag }
  return Effect.map(digestInTurns(algorithm, bytes), (found) => found === digest)
}

/** The ETag that most stores give an object which was made of parts. */
const etagOf = (parts: ReadonlyArray<UploadedPart>): string => {
  const etags = parts.map(({ etag }) => Buffer.from(etag, "hex"))
  return `${digestOf("md5", Buffer.concat(etags))}-${parts.length}`
}

/** Whether an object is known to be made of these parts: by the CRC-32 of all, or the ETag. */
const isOfParts = ({ checksums, etag }: StoredObject, parts: ReadonlyArray<UploadedPart>): boolean => {
  const whole = crc32OfParts(parts)
  const told = checksums.find(({ algorithm }) => algorithm === whole?.algorithm)
  return parts.length > 0 && (told === undefined ? etag === etagOf(parts) : told.digest === whole?.digest)
}

/** Checks an object that was made of parts. `parts` are all of them, if each is known to have the bytes of the file. */
export const checkParts = Effect.fnUntraced(function*(
  request: CopyRequest,
  place: ObjectPlace,
  stored: StoredObject,
  from: Files.OpenFile,
  parts: ReadonlyArray<UploadedPart>
) {
  const isKnown = isOfParts(stored, parts)
  if (!isKnown) {
    const { sizeBytes } = yield* onSource(from.stat)
    const { digest } = yield* onSource(hashContent(from, sizeBytes, readBy, () => {}))
    yield* requireSame(request, digest === (yield* onStore(request, digestStored(place, stored.etag))))
  }
  yield* Progress.add(isKnown ? comparedUnits.checksum : comparedUnits.reading, 1)
})
