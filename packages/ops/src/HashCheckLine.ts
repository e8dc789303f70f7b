/**
 * Reads from a row of a job that checks what became of a line of its checksum file.
 *
 * @since 0.1.0
 */
import type { OutcomeRow } from "@fanout/core/JobStore"
import * as Outcome from "@fanout/core/Outcome"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as FilePath from "./FilePath.ts"
import * as HashCheck from "./HashCheck.ts"
import { Matched } from "./HashTask.ts"
import * as SourceCursor from "./SourceCursor.ts"

/**
 * What a line came to: its file has the digest, has another one or changed while it was read, is not there, could not
 * be read; or the line is no checksum.
 *
 * @category models
 * @since 0.1.0
 */
export type Status = "ok" | "changed" | "missing" | "unreadable" | "malformed"

/**
 * Line that was dealt with.
 *
 * @category models
 * @since 0.1.0
 */
export interface HashCheckLine {
  /** Place of the line among those that are no comments, from 0 on. */
  readonly number: number
  readonly lineNumber: number
  /** As it stands in the line; empty where that is malformed. */
  readonly path: FilePath.FilePath
  readonly status: Status
  /** Why it is not well; empty where it is. */
  readonly why: string
  readonly matched: Option.Option<typeof Matched.Type>
}

const decodeMatched = Schema.decodeUnknownOption(Schema.toCodecJson(Matched))
const decodeCode = Schema.decodeUnknownOption(Schema.Struct({ code: Schema.String }))

const statuses: Readonly<Partial<Record<string, Status>>> = {
  Changed: "changed",
  Different: "changed",
  ENOENT: "missing",
  ENOTDIR: "missing",
  [HashCheck.malformedCode]: "malformed"
}

const statusOf = (failure: Outcome.Failure): Status => {
  const error = failure._tag === "Error" ? decodeCode(failure.error) : Option.none()
  return Option.match(error, { onNone: () => "unreadable", onSome: ({ code }) => statuses[code] ?? "unreadable" })
}

/**
 * Reads a row.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRow = ({ cursor, outcome }: OutcomeRow): HashCheckLine => {
  const line = { number: SourceCursor.numberOf(cursor), ...HashCheck.lineOf(cursor) }
  const matched = Option.none()
  return Outcome.Outcome.match(outcome, {
    Done: ({ value }): HashCheckLine => ({ ...line, status: "ok", why: "", matched: decodeMatched(value) }),
    Skipped: ({ reason }): HashCheckLine => ({ ...line, status: "unreadable", why: reason, matched }),
    Failed: ({ failure }): HashCheckLine => ({
      ...line,
      status: statusOf(failure),
      why: Outcome.message(failure),
      matched
    })
  })
}
