/** Where the row of an element comes from: what a retry has to know to run it again. */
import * as Schema from "effect/Schema"
import { Stored } from "../task/kept.ts"

const Origin = Schema.Struct({
  /** Version of the job that wrote the row. */
  v: Schema.Natural,
  /** Whether the row's payload can be run again. */
  isRetriable: Schema.Boolean,
  /** Cursor behind which the source gives the bracket that the element opens, where it opens one. */
  bracketAfter: Schema.optionalKey(Schema.String),
  /** Cursor of the element that opens the bracket which the row says was skipped. */
  opener: Schema.optionalKey(Schema.String),
  /** What a task had kept that failed. */
  ...Stored.fields
})

export const decodeOrigin = Schema.decodeUnknownSync(Origin)
