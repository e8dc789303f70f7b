/**
 * What is kept of a defect, for whoever looks for its cause: name and text, and where it was thrown.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { messageOf } from "./messageOf.ts"

/** Characters that are kept of a text: there may be a row for each of a million defects. */
const limit = 4096

/** A defect as it is stored. What is no error has no name, and old rows have none. */
export interface Defect {
  readonly message: string
  readonly name?: string
  /** Where it was thrown and what has caused it, without its own text. */
  readonly stack?: string
}

const bounded = (text: string): string => text.length > limit ? text.slice(0, limit).toWellFormed() : text

/** What to keep of a cause that holds no error which is expected. */
export const defectOf = (cause: Cause.Cause<unknown>, keepsStack = true): Defect => {
  const thrown = Cause.squash(cause)
  const message = bounded(messageOf(thrown))
  const reason = cause.reasons.find((one) => !Cause.isInterruptReason(one) && valueOf(one) === thrown)
  if (!(thrown instanceof Error) || reason === undefined) return { message }
  // Effect's errors have identifiers as names; what people know them by is the tag.
  const tag = "_tag" in thrown && typeof thrown._tag === "string" ? thrown._tag : thrown.name
  const named = { message, name: bounded(tag) }
  const stack = keepsStack ? bounded(stackOf(reason)) : ""
  return stack === "" ? named : { ...named, stack }
}

const valueOf = (reason: Cause.Fail<unknown> | Cause.Die): unknown =>
  Cause.isDieReason(reason) ? reason.defect : reason.error

const stackOf = (reason: Cause.Reason<unknown>): string => {
  const [pretty] = Cause.prettyErrors(Cause.fromReasons([reason]), { includeCauseInStack: true })
  const head = pretty === undefined ? "" : `${pretty.name}: ${pretty.message}`
  return (pretty?.stack ?? "").slice(head.length).replace(/^\n/, "")
}

/** Name and text of a defect, as one sentence for people. */
export const sentenceOfDefect = ({ message, name }: Defect): string =>
  name === undefined || name === "Error" || message.startsWith(name) ? message : `${name}: ${message}`

/** The error that a stored defect was, as far as it was kept. */
export const errorOf = ({ message, name = "Error", stack }: Defect): Error => {
  const text = `${name}: ${message}`
  return Object.assign(new Error(message), { name, stack: stack === undefined ? text : `${text}\n${stack}` })
}

/** Logs what was thrown by code of a program that nobody waits for, as the fiber that has called it does. */
export const logDefectUnsafe = (message: string, defect: unknown): void => {
  const context = Fiber.getCurrent()?.context ?? Context.empty()
  Effect.runForkWith(context)(Effect.logError(message, Cause.die(defect)))
}
