/**
 * Reads from a row of a metadata job what became of its file.
 *
 * @since 0.1.0
 */
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SourceCursor from "./internal/sourceCursor.ts"
import type { MediaRecord } from "./MediaRecord.ts"
import { MediaRead } from "./MediaTask.ts"
import * as TreeCursor from "./TreeCursor.ts"

const decodeRead = Schema.decodeUnknownSync(MediaRead)

/**
 * What one file came to; `record` is `None` where it failed or was skipped.
 *
 * @category models
 * @since 0.1.0
 */
export interface MediaLine {
  /** Place of the file in the order of the walk, from 0 on. */
  readonly number: number
  readonly row: OutcomeRow
  /** Which of the sources it is in, and where. */
  readonly place: Pick<TreeCursor.TreeCursor, "source" | "path">
  readonly record: Option.Option<MediaRecord>
}

/**
 * Reads a row of this job, and throws on any other.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRow = (row: OutcomeRow): MediaLine => ({
  number: SourceCursor.numberOf(row.cursor),
  row,
  place: Option.getOrThrow(TreeCursor.parse(SourceCursor.placeOf(row.cursor))),
  record: row.outcome._tag === "Done" ? Option.some(decodeRead(row.outcome.value).record) : Option.none()
})
