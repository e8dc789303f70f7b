/**
 * Tells whether a draft in one folder can be for another one: what is made in a folder gets things from that.
 */
import { type Calls, isCode } from "../../Calls.ts"
import type { Routine } from "../files/routine.ts"
import { withInherited } from "../path/unfinishedFolder.ts"
import { defaultList } from "../steps/attributes.ts"

function* hasDefaultList(calls: Calls, folder: number): Routine<boolean> {
  const names = yield* calls.listAttributes(folder)
  return !isCode(names) && names.includes(defaultList)
}

/**
 * Whether what is made in one folder is as if it were made in the other: it is on the same file system, gets the same
 * group, and no list for access from either.
 */
export function* isLike(calls: Calls, one: number, other: number): Routine<boolean> {
  const [a, b] = [yield* calls.stat(one), yield* calls.stat(other)]
  if (isCode(a) || isCode(b) || a.device !== b.device) return false
  const bits = withInherited(0, a)
  return bits === withInherited(0, b) && (bits === 0 || a.group === b.group) &&
    !(yield* hasDefaultList(calls, one)) && !(yield* hasDefaultList(calls, other))
}
