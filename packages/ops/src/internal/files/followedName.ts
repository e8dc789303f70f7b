/**
 * Follows links that lead to files beside them. Those that lead anywhere else are not followed here: a call may take
 * any time there.
 */
import { type Answer, type Calls, isCode } from "../../Calls.ts"
import type * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { isName } from "./openHandle.ts"

/** So many links are followed after one another: those that go round have to end somewhere. */
const mostLinks = 8

/** What a name leads to in its folder: itself, if it is no link or leads anywhere else. */
export interface Followed {
  readonly leadsTo: FilePath.FilePath
  readonly stat: Files.FileStat
}

/** Finds what a name leads to, through links in the same folder. */
export const followedName = (
  calls: Calls,
  folder: number,
  name: FilePath.FilePath,
  left = mostLinks
): Answer<Followed> => {
  const stat = calls.lstat(folder, name).now()
  if (isCode(stat)) return stat
  const target = stat.kind === "link" && left > 0 ? calls.readLink(folder, name).now() : undefined
  return target === undefined || isCode(target) || !isName(target)
    ? { leadsTo: name, stat }
    : followedName(calls, folder, target, left - 1)
}
