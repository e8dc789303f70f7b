/**
 * Renames to a free name: a file that has the name already keeps it.
 */
import { type Answer, type Calls, code, isCode } from "../../Calls.ts"
import type * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { Routine } from "./routine.ts"

/** Name in an open folder. */
export interface Named {
  readonly folder: number
  readonly name: FilePath.FilePath
}

/** Codes of file systems that can't rename to a free name in one step, and of folders that give no name away. */
const withoutExclusive = new Set(["ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL", "EPERM"])

/** Looks whether the name is free, and then renames. A file that takes the name in between is replaced. */
function* lookAndRename(calls: Calls, from: Named, to: Named): Routine<Answer<void>> {
  const there = yield* calls.lstat(to.folder, to.name)
  if (!isCode(there)) return code("EEXIST")
  return there.name === "ENOENT" ? yield* calls.rename(from.folder, from.name, to.folder, to.name) : there
}

/** Removes the former name of a file that has both; or the new name, if the former one can't go and must not stay. */
function* removeFormer(calls: Calls, from: Named, to: Named, mayStay: boolean): Routine<Answer<void>> {
  const removed = yield* calls.unlink(from.folder, from.name)
  if (!isCode(removed) || removed.name === "ENOENT" || mayStay) return
  yield* calls.unlink(to.folder, to.name)
  return removed
}

/**
 * Renames to a free name. Fails with `EEXIST` where the name is taken.
 *
 * On a file system that can't do that in one step, a file gets a second name by a hard link, and then loses the first
 * one. In a folder that gives no name away the file keeps both, if the former one `mayStay`. Links and folders are
 * renamed after a look at the name.
 */
export function* takeName(calls: Calls, from: Named, to: Named, mayStay: boolean): Routine<Answer<void>> {
  const renamed = yield* calls.renameExclusively(from.folder, from.name, to.folder, to.name)
  if (!isCode(renamed) || !withoutExclusive.has(renamed.name)) return renamed
  const own = yield* calls.lstat(from.folder, from.name)
  if (isCode(own)) return own
  // On some systems a hard link to a symbolic link is one to its target.
  const isLinked = own.kind === "file" && !isCode(yield* calls.link(from.folder, from.name, to.folder, to.name))
  return isLinked ? yield* removeFormer(calls, from, to, mayStay) : yield* lookAndRename(calls, from, to)
}

/**
 * Gives a file its former name back, if the name is free. A run that was killed between both steps has left both names:
 * then the second step is done.
 */
export function* giveBackName(calls: Calls, from: Named, to: Named): Routine<Answer<void>> {
  const given = yield* takeName(calls, from, to, false)
  if (!isCode(given) || given.name !== "EEXIST") return given
  const own = yield* calls.lstat(from.folder, from.name)
  if (isCode(own)) return own
  const there = yield* calls.lstat(to.folder, to.name)
  if (isCode(there)) return there
  return Files.isSameInode(own, there) ? yield* calls.unlink(from.folder, from.name) : given
}
