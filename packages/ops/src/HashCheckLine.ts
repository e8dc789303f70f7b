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
import type { HashAlgorithm } from "./HashAlgorithm.ts"
import * as HashCheck from "./HashCheck.ts"
import * as SourceCursor from "./internal/sourceCursor.ts"

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
  readonly matched: Option.Option<{ readonly algorithm: HashAlgorithm; readonly sizeBytes: number }>
}

const decodeMatched = Schema.decodeUnknownSync(Schema.toCodecJson(HashCheck.Matched))
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
 * Reads a row of this job, and throws on any other.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRow = ({ cursor, outcome }: OutcomeRow): ReadonlyArray<HashCheckLine> => {
  const unwell = (status: Status, why: string): ReadonlyArray<HashCheckLine> => [
    { number: SourceCursor.numberOf(cursor), ...HashCheck.lineOf(cursor), status, why, matched: Option.none() }
  ]
  return Outcome.Outcome.match(outcome, {
    Done: ({ value }) =>
      decodeMatched(value).lines.map(({ algorithm, lineNumber, number, path, sizeBytes }): HashCheckLine => ({
        number,
        lineNumber,
        path,
        status: "ok",
        why: "",
        matched: Option.some({ algorithm, sizeBytes })
      })),
    Skipped: ({ reason }) => unwell("unreadable", reason),
    Failed: ({ failure }) => unwell(statusOf(failure), Outcome.message(failure))
  })
}
