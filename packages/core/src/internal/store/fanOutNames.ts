/**
 * Renames the fan-outs of a job in what is stored of the job.
 */
import { Progress } from "../../Progress.ts"

/** New names by old names. All new names differ. */
export type Renames = ReadonlyMap<string, string>

/** Renames entries. An entry that has one of the new names already is left out, unless the entry is renamed itself. */
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

export const renameProgress = (progress: Progress, renames: Renames): Progress =>
  new Progress({
    ...progress,
    fanOuts: Object.fromEntries(renameEntries(Object.entries(progress.fanOuts), renames))
  })
