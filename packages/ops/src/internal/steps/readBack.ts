/**
 * Compares what was written with what was read, from the device and not from what the system remembers of it.
 */
import type * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { FilePath } from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import type { HashAlgorithm } from "../../HashAlgorithm.ts"
import { compareContent, type Kept } from "../content/contentComparison.ts"
import { hashContent, type Hashed } from "../hash/fileHash.ts"
import { CopyError, Reason } from "./copyError.ts"
import { onDestination } from "./sideErrors.ts"

/** What both are hashed by. */
export const comparedBy = "blake3"

/** Reads all of a file at the destination, of about this size, at no rate, and gives its digest. */
export const digestOf = (
  file: Files.OpenFile,
  sizeBytes: number,
  algorithm: HashAlgorithm
): Effect.Effect<string, CopyError | Interrupter.Interrupted> =>
  hashContent(file, sizeBytes, algorithm, () => {}).pipe(
    Effect.provideService(TaskDispatcher.Current, Option.none()),
    Effect.map(({ digest }) => digest),
    onDestination
  )

/** Whether a source and a copy have the same content, byte by byte, but for holes of both. */
export const areSame = Effect.fnUntraced(function*(
  source: Files.OpenFile,
  copy: Files.OpenFile,
  kept: Kept,
  count?: (bytes: number) => Effect.Effect<void>
) {
  const look = Effect.fnUntraced(function*(file: Files.OpenFile, side: "source" | "destination") {
    const blame = (error: FilesError) => new CopyError({ reason: Reason.cases.CallFailed.make({ side, error }) })
    return { file, stat: yield* Effect.mapError(file.stat, blame), blame }
  })
  const [a, b] = [yield* look(source, "source"), yield* look(copy, "destination")]
  return Option.isNone(yield* compareContent(a, b, kept, count))
})

const notKept: Kept = { get: Effect.succeedNone, save: () => Effect.void }

/**
 * Reads all of a file that is on the device, and fails with `Mismatch` where that is not what was hashed; or, if
 * nothing was, not what is in its source.
 */
export const readBack = Effect.fnUntraced(function*(
  file: Files.OpenFile,
  written: Hashed | Files.OpenFile,
  path: FilePath
): Effect.fn.Return<void, CopyError | Interrupter.Interrupted> {
  yield* onDestination(Effect.catchIf(file.forget, ({ code }) => code === "ENOTSUP", () => Effect.void))
  const isSame = "digest" in written
    ? (yield* digestOf(file, written.sizeBytes, comparedBy)) === written.digest
    : yield* areSame(written, file, notKept, () => Effect.void)
  if (!isSame) return yield* new CopyError({ reason: Reason.cases.Mismatch.make({ path }) })
})

/** Counts copies that were read back, and have their names. */
export const count = (copies: number): Effect.Effect<void> => Progress.add("verified", copies)
