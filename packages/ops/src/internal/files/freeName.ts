/**
 * Gives something another name that is free: what has the name keeps it.
 */
import { andThen, type Call, type Calls, code, failed, immediate, map, orElse } from "../../Calls.ts"
import type * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"

/** Name in an open folder. */
export interface Named {
  readonly folder: number
  readonly name: FilePath.FilePath
}

/** Codes where nothing takes a free name in one step, or where no name can be taken away from a folder. */
const withoutExclusive = new Set(["ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL", "EPERM"])

const done: Call<void> = immediate(() => undefined)

const lstat = (calls: Calls, { folder, name }: Named) => calls.lstat(folder, name)

const unlink = (calls: Calls, { folder, name }: Named): Call<void> => calls.unlink(folder, name)

/** Looks whether the name is free, and renames then. Somebody else may take it in between, and is not seen. */
const lookAndRename = (calls: Calls, from: Named, to: Named): Call<void> => {
  const free = orElse<void>(
    andThen(lstat(calls, to), () => failed(code("EEXIST"))),
    (answer) => answer.name === "ENOENT" ? done : failed(answer)
  )
  return andThen(free, () => calls.rename(from.folder, from.name, to.folder, to.name))
}

/** Takes the former name away from what has both; where that can't be and it may not stay, the new one. */
const removeFormer = (calls: Calls, from: Named, to: Named, mayStay: boolean): Call<void> =>
  orElse(unlink(calls, from), (answer) => {
    if (answer.name === "ENOENT" || mayStay) return done
    return andThen(orElse(unlink(calls, to), () => done), () => failed(answer))
  })

/** Gives a file the name as one more, which is possible where none can be taken away. */
const linkAndUnlink = (calls: Calls, from: Named, to: Named, mayStay: boolean): Call<void> => {
  const linked = orElse(
    map(calls.link(from.folder, from.name, to.folder, to.name), () => true),
    () => immediate(() => false)
  )
  return andThen(
    linked,
    (isLinked) => isLinked ? removeFormer(calls, from, to, mayStay) : lookAndRename(calls, from, to)
  )
}

/**
 * Gives something a name that is free, and takes its former one away. Fails with `EEXIST` where the name is taken.
 *
 * Where the file system does not do both in one step, a file gets it as one more name; then it keeps the former one,
 * too, if that `mayStay` and can't be taken away. For all else it is looked first.
 */
export const takeName = (calls: Calls, from: Named, to: Named, mayStay: boolean): Call<void> =>
  orElse(calls.renameExclusively(from.folder, from.name, to.folder, to.name), (answer) => {
    if (!withoutExclusive.has(answer.name)) return failed(answer)
    // Of a link another name would be made for what it leads to, on some systems.
    return andThen(
      lstat(calls, from),
      ({ kind }) => kind === "file" ? linkAndUnlink(calls, from, to, mayStay) : lookAndRename(calls, from, to)
    )
  })

/**
 * Gives something a name that it has had, if that is free. Where a run before this one was killed between two steps it
 * has both names: then the second step is done.
 */
export const giveBackName = (calls: Calls, from: Named, to: Named): Call<void> =>
  orElse(takeName(calls, from, to, false), (answer) =>
    answer.name !== "EEXIST"
      ? failed(answer)
      : andThen(lstat(calls, from), (own) =>
        andThen(lstat(calls, to), (there) =>
          Files.isSameInode(own, there) ? unlink(calls, from) : failed(answer))))
