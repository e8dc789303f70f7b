/**
 * Reads from a row of a hash job what became of its files.
 *
 * @since 0.1.0
 */
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"
import { FilesIn } from "./HashTask.ts"
import * as SourceCursor from "./SourceCursor.ts"
import * as TreeCursor from "./TreeCursor.ts"

/** What a row has of files that were hashed, or identified by samples. */
const Hashed = Schema.Struct({
  root: FilePath.FilePath,
  folders: Schema.Array(FilesIn),
  digests: Schema.Array(Schema.NullOr(Schema.String)),
  sizesBytes: Schema.Array(Schema.Natural)
})

const decodeHashed = Schema.decodeUnknownSync(Hashed)

/**
 * What one file came to; `hashed` is `None` where it failed or was skipped.
 *
 * @category models
 * @since 0.1.0
 */
export interface HashLine {
  /** Place of the file in the order of the walk, from 0 on. */
  readonly number: number
  readonly row: OutcomeRow
  /** Which of the sources it is in, and where. */
  readonly place: Pick<TreeCursor.TreeCursor, "source" | "path">
  readonly hashed: Option.Option<HashedFile>
}

/**
 * File that was hashed.
 *
 * @category models
 * @since 0.1.0
 */
export interface HashedFile {
  /** Its real path. */
  readonly path: FilePath.FilePath
  /** Content id where it was identified by samples. */
  readonly digest: string
  readonly sizeBytes: number
}

/**
 * Reads a row of this job, and throws on any other.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRow = (row: OutcomeRow): ReadonlyArray<HashLine> => {
  const number = SourceCursor.numberOf(row.cursor)
  const place = Option.getOrThrow(TreeCursor.parse(SourceCursor.placeOf(row.cursor)))
  if (row.outcome._tag !== "Done") return [{ number, row, place, hashed: Option.none() }]
  const { digests, folders, root, sizesBytes } = decodeHashed(row.outcome.value)
  const files = folders.flatMap(({ names, path }) => names.map((name) => FilePath.join(path, name)))
  return digests.flatMap((digest, index) => {
    const path = files[index]
    if (digest === null || path === undefined) return []
    return [{
      number: number + index,
      row,
      // A source that is a file itself has no name in it.
      place: { source: place.source, path: place.path === "" ? place.path : path },
      hashed: Option.some({ path: FilePath.join(root, path), digest, sizeBytes: sizesBytes[index] ?? 0 })
    }]
  })
}
