/**
 * Decides between copying, replacing and leaving a file or link whose name may be taken, as far as `lstat` and
 * `readlink` can tell.
 */
import * as Option from "effect/Option"
import { type Answer, type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { withoutAttributes } from "../files/fileSystemTypes.ts"
import type { Routine } from "../files/routine.ts"
import { isAlike } from "../files/statComparison.ts"
import * as Attributes from "../steps/attributes.ts"
import * as Conflict from "../steps/conflict.ts"
import type { Unit } from "../steps/unit.ts"

/** A source file or link, and the folder of its copy. */
interface Met {
  readonly from: number
  readonly name: FilePath.FilePath
  readonly stat: Files.FileStat
  readonly to: number
}

/** Whether a file is among those that the unit neither copies nor replaces. */
export const isAvoided = ({ avoid }: Unit, stat: Files.FileStat): boolean =>
  avoid.some((one) => Files.isSameInode(one, stat))

function* factsOf(
  calls: Calls,
  folder: number,
  name: FilePath.FilePath,
  stat: Files.FileStat
): Routine<Answer<Conflict.Facts>> {
  const target = stat.kind === "link" ? yield* calls.readLink(folder, name) : FilePath.empty
  return isCode(target) ? target : Conflict.factsOf(stat, target)
}

/**
 * Whether a copy has the properties of its source. Nobody can set a ctime: a source whose ctime is older than that of
 * the copy has the same properties as when it was copied.
 */
function* hasKept(
  calls: Calls,
  { from, name, stat }: Met,
  there: Files.FileStat,
  properties: Unit["keeps"]
): Routine<boolean> {
  if (!Attributes.isNewer(stat, there)) return true
  const keeps = new Set(properties)
  if (!Attributes.hasModeAndOwner(stat, there, keeps)) return false
  const names = yield* calls.listAttributesAt(from, name)
  return isCode(names) ? withoutAttributes.has(names.name) : !names.some((name) => Attributes.isKept(name, keeps))
}

/** Decides, or gives `undefined` where the single copy has to decide. */
export function* decide(
  calls: Calls,
  unit: Unit,
  { from, name, stat, to }: Met
): Routine<"Create" | "Replace" | "Unchanged" | "Skip" | undefined> {
  const { conflict, isAgain, waits } = unit
  const there = yield* calls.lstat(to, name)
  if (isCode(there)) return there.name === "ENOENT" ? "Create" : undefined
  if (isAvoided(unit, there)) return undefined
  // Where a link leads is not read here.
  if (conflict === "skip" && isAgain && isAlike(stat, there)) return waits ? undefined : "Unchanged"
  const [own, other] = [yield* factsOf(calls, from, name, stat), yield* factsOf(calls, to, name, there)]
  if (isCode(own) || isCode(other)) return undefined
  const { _tag } = Conflict.decide(conflict, own, Option.some(other))
  // What is to be replaced has its copy until then; a move might replace what it has moved, a link what it leads to.
  if (_tag === "Replace" && (waits || (stat.kind === "link" && there.kind !== "link"))) return undefined
  if (_tag === "Unchanged") {
    return (yield* hasKept(calls, { from, name, stat, to }, there, unit.keeps))
      ? _tag
      : undefined
  }
  return _tag === "Replace" || _tag === "Skip" ? _tag : undefined
}
