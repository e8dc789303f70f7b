/**
 * Writes the checksums of a copy to the file that they are asked for in: a line for each file, in no order.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import { JobContext } from "@fanout/core/JobContext"
import type { JobId } from "@fanout/core/JobId"
import * as Lease from "@fanout/core/Lease"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as ChecksumLine from "../../ChecksumLine.ts"
import type { Payload } from "../../Copy.ts"
import * as CopyChecksum from "../../CopyChecksum.ts"
import { CopyOptions } from "../../CopyOptions.ts"
import * as FilePath from "../../FilePath.ts"
import * as OutputFile from "../../OutputFile.ts"

/** Path of a file from the destination on, as that was given. */
const nameOf = (
  { path, transfer }: CopyChecksum.CopyChecksum,
  transfers: Payload["transfers"]
): FilePath.FilePath => {
  const { target, called = target } = transfers[transfer] ?? transfers[0]
  // A file that was given another name, since its own was taken, is beside it.
  return FilePath.isWithin(path, target)
    ? FilePath.join(called, FilePath.make(path.slice(target.length).replace(/^\//, "")))
    : FilePath.join(FilePath.parent(called), FilePath.name(path))
}

/**
 * Removes what owners before this one have begun to write. Nothing else is: beside it may be sources that were put
 * aside.
 */
export const sweep = Effect.fnUntraced(
  function*({ request: { checksums } }: Payload, job: JobId, before?: number) {
    const path = checksums?.output
    if (path === undefined) return
    yield* OutputFile.sweep(path, job, (token) => before === undefined || token < before)
  },
  (sweeping) => Effect.ignore(sweeping)
)

/** Writes the file anew, from what all runs of the job have recorded. */
export const write = Effect.fnUntraced(function*(payload: Payload) {
  const { request: { checksums }, transfers } = payload
  const path = checksums?.output
  if (checksums === undefined || path === undefined) return
  const { id, outcomes, token } = yield* JobContext
  const { isDurable } = yield* CopyOptions
  yield* sweep(payload, id, token)
  const writeAll = Effect.gen(function*() {
    const file = yield* OutputFile.make(path, { job: id, token })
    yield* Stream.runForEachArray(outcomes(["Done"]), (rows) => {
      const lines = rows.flatMap(CopyChecksum.fromRow).map((checksum) =>
        ChecksumLine.write({ ...checksums, digest: checksum.digest, path: nameOf(checksum, transfers) }, "plain")
      )
      return Effect.andThen(Interrupter.check, file.write(Buffer.concat(lines)))
    })
    yield* Lease.check
    yield* file.finish(isDurable)
  })
  yield* Effect.scoped(writeAll).pipe(
    Effect.catchTag("FilesError", (error) => Effect.fail(new CopyChecksum.ChecksumsUnwritten({ path, error })))
  )
})
