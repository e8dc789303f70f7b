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
import type { HashAlgorithm } from "../../HashAlgorithm.ts"
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

/** Reads all of a file that is on the device, and fails with `Mismatch` where that is not what was hashed. */
export const readBack = Effect.fnUntraced(function*(
  file: Files.OpenFile,
  { digest, sizeBytes }: Hashed,
  path: FilePath
): Effect.fn.Return<void, CopyError | Interrupter.Interrupted> {
  yield* onDestination(Effect.catchIf(file.forget, ({ code }) => code === "ENOTSUP", () => Effect.void))
  const found = yield* digestOf(file, sizeBytes, comparedBy)
  if (found !== digest) return yield* new CopyError({ reason: Reason.cases.Mismatch.make({ path }) })
})

/** Counts copies that were read back, and have their names. */
export const count = (copies: number): Effect.Effect<void> => Progress.add("verified", copies)
