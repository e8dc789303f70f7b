/**
 * Reads the checksums of files that were copied or moved from the rows of their job.
 *
 * They are of the bytes that were written. Where none were, since the destination was as the source, got its name from
 * another one, or was renamed, they are of the file that is there.
 */
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"
import { FilesError } from "./FilesError.ts"
import * as TreeCursor from "./internal/tree/treeCursor.ts"

/**
 * Schema for what a row tells of files in a folder.
 *
 * @category schemas
 */
export const Checksums = Schema.Struct({
  /** Real path of the folder that they are in now. */
  folder: FilePath.FilePath,
  names: Schema.Array(FilePath.FilePath),
  /** In lower-case hexadecimal digits, in the order of the names. */
  digests: Schema.Array(Schema.String)
})
export type Checksums = typeof Checksums.Type

/**
 * Checksum of a file that was copied or moved.
 *
 * @category models
 */
export interface CopyChecksum {
  /** Which of the transfers it belongs to. */
  readonly transfer: number
  /** Real path that it has now. */
  readonly path: FilePath.FilePath
  readonly digest: string
}

/**
 * Error of a job that has copied or moved everything, and can't write the file of the checksums.
 *
 * @category errors
 */
export class ChecksumsUnwritten
  extends Schema.TaggedError<ChecksumsUnwritten>("@fanout/ops/ChecksumsUnwritten")("ChecksumsUnwritten", {
    path: FilePath.FilePath,
    error: FilesError
  })
{
  override get message(): string {
    const { error, path } = this
    return `All but the checksums is done. "${FilePath.display(path)}" can't be written: ${error.message}. ` +
      "Once that is put right, a retry writes it"
  }
}

const decode = Schema.decodeUnknownOption(Schema.Struct({ checksums: Checksums }))

/**
 * Reads a row: there is nothing in one of what has no content, or was not copied.
 *
 * @category constructors
 */
export const fromRow = ({ cursor, outcome }: OutcomeRow): ReadonlyArray<CopyChecksum> => {
  const value = outcome._tag === "Done" ? decode(outcome.value) : Option.none()
  const place = TreeCursor.parse(cursor)
  if (Option.isNone(value) || Option.isNone(place)) return []
  const { digests, folder, names } = value.value.checksums
  return names.flatMap((name, index) => {
    const digest = digests[index]
    return digest === undefined ? [] : [{ transfer: place.value.source, path: FilePath.join(folder, name), digest }]
  })
}
