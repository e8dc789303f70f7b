/**
 * Gives a file, a folder or a link an owner and a group.
 */
import { type Answer, type Calls, isCode } from "../../Calls.ts"
import type * as Files from "../../Files.ts"
import type { Named } from "./freeName.ts"
import type { Routine } from "./routine.ts"

/**
 * Codes of a refusal: only root may set owners, the file system has none, or the owner has no number in this user
 * namespace or at the server.
 */
const withoutOwner = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL"])

/** A descriptor, or a name in a folder; a link is not followed. */
export type Owned = number | Named

function* set(calls: Calls, owned: Owned, owner: Files.Owner): Routine<Answer<void>> {
  return typeof owned === "number"
    ? yield* calls.setOwner(owned, owner)
    : yield* calls.setOwnerAt(owned.folder, owned.name, owner)
}

/**
 * Sets owner and group, or the group alone where the owner is refused. Tells whether both are set.
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
