/**
 * Reads from a row of a hash job what became of its files.
 *
 * @since 0.1.0
 */
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"
import { FilesIn } from "./internal/hashTask.ts"
import * as SourceCursor from "./internal/sourceCursor.ts"
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
 * What files that follow one another came to. One that failed or was skipped is by itself, and has no digest.
 *
 * @category models
 * @since 0.1.0
 */
export interface HashLine {
  /** Place of the first of them in the order of the walk, from 0 on; of a folder that was listed later, if they are. */
  readonly number: number
  readonly count: number
  /** Where they come among those of folders that were listed later; empty for others. */
  readonly latePlace: string
  readonly row: OutcomeRow
  /** Which of the sources they are in, and where the last one is that the row tells of. */
  readonly place: Pick<TreeCursor.TreeCursor, "source" | "path">
  readonly files: ReadonlyArray<HashedFile>
}

/**
 * File that was hashed.
 *
 * @category models
 * @since 0.1.0
 */
export interface HashedFile {
  /** Path under the source; empty for the source itself. */
  readonly path: FilePath.FilePath
  /** Its real path is that of its folder and its name. */
  readonly folder: FilePath.FilePath
  readonly name: FilePath.FilePath
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
  const first = SourceCursor.numberOf(row.cursor)
  const place = Option.getOrThrow(TreeCursor.parse(SourceCursor.placeOf(row.cursor)))
  const isLate = SourceCursor.isLate(row.cursor)
  // In the order of a walk what is in a folder comes before a name that only begins like it.
  const latePlaceOf = (path: FilePath.FilePath) => isLate ? FilePath.toText(path).replaceAll("/", "\0") : ""
  const alone = { number: first, count: 1, latePlace: latePlaceOf(place.path), row, place, files: [] }
  if (row.outcome._tag !== "Done") return [alone]
  const { digests, folders, root, sizesBytes } = decodeHashed(row.outcome.value)
  // A folder that was listed later.
  if (folders.length === 0) return [alone]
  const lines: Array<HashLine> = []
  let files: Array<HashedFile> = []
  let number = first
  /** Ends what follows one another: the next one has no digest, or there is none. */
  const end = (): void => {
    const [file] = files
    if (file !== undefined) {
      const at = isLate ? first : number - files.length
      lines.push({ number: at, count: files.length, latePlace: latePlaceOf(file.path), row, place, files })
    }
    files = []
  }
  for (const { names, path } of folders) {
    const folder = FilePath.join(root, path)
    for (const name of names) {
      const digest = digests[number - first] ?? null
      if (digest === null) {
        end()
      } else {
        files.push({
          // A source that is a file itself has no name in it.
          path: place.path === "" ? place.path : FilePath.join(path, name),
          folder,
          name,
          digest,
          sizeBytes: sizesBytes[number - first] ?? 0
        })
      }
      number++
    }
  }
  end()
  return lines
}
