/**
 * Leaves out by rules what is in and below a folder.
 */
import type * as FilePath from "../../FilePath.ts"
import * as Filter from "../../Filter.ts"

/** Rules of the last folder. To read a hundred takes as long as to copy three hundred files. */
let last = { text: "", filter: Filter.none }

/** What rules leave out, by paths that begin in this folder below what the rules are for. */
export const leftOut = (rules: ReadonlyArray<Filter.Rule>, folder: FilePath.FilePath): Filter.Filter => {
  const text = rules.join("\n")
  if (text !== last.text) last = { text, filter: Filter.make(rules) }
  return Filter.within(last.filter, folder)
}
