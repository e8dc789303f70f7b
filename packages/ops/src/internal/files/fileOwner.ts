/**
 * Gives a file, a folder or a link an owner and a group.
 */
import { andThen, type Call, failed, immediate, map, orElse } from "../../Calls.ts"
import type * as Files from "../../Files.ts"

/**
 * Codes where only root may, where the file system has no owners, and where this one has no number: in a user
 * namespace, or at a server that maps them.
 */
const withoutOwner = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL"])

/**
 * Gives an owner and a group, by what sets both and what looks at them. Where there can't be this owner it gives the
 * group, if that may be. Tells whether it has both.
 */
export const giveOwner = (
  { group, owner }: Files.Owner,
  set: (owner: Files.Owner) => Call<void>,
  look: () => Call<Files.Owner>
): Call<boolean> => {
  const giveGroup = (there: Files.Owner): Call<boolean> =>
    there.owner === owner
      ? immediate(() => false)
      : orElse(map(set({ owner: there.owner, group }), () => false), () => immediate(() => false))
  return orElse(map(set({ owner, group }), () => true), (answer) =>
    andThen(look(), (there) => {
      if (there.owner === owner && there.group === group) return immediate(() => true)
      return withoutOwner.has(answer.name) ? giveGroup(there) : failed(answer)
    }))
}
