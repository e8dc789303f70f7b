/**
 * Writes what a deletion would do. Pure: steps go in, text comes out.
 */
import type { Entry } from "@fanout/ops/DeletePreview"
import * as FilePath from "@fanout/ops/FilePath"
import * as events from "./events.ts"
import * as format from "./format.ts"

const actions = { Delete: "delete", Trash: "trash", Leave: "leave", Fail: "fail" } as const

/** How many steps there were of each kind. */
export interface Totals {
  readonly files: number
  readonly folders: number
  readonly trash: number
  readonly leave: number
  readonly fail: number
}

/** Totals of nothing. */
export const none: Totals = { files: 0, folders: 0, trash: 0, leave: 0, fail: 0 }

/** Totals with one step more. */
export const add = (totals: Totals, { action, kind }: Entry): Totals => {
  const counted = action === "Delete" ? kind === "folder" ? "folders" : "files" : actions[action]
  return { ...totals, [counted]: totals[counted] + 1 }
}

/** Line of one step. */
export const line = ({ action, kind, path, why }: Entry): string =>
  `${actions[action].padEnd(6)}  ${FilePath.display(path)}${kind === "folder" ? "/" : ""}` +
  (why === "" ? "" : `: ${format.printable(why)}`)

/** Line of one step as JSON. */
export const json = (entry: Entry): string => events.line("step", { ...entry, action: actions[entry.action] })

/** Sentence about all of it. */
export const sentence = ({ fail, files, folders, leave, trash }: Totals): string => {
  const parts = [
    ...files + folders > 0
      ? [`${format.counted(files, "file")} and ${format.counted(folders, "folder")} would be deleted`]
      : [],
    ...trash > 0 ? [`${format.count(trash)} would go to the trash`] : [],
    ...leave > 0 ? [`${format.count(leave)} would stay`] : [],
    ...fail > 0 ? [`${format.count(fail)} would fail`] : []
  ]
  return `Nothing was done. ${parts.length === 0 ? "Nothing would be" : parts.join(", ")}.`
}
