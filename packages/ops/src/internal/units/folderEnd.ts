/**
 * Gives a folder its owner, mode and times after the last entry has come into it.
 */
import { type Calls, isCode, isFailed } from "../../Calls.ts"
import type { Property } from "../../CopyOptions.ts"
import type * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { Lost } from "../../ProgressUnits.ts"
import { withoutAttributes } from "../files/fileSystemTypes.ts"
import type { Routine } from "../files/routine.ts"
import { withInherited } from "../path/unfinishedFolder.ts"
import { isKept, keep, nothing, setIdBits } from "../steps/attributes.ts"
import type { Ending } from "../steps/unit.ts"

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
 * Gives an open folder its owner, mode and times, and tells whether its owner is lost; `undefined` if its mode or times
 * are. Without a mode the folder keeps its own; a mode that is not that of the source has the bits inherited from the
 * parent folder.
 */
export function* endFolder(
  calls: Calls,
  folder: number,
  wanted: Omit<Ending, "path" | "mode"> & { readonly mode: number | undefined },
  keeps: ReadonlySet<Property>
): Routine<ReadonlyArray<Lost> | undefined> {
  const there = yield* calls.stat(folder)
  if (isCode(there)) return undefined
  const mode = keeps.has("mode") ? wanted.mode : withInherited(wanted.mode ?? there.mode, there)
  const stat = { ...wanted, kind: "folder" as const, mode: mode ?? there.mode }
  const lost = yield* keep(calls, folder, { stat, held: nothing, own: stat.mode, there }, { keeps, isMove: false })
  return isFailed(lost) || lost.some((one) => one !== "owner") ? undefined : lost
}
