/**
 * Copies a file where nobody sees it, and then puts it in its place.
 */
import type * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as Progress from "@fanout/core/Progress"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { CopyOptions } from "../../CopyOptions.ts"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { FilesError } from "../../FilesError.ts"
import type { HashAlgorithm } from "../../HashAlgorithm.ts"
import { comparedUnits, largeUnits } from "../../ProgressUnits.ts"
import { isSparse } from "../content/contentComparison.ts"
import { isChanged } from "../files/statComparison.ts"
import * as Hasher from "../hash/hasher.ts"
import { hasherOf } from "../hash/storedDigest.ts"
import * as Place from "../path/place.ts"
import { keepAttributes } from "../steps/attributes.ts"
import { CopyError, Reason } from "../steps/copyError.ts"
import { prepare } from "../steps/durability.ts"
import { flushPlaced } from "../steps/filePlacement.ts"
import * as ReadBack from "../steps/readBack.ts"
import { onDestination, onSource } from "../steps/sideErrors.ts"
import type { Copied, CopyRequest } from "./copyRequest.ts"
import type { PartialFile } from "./partialFile.ts"

/** A file whose content is copied. */
export interface Copying {
  readonly request: CopyRequest
  readonly from: Files.OpenFile
  readonly stat: Files.FileStat
  readonly to: PartialFile
  /** Takes how many bytes are copied by now. */
  readonly count: (bytes: number) => Effect.Effect<void>
  /** Takes all bytes, one after the other, if somebody is to know them. */
  readonly take: ((bytes: Uint8Array) => void) | undefined
}

/** What was copied. */
export type CopiedContent = Pick<Copied, "strategy" | "sizeBytes">

/** A way to copy content. */
export interface ContentWay {
  /** Whether it may take long, so that the size of a file is told before. */
  readonly isLong: boolean
  /** Whether no content passes through this process: what is to be known of it is read where the copy is. */
  readonly isUnseen?: boolean
  /** Whether it compares by itself what was written, where a copy is verified: nothing is read back then. */
  readonly verifies?: boolean
  /** Creates the file that is written to. */
  readonly open: (
    request: CopyRequest,
    stat: Files.FileStat
  ) => Effect.Effect<PartialFile, CopyError | Interrupter.Interrupted, Files.Files | Scope.Scope>

  readonly copy: (
    copying: Copying
  ) => Effect.Effect<CopiedContent, CopyError | Interrupter.Interrupted, Scope.Scope>
}

/** How many bytes of a file were counted, by whichever try; and of a large one, how many it was told to have. */
interface Counted {
  bytes: number
  begun: number
}

/** Counts so much of a large file, up to its size as it was told. */
const countLarge = ({ begun, bytes }: Counted, upTo: number): Effect.Effect<void> => {
  const more = Math.min(upTo, begun) - bytes
  return more > 0 ? Progress.add(largeUnits.copied, more) : Effect.void
}

/** Counts a file up to here. What a try before this one has counted is not counted once more. */
const count = (counted: Counted) => (copied: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const more = copied - counted.bytes
    if (more <= 0) return Effect.void
    const ofLarge = countLarge(counted, copied)
    counted.bytes = copied
    return Effect.andThen(Progress.add("bytes", more), ofLarge)
  })

/** Tells how large a file is that takes a while, before it is copied; once, whichever try or run it is. */
const begin = (counted: Counted, { sizeBytes }: Files.FileStat): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (counted.begun > 0) return Effect.void
    counted.begun = sizeBytes
    return counted.bytes > 0 ? Effect.void : Progress.add(largeUnits.begun, sizeBytes)
  })

/** Leaves nothing to be waited for of a file that has failed, or is smaller by now. */
const end = (counted: Counted): Effect.Effect<void> => Effect.suspend(() => countLarge(counted, counted.begun))

/** What hashes the content on its way: to be compared with what is read back, and to be told. */
const hashersFor = (checksums: CopyOptions["checksums"], isReadBack: boolean) => {
  const hashers = new Map<HashAlgorithm, Hasher.Hasher>()
  if (isReadBack) hashers.set(ReadBack.comparedBy, Hasher.make(ReadBack.comparedBy))
  if (checksums !== undefined && !hashers.has(checksums)) hashers.set(checksums, Hasher.make(checksums))
  return hashers
}

/** What hashes the content of a source of which a store keeps a checksum, if it is to be compared. */
const keptOf = ({ kept }: Files.OpenFile, { isVerified }: CopyOptions) =>
  kept === undefined || !isVerified ? undefined : { ...kept, hasher: hasherOf(kept.algorithm) }

