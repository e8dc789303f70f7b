/**
 * Gives a file, a folder or a link an owner and a group.
 */
import { type Answer, type Calls, isCode } from "../../Calls.ts"
import type * as Files from "../../Files.ts"
import type { Named } from "./freeName.ts"
import type { Routine } from "./routine.ts"

/**
 * Codes where only root may, where the file system has no owners, and where this one has no number: in a user
 * namespace, or at a server that maps them.
 */
const withoutOwner = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL"])

/** Something open, or what has a name: the link itself, where that is one. */
export type Owned = number | Named

function* set(calls: Calls, owned: Owned, owner: Files.Owner): Routine<Answer<void>> {
  return typeof owned === "number"
    ? yield* calls.setOwner(owned, owner)
    : yield* calls.setOwnerAt(owned.folder, owned.name, owner)
}

/**
 * Gives an owner and a group. Where there can't be this owner it gives the group, if that may be. Tells whether it has
 * both.
 */
export function* giveOwner(
  calls: Calls,
  owned: Owned,
  { group, owner }: Files.Owner
): Routine<Answer<boolean>> {
  const given = yield* set(calls, owned, { owner, group })
  if (!isCode(given)) return true
  const there = typeof owned === "number" ? yield* calls.stat(owned) : yield* calls.lstat(owned.folder, owned.name)
  if (isCode(there)) return there
  if (there.owner === owner && there.group === group) return true
  if (!withoutOwner.has(given.name)) return given
  if (there.owner !== owner) yield* set(calls, owned, { owner: there.owner, group })
  return false
}
