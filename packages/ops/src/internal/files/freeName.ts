/**
 * Gives something another name that is free: what has the name keeps it.
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

/** Codes where nothing takes a free name in one step, or where no name can be taken away from a folder. */
const withoutExclusive = new Set(["ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL", "EPERM"])

/** Looks whether the name is free, and renames then. Somebody else may take it in between, and is not seen. */
function* lookAndRename(calls: Calls, from: Named, to: Named): Routine<Answer<void>> {
  const there = yield* calls.lstat(to.folder, to.name)
  if (!isCode(there)) return code("EEXIST")
  return there.name === "ENOENT" ? yield* calls.rename(from.folder, from.name, to.folder, to.name) : there
}

/** Takes the former name away from what has both; where that can't be and it may not stay, the new one. */
function* removeFormer(calls: Calls, from: Named, to: Named, mayStay: boolean): Routine<Answer<void>> {
  const removed = yield* calls.unlink(from.folder, from.name)
  if (!isCode(removed) || removed.name === "ENOENT" || mayStay) return
  yield* calls.unlink(to.folder, to.name)
  return removed
}

/**
 * Gives something a name that is free, and takes its former one away. Fails with `EEXIST` where the name is taken.
 *
 * Where the file system does not do both in one step, a file gets it as one more name, which is possible where none can
 * be taken away; then it keeps the former one, too, if that `mayStay`. For all else it is looked first.
 */
export function* takeName(calls: Calls, from: Named, to: Named, mayStay: boolean): Routine<Answer<void>> {
  const renamed = yield* calls.renameExclusively(from.folder, from.name, to.folder, to.name)
  if (!isCode(renamed) || !withoutExclusive.has(renamed.name)) return renamed
  const own = yield* calls.lstat(from.folder, from.name)
  if (isCode(own)) return own
  // Of a link another name would be made for what it leads to, on some systems.
  const isLinked = own.kind === "file" && !isCode(yield* calls.link(from.folder, from.name, to.folder, to.name))
  return isLinked ? yield* removeFormer(calls, from, to, mayStay) : yield* lookAndRename(calls, from, to)
}

/**
 * Gives something a name that it has had, if that is free. Where a run before this one was killed between two steps it
 * has both names: then the second step is done.
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
