/**
 * Follows links whose targets are in the same folder. Other targets may be on file systems whose calls take any time.
 */
import { type Answer, type Calls, isCode } from "../../Calls.ts"
import type * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { isName } from "./openHandle.ts"
import type { Routine } from "./routine.ts"

/** Most links in a chain: a circle of links has to end. */
const mostLinks = 8

/** The target of a name in its folder: the name itself, if it is no link or the target is elsewhere. */
export interface Followed {
  readonly leadsTo: FilePath.FilePath
  readonly stat: Files.FileStat
}

/** Finds the target of a name through links in the same folder. */
export function* followedName(
  calls: Calls,
  folder: number,
  name: FilePath.FilePath,
  left = mostLinks
): Routine<Answer<Followed>> {
  const stat = yield* calls.lstat(folder, name)
  if (isCode(stat)) return stat
  const target = stat.kind === "link" && left > 0 ? yield* calls.readLink(folder, name) : undefined
  return target === undefined || isCode(target) || !isName(target)
    ? { leadsTo: name, stat }
    : yield* followedName(calls, folder, target, left - 1)
}
