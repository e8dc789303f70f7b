/**
 * Tints words on terminals that have colours, if NO_COLOR is not set.
 */
import type * as JobState from "@fanout/core/JobState"
import { styleText } from "node:util"

/** Colour that says at a glance how something stands. */
export type Colour = "green" | "cyan" | "yellow" | "red" | "dim"

/** Text in a colour, if this stream shows colours. */
export const paint = (colour: Colour, text: string, stream: NodeJS.WriteStream): string =>
  styleText(colour, text, { stream })

const colours: Readonly<Record<JobState.Tag, Colour>> = {
  Queued: "dim",
  Running: "cyan",
  Paused: "yellow",
  Completed: "green",
  CompletedWithErrors: "yellow",
  Failed: "red",
  Cancelled: "dim"
}

/** Colour of a state. A job that nobody works on needs somebody to look after it. */
export const ofState = (tag: JobState.Tag, isOwnerDead: boolean): Colour => isOwnerDead ? "red" : colours[tag]
