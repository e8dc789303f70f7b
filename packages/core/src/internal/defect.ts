/**
 * The parts of a defect that a store keeps: name, message and stack.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { messageOf } from "./messageOf.ts"

/** Most characters that a store keeps of a text. A store may have a row for each of a million defects. */
const limit = 4096

/** A defect as a store keeps it. Old rows have no name, and neither has a thrown value that is no `Error`. */
export const Defect = Schema.Struct({
  message: Schema.String,
  name: Schema.optionalKey(Schema.String),
  /** The stack of the defect and of its causes, without the defect's own name and message. */
  stack: Schema.optionalKey(Schema.String)
})
export type Defect = typeof Defect.Type

const bounded = (text: string): string => text.length > limit ? text.slice(0, limit).toWellFormed() : text

/** Turns a cause without an expected error into a defect. */
export const defectOf = (cause: Cause.Cause<unknown>, keepsStack = true): Defect => {
  const thrown = Cause.squash(cause)
  const message = bounded(messageOf(thrown))
  const reason = cause.reasons.find((reason) =>
    Cause.isDieReason(reason) ? reason.defect === thrown : Cause.isFailReason(reason) && reason.error === thrown
  )
  if (!(thrown instanceof Error) || reason === undefined) return { message }
  // The name of an Effect error is an identifier. People know the error by its tag.
  const tag = "_tag" in thrown && typeof thrown._tag === "string" ? thrown._tag : thrown.name
  const named = { message, name: bounded(tag) }
  const stack = keepsStack ? bounded(stackOf(reason)) : ""
  return stack === "" ? named : { ...named, stack }
}

const stackOf = (reason: Cause.Reason<unknown>): string => {
  const [pretty] = Cause.prettyErrors(Cause.fromReasons([reason]), { includeCauseInStack: true })
  const head = pretty === undefined ? "" : `${pretty.name}: ${pretty.message}`
  return (pretty?.stack ?? "").slice(head.length).replace(/^\n/, "")
}

/** The name and message of a defect as one sentence. */
export const sentenceOfDefect = ({ message, name }: Defect): string =>
  name === undefined || name === "Error" || message.startsWith(name) ? message : `${name}: ${message}`

/** Rebuilds an error from a stored defect. */
export const errorOf = ({ message, name = "Error", stack }: Defect): Error => {
  const text = `${name}: ${message}`
  return Object.assign(new Error(message), { name, stack: stack === undefined ? text : `${text}\n${stack}` })
}

/** Logs a defect of a callback. The log has the context of the current fiber. */
export const logDefectUnsafe = (message: string, defect: unknown): void => {
  const context = Fiber.getCurrent()?.context ?? Context.empty()
  Effect.runForkWith(context)(Effect.logError(message, Cause.die(defect)))
}
