/**
 * Reads from a row of a hash job what became of its file.
 *
 * @since 0.1.0
 */
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as HashCursor from "./HashCursor.ts"
import { Hashed, Sampled } from "./HashFile.ts"
import * as TreeCursor from "./TreeCursor.ts"

const decodeHashed = Schema.decodeUnknownOption(Schema.toCodecJson(Schema.Union([Hashed, Sampled])))

/**
 * What one file came to; `hashed` is `None` where it failed or was skipped.
 *
 * @category models
 * @since 0.1.0
 */
export interface HashLine {
  readonly row: OutcomeRow
  /** Which of the sources it is in, and where. */
  readonly place: Pick<TreeCursor.TreeCursor, "source" | "path">
  readonly hashed: Option.Option<typeof Hashed.Type | typeof Sampled.Type>
}

/**
 * Reads a row.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRow = (row: OutcomeRow): HashLine => ({
  row,
  place: Option.getOrThrow(TreeCursor.parse(HashCursor.placeOf(row.cursor))),
  hashed: row.outcome._tag === "Done" ? decodeHashed(row.outcome.value) : Option.none()
})
