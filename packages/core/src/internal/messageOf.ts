/**
 * What a failure says to people, whatever was failed with.
 */
import * as Formatter from "effect/Formatter"
import * as SchemaIssue from "effect/SchemaIssue"

/** Sentence of an error; where it has none its tag, or what it is. */
export const messageOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return String(error)
  if ("message" in error && typeof error.message === "string" && error.message !== "") {
    // A class of Effect that is made of wrong fields throws an error whose message does not tell which.
    return error instanceof Error && SchemaIssue.isIssue(error.cause)
      ? `${error.message}: ${describe(error.cause)}`
      : error.message
  }
  if ("_tag" in error) return String(error._tag)
  return error instanceof Error ? String(error) : Formatter.format(error)
}

/** The same in one line. */
export const lineOf = (error: unknown): string => messageOf(error).replaceAll(/\s*\n\s*/g, " ")

const describe = SchemaIssue.makeFormatterDefault()
