/**
 * Writes what a copy would do. Pure: steps go in, text comes out.
 */
import type { Step } from "../DryRun.ts"
import * as events from "./events.ts"
import * as format from "./format.ts"

/** How many steps there were of each kind, and how much would be written. */
export interface Totals {
  readonly files: Readonly<Record<Step["action"], number>>
  readonly bytes: number
}

/** Totals of nothing. */
export const none: Totals = {
  files: { create: 0, merge: 0, replace: 0, keep: 0, skip: 0, refuse: 0, fail: 0 },
  bytes: 0
}

const isWritten = ({ action }: Step): boolean => action === "create" || action === "replace"

/** Totals with one step more. */
export const add = (totals: Totals, step: Step): Totals => ({
  files: { ...totals.files, [step.action]: totals.files[step.action] + 1 },
  bytes: totals.bytes + (isWritten(step) ? step.sizeBytes : 0)
})

/** Whether something would not be copied that should be. */
export const isIncomplete = ({ files }: Totals): boolean => files.refuse + files.fail > 0

/** Line of one step; empty for a folder that is there and stays. */
export const line = (step: Step): string => {
  if (step.action === "merge") return ""
  const why = step.why === "" ? "" : `: ${format.printable(step.why)}`
  return `${step.action.padEnd(7)}  ${format.printable(step.target)}${step.kind === "folder" ? "/" : ""}${why}`
}

/** Line of one step as JSON. */
export const json = (step: Step): string => events.line("step", { ...step })

const words = {
  create: "created",
  replace: "replaced",
  keep: "left as they are",
  skip: "skipped",
  refuse: "refused",
  fail: "failed"
} as const

/** Sentence about all of it. */
export const sentence = ({ bytes, files }: Totals): string => {
  const actions = ["create", "replace", "keep", "skip", "refuse", "fail"] as const
  const parts = actions.filter((action) => files[action] > 0)
    .map((action) => `${format.count(files[action])} would be ${words[action]}`)
  if (bytes > 0) parts.push(`${format.bytes(bytes)} would be written`)
  return `Nothing was done. ${parts.length === 0 ? "Nothing would be" : parts.join(", ")}.`
}
