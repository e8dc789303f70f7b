/**
 * Gives a folder owner, mode and times, once nothing is to come into it any more, where that is all it gets.
 */
import { type Calls, isCode } from "../../Calls.ts"
import type { Property } from "../../CopyOptions.ts"
import type * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { giveOwner } from "../files/fileOwner.ts"
import { withoutAttributes } from "../files/fileSystemTypes.ts"
import type { Routine } from "../files/routine.ts"
import { withInherited } from "../path/unfinishedFolder.ts"
import { isKept } from "../steps/attributes.ts"
import type { Ending } from "../steps/unit.ts"

/** Bits of a mode that are only kept with owner and group. */
export const setIdBits = 0o6000

/** Bits of a mode without which its owner, who may be nobody special, can't look into a folder to empty it. */
const lookingBits = 0o500

/** What is known of a folder, if nothing is to be kept of it but mode, times and owner. */
export function* ordinaryFolder(
  calls: Calls,
  folder: number,
  keeps: ReadonlySet<Property>
): Routine<Files.FileStat | undefined> {
  const stat = yield* calls.stat(folder)
  if (isCode(stat) || (stat.mode & (setIdBits | lookingBits)) !== lookingBits) return undefined
  const names = yield* calls.listAttributes(folder)
  const isOrdinary = isCode(names) ? withoutAttributes.has(names.name) : !names.some((name) => isKept(name, keeps))
  return isOrdinary ? stat : undefined
}

/** How a folder is to be in the end, like its source. */
export const endingOf = (path: FilePath.FilePath, stat: Files.FileStat): Ending => {
  const { accessedNanos, group, mode, modifiedNanos, owner } = stat
  return { path, mode, owner, group, accessedNanos, modifiedNanos }
}

/**
 * Ends a folder that is open, where it is not as it is to be; tells nothing where it is not. Without a mode it stays
 * with its own, and one that is not kept has what the folder around it has handed down.
 */
export function* endFolder(
  calls: Calls,
  folder: number,
  wanted: Files.Owner & Files.FileTimes & { readonly mode: number | undefined },
  keeps: ReadonlySet<Property>
): Routine<"kept" | "ownerLost" | undefined> {
  const there = yield* calls.stat(folder)
  if (isCode(there)) return undefined
  const isOwned = !keeps.has("owner") || (there.owner === wanted.owner && there.group === wanted.group) ||
    (yield* giveOwner(calls, folder, wanted))
  if (isCode(isOwned)) return undefined
  const { accessedNanos, modifiedNanos } = wanted
  const mode = keeps.has("mode") ? wanted.mode : withInherited(wanted.mode ?? there.mode, there)
  // Another owner takes bits of the mode away, none of which such a folder has.
  const hasMode = mode === undefined || there.mode === mode || !isCode(yield* calls.setMode(folder, mode))
  const hasTimes = !keeps.has("times") ||
    (there.modifiedNanos === modifiedNanos && there.accessedNanos === accessedNanos)
  return hasMode && (hasTimes || !isCode(yield* calls.setTimes(folder, wanted)))
    ? (isOwned ? "kept" : "ownerLost")
    : undefined
}
