/**
 * Writes what a copy would do. Pure: steps go in, text comes out.
 */
import type { Entry } from "@fanout/ops/CopyPreview"
import * as FilePath from "@fanout/ops/FilePath"
import * as events from "./events.ts"
import * as format from "./format.ts"

const actions = {
  Create: "create",
  Merge: "merge",
  Replace: "replace",
  Unchanged: "keep",
  Skip: "skip",
  RenameTo: "create",
  Refuse: "refuse",
  Fail: "fail"
} as const

/** How many steps there were of each kind, and how much would be written. */
export interface Totals {
  readonly files: Readonly<Record<typeof actions[Entry["action"]], number>>
  readonly bytes: number
}

/** Totals of nothing. */
export const none: Totals = {
  files: { create: 0, merge: 0, replace: 0, keep: 0, skip: 0, refuse: 0, fail: 0 },
  bytes: 0
}

/** Totals with one step more. */
export const add = (totals: Totals, entry: Entry): Totals => {
  const action = actions[entry.action]
  const isWritten = action === "create" || action === "replace"
  return {
    files: { ...totals.files, [action]: totals.files[action] + 1 },
    bytes: totals.bytes + (isWritten ? entry.sizeBytes : 0)
  }
}

/** Whether something would not be copied that should be. */
export const isIncomplete = ({ files }: Totals): boolean => files.refuse + files.fail > 0

/** Line of one step; empty for a folder that is there and stays. */
export const line = (entry: Entry): string => {
  const action = actions[entry.action]
  if (action === "merge") return ""
  const why = entry.why === "" ? "" : `: ${format.printable(entry.why)}`
  return `${action.padEnd(7)}  ${FilePath.display(entry.target)}${entry.kind === "folder" ? "/" : ""}${why}`
}

/** Line of one step as JSON. */
export const json = (entry: Entry): string => events.line("step", { ...entry, action: actions[entry.action] })

const words = {
  create: "created",
  replace: "replaced",
  keep: "left as is",
  skip: "skipped",
  refuse: "refused",
  fail: "failed"
} as const

/** Sentence about all of it. How much a move would write is not known: what gets another name is not written. */
export const sentence = ({ bytes, files }: Totals, kind: "copy" | "move"): string => {
  const actions = ["create", "replace", "keep", "skip", "refuse", "fail"] as const
  const parts = actions.filter((action) => files[action] > 0)
    .map((action) => `${format.count(files[action])} would be ${words[action]}`)
  if (bytes > 0 && kind === "copy") parts.push(`${format.bytes(bytes)} would be written`)
  return `Nothing was done. ${parts.length === 0 ? "Nothing would be" : parts.join(", ")}.`
}
