/**
 * Tells whether a draft in one folder can serve another folder: new files inherit group, flags and access lists from
 * the folder that they are made in.
 */
import { type Answer, type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import { givesSame } from "../files/fileFlags.ts"
import type { Routine } from "../files/routine.ts"
import { withInherited } from "../path/unfinishedFolder.ts"
import { defaultList } from "../steps/attributes.ts"

/** The folder itself, by which it is opened once more. */
const itself = FilePath.make(".")

/** Opens the folder once more: the kernel tells flags only for a descriptor that can list. */
function* flagsOf(calls: Calls, folder: number): Routine<Answer<number>> {
  const opened = yield* calls.open(folder, itself, "list")
  if (isCode(opened)) return opened
  const flags = yield* calls.flags(opened)
  calls.closeNow(opened)
  return flags
}

function* hasDefaultList(calls: Calls, folder: number): Routine<boolean> {
  const names = yield* calls.listAttributes(folder)
  return !isCode(names) && names.includes(defaultList)
}

/**
 * Whether what is made in one folder is as if it were made in the other: it is on the same file system, gets the same
 * group and flags, and no list for access from either.
 */
export function* isLike(calls: Calls, one: number, other: number): Routine<boolean> {
  const [a, b] = [yield* calls.stat(one), yield* calls.stat(other)]
  if (isCode(a) || isCode(b) || a.device !== b.device) return false
  const bits = withInherited(0, a)
  const [flags, otherFlags] = [yield* flagsOf(calls, one), yield* flagsOf(calls, other)]
  if (isCode(flags) || isCode(otherFlags) || !givesSame(flags, otherFlags)) return false
  return bits === withInherited(0, b) && (bits === 0 || a.group === b.group) &&
    !(yield* hasDefaultList(calls, one)) && !(yield* hasDefaultList(calls, other))
}
