/**
 * Gives a folder its owner, mode and times after the last entry has come into it.
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

/** Mode bits that the owner of a folder, who need not be root, needs to list and empty it. */
const lookingBits = 0o500

/** Looks at a folder. Gives `undefined` if it has more to keep than owner, mode and times. */
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

/** The owner, mode and times that a folder gets from its source. */
export const endingOf = (path: FilePath.FilePath, stat: Files.FileStat): Ending => {
  const { accessedNanos, group, mode, modifiedNanos, owner } = stat
  return { path, mode, owner, group, accessedNanos, modifiedNanos }
}

/**
 * Gives an open folder its owner, mode and times; `undefined` if one of them could not be set. Without a mode the
 * folder keeps its own; a mode that is not that of the source has the bits inherited from the parent folder.
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
