/**
 * Tells whether a draft in one folder can be for another one: what is made in a folder gets things from that.
 */
import { type Calls, isCode } from "../../Calls.ts"
import { withInherited } from "../path/unfinishedFolder.ts"
import { defaultList } from "../steps/attributes.ts"

const hasDefaultList = (calls: Calls, folder: number): boolean => {
  const names = calls.listAttributes(folder).now()
  return !isCode(names) && names.includes(defaultList)
}

/**
 * Whether what is made in one folder is as if it were made in the other: it is on the same file system, gets the same
 * group, and no list for access from either.
 */
export const isLike = (calls: Calls, one: number, other: number): boolean => {
  const [a, b] = [calls.stat(one).now(), calls.stat(other).now()]
  if (isCode(a) || isCode(b) || a.device !== b.device) return false
  const bits = withInherited(0, a)
  return bits === withInherited(0, b) && (bits === 0 || a.group === b.group) &&
    !hasDefaultList(calls, one) && !hasDefaultList(calls, other)
}
