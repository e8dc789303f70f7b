/**
 * Gives a folder owner, mode and times, once nothing is to come into it any more.
 */
import { type Calls, isCode } from "../../Calls.ts"
import type { Property } from "../../CopyOptions.ts"
import type * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { giveOwner } from "../files/fileOwner.ts"
import type { Ending } from "../steps/unit.ts"

/** How a folder is to be in the end, like its source. */
export const endingOf = (path: FilePath.FilePath, stat: Files.FileStat): Ending => {
  const { accessedNanos, group, mode, modifiedNanos, owner } = stat
  return { path, mode, owner, group, accessedNanos, modifiedNanos }
}

/** Ends a folder that is open, where it is not as it is to be; tells nothing where it is not. */
export const endFolder = (
  calls: Calls,
  folder: number,
  wanted: Files.Owner & Files.FileTimes & Pick<Files.FileStat, "mode">,
  keeps: ReadonlySet<Property>
): "kept" | "ownerLost" | undefined => {
  const there = calls.stat(folder).now()
  if (isCode(there)) return undefined
  const isOwned = !keeps.has("owner") || (there.owner === wanted.owner && there.group === wanted.group) ||
    giveOwner(wanted, (owner) => calls.setOwner(folder, owner), () => calls.stat(folder)).now()
  if (isCode(isOwned)) return undefined
  const { accessedNanos, mode, modifiedNanos } = wanted
  // Another owner takes bits of the mode away, none of which such a folder has.
  const hasMode = there.mode === mode || !isCode(calls.setMode(folder, mode).now())
  const hasTimes = there.modifiedNanos === modifiedNanos && there.accessedNanos === accessedNanos
  return hasMode && (hasTimes || !isCode(calls.setTimes(folder, wanted).now()))
    ? (isOwned ? "kept" : "ownerLost")
    : undefined
}