/** Fails where what was read of a source is not what its store keeps. */
const checkKept = Effect.fnUntraced(function*(path: FilePath.FilePath, kept: ReturnType<typeof keptOf>) {
  if (kept === undefined) return
  if (kept.hasher.digest() !== kept.digest) {
    const told = `What was read of "${FilePath.display(path)}" has another ${kept.algorithm} than its store tells: ` +
      "try again, and suspect the network or the memory"
    const error = new FilesError({ call: "read", path, target: Option.none(), code: "Corrupt", told })
    return yield* new CopyError({ reason: Reason.cases.CallFailed.make({ side: "source", error }) })
  }
  yield* Progress.add(comparedUnits.checksum, 1)
})

const copyOnce = Effect.fnUntraced(
  function*(
    request: CopyRequest,
    { copy, isLong, isUnseen = false, open, verifies = false }: ContentWay,
    counted: Counted
  ) {
    const { options, source, target } = request
    const isReadBack = options.isVerified && !verifies && !isUnseen
    const from = yield* onSource(source.folder.open(source.name))
    const stat = yield* onSource(from.stat)
    if (stat.kind !== "file") {
      return yield* new CopyError({ reason: Reason.cases.KindChanged.make({ path: Place.path(source) }) })
    }
    const flush = yield* prepare(target.folder)
    const draft = yield* open(request, stat)
    counted.bytes = Math.max(counted.bytes, draft.counted)
    if (isLong) yield* begin(counted, stat)
    // Zeros of a hole are not read to be compared.
    const isHashed = isReadBack && !(options.keeps.has("sparse") && isSparse(stat))
    const hashers = hashersFor(isUnseen ? undefined : options.checksums, isHashed)
    const kept = isUnseen ? undefined : keptOf(from, options)
    const all = [...hashers.values(), ...kept === undefined ? [] : [kept.hasher]]
    const update = (bytes: Uint8Array) => {
      for (const hasher of all) hasher.update(bytes)
    }
    const take = all.length === 0 ? undefined : update
    const copied = yield* copy({ request, from, stat, to: draft, count: count(counted), take })
    if (isChanged(stat, yield* onSource(from.stat))) {
      return yield* new CopyError({ reason: Reason.cases.Changed.make({ path: Place.path(source) }) })
    }
    yield* checkKept(Place.path(source), kept)
    yield* Lease.check
    const attributes = yield* keepAttributes(draft.file, Effect.succeed(from), stat, options)
    const lost = from.hasMetadata === true ? [...attributes, "metadata" as const] : attributes
    yield* flush.content([draft.file])
    const digests = new Map(Array.from(hashers, ([algorithm, hasher]) => [algorithm, hasher.digest()]))
    if (isReadBack) {
      const digest = isHashed ? digests.get(ReadBack.comparedBy) : undefined
      const written = digest === undefined ? from : { digest, sizeBytes: copied.sizeBytes }
      yield* ReadBack.readBack(draft.file, written, Place.path(target))
      // What it was opened by for writing notes each read.
      if (options.keeps.has("times") && !lost.includes("times")) yield* onDestination(draft.file.setTimes(stat))
    }
    yield* draft.place
    yield* flushPlaced(request, flush)
    if (options.isVerified) yield* ReadBack.count(1)
    const digest = options.checksums === undefined ? undefined : digests.get(options.checksums)
    const made = draft.made?.()
    return {
      ...copied,
      lost,
      ...digest === undefined ? {} : { digest },
      ...made === undefined ? {} : { made }
    }
  },
  Effect.scoped
)

/** Copies a file where nobody sees it, and then puts it in its place. */
export const copyContent = (
  request: CopyRequest,
  way: ContentWay
): Effect.Effect<Copied, CopyError | Interrupter.Interrupted, Files.Files> =>
  Effect.suspend(() => {
    const counted: Counted = { bytes: 0, begun: 0 }
    const copy = copyOnce(request, way, counted)
    // Once more each: what was not supported is remembered, and what goes on changing is told.
    return Effect.catchReason(copy, "CopyError", "Unsupported", () => copy).pipe(
      (copied) => Effect.catchReason(copied, "CopyError", "Changed", () => copied),
      (copied) => Effect.catchReason(copied, "CopyError", "Mismatch", () => copied),
      (copied) => Effect.tapError(copied, (error) => error._tag === "CopyError" ? end(counted) : Effect.void),
      (copied) => Effect.tap(copied, () => end(counted))
    )
  })
