/**
 * Follows links that lead to files beside them. Those that lead anywhere else are not followed here: a call may take
 * any time there.
 */
import { type Answer, type Calls, isCode } from "../../Calls.ts"
import type * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { isName } from "./openHandle.ts"
import type { Routine } from "./routine.ts"

/** So many links are followed after one another: those that go round have to end somewhere. */
const mostLinks = 8

/** What a name leads to in its folder: itself, if it is no link or leads anywhere else. */
export interface Followed {
  readonly leadsTo: FilePath.FilePath
  readonly stat: Files.FileStat
}

/** Finds what a name leads to, through links in the same folder. */
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
