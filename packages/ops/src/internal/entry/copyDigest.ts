/**
 * Gives the checksum that is told of a copy: of what was hashed on its way, or of the file that is there.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Checksums } from "../../CopyChecksum.ts"
import { CopyOptions } from "../../CopyOptions.ts"
import type * as Files from "../../Files.ts"
import type { HashAlgorithm } from "../../HashAlgorithm.ts"
import { isChanged } from "../files/statComparison.ts"
import * as Place from "../path/place.ts"
import { CopyError, Reason } from "../steps/copyError.ts"
import { digestOf } from "../steps/readBack.ts"
import { onDestination } from "../steps/sideErrors.ts"

/**
 * Reads the file that is at a place, and gives its digest; nothing of what is no file. Where the job gives the file
 * another name meanwhile, it counts as changed: then it is read once more, and is to have the same digest.
 */
const hashPlace = Effect.fnUntraced(function*(
  place: Place.Place,
  algorithm: HashAlgorithm
): Effect.fn.Return<string | undefined, CopyError | Interrupted, Files.Files | Scope.Scope> {
  const { kind } = yield* onDestination(Place.lstat(place))
  if (kind !== "file") return undefined
  const file = yield* onDestination(Place.openFile(place))
  const read = Effect.gen(function*() {
    const before = yield* onDestination(file.stat)
    const digest = yield* digestOf(file, before.sizeBytes, algorithm)
    return { digest, isSure: !isChanged(before, yield* onDestination(file.stat)) }
  })
  const first = yield* read
  const last = first.isSure ? first : yield* read
  if (last.isSure || last.digest === first.digest) return last.digest
  return yield* new CopyError({ reason: Reason.cases.Changed.make({ path: Place.path(place) }) })
}, Effect.scoped)

/** What is told of the file that is at a place by now. Where no content has passed through, that is read. */
export const checksumsOf = Effect.fnUntraced(function*(
  place: Place.Place,
  digest?: string
): Effect.fn.Return<{ readonly checksums?: Checksums }, CopyError | Interrupted, Files.Files> {
  const { checksums: algorithm } = yield* CopyOptions
  if (algorithm === undefined) return {}
  const known = digest ?? (yield* hashPlace(place, algorithm))
  return known === undefined ? {} : { checksums: { folder: place.folder.path, names: [place.name], digests: [known] } }
})
