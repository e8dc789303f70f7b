/** The part of a row that a retry needs to run the element again. */
import * as Schema from "effect/Schema"
import { Stored } from "../task/kept.ts"

const Origin = Schema.Struct({
  /** Version of the job that wrote the row. */
  v: Schema.Natural,
  /** Whether the payload of the row can run again. */
  isRetriable: Schema.Boolean,
  /** Cursor behind which the source gives the bracket, if the element opens one. */
  bracketAfter: Schema.optionalKey(Schema.String),
  /** Cursor of the opening element, if the row counts the skipped elements of a bracket. */
  opener: Schema.optionalKey(Schema.String),
  /** The checkpoint and units of the failed task. */
  ...Stored.fields
})

export const decodeOrigin = Schema.decodeUnknownSync(Origin)
