/**
 * Gives what is stored of a job's fan-outs the names that these have from now on.
 */
import { Progress } from "../../Progress.ts"

/** New names by the old ones. No two of them are the same. */
export type Renames = ReadonlyMap<string, string>

/** Renames entries by their name. What was there under a new name is left out, unless it gets another one itself. */
export const renameEntries = <A>(
  entries: Iterable<readonly [name: string, value: A]>,
  renames: Renames
): ReadonlyArray<readonly [name: string, value: A]> => {
  const taken = new Set(renames.values())
  return Array.from(entries).flatMap(([name, value]) => {
    const to = renames.get(name) ?? (taken.has(name) ? undefined : name)
    return to === undefined ? [] : [[to, value] as const]
  })
}

export const renameProgress = ({ fanOuts, totals, units }: Progress, renames: Renames): Progress =>
  new Progress({ fanOuts: Object.fromEntries(renameEntries(Object.entries(fanOuts), renames)), totals, units })
