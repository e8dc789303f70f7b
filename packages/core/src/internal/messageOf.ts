/**
 * Turns any error value into a text for people.
 */
import * as Formatter from "effect/Formatter"
import * as SchemaIssue from "effect/SchemaIssue"

/** The message of an error. The tag or the formatted value stands in for a missing message. */
export const messageOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return String(error)
  if ("message" in error && typeof error.message === "string" && error.message !== "") {
    // The constructor of a Schema class throws an error whose message does not name the invalid fields.
    return error instanceof Error && SchemaIssue.isIssue(error.cause)
      ? `${error.message}: ${describe(error.cause)}`
      : error.message
  }
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(", ")
  if ("_tag" in error) return String(error._tag)
  return error instanceof Error ? String(error) : Formatter.format(error)
}

/** The message of an error on one line. */
export const lineOf = (error: unknown): string => messageOf(error).replaceAll(/\s*\n\s*/g, " ")

const describe = SchemaIssue.makeFormatterDefault()
