/**
 * Gives something a name that is free, in the one step that most file systems have for that, or in several.
 */
import { andThen, type Call, type Calls, type Code, code, failed, immediate, map, orElse } from "../../Calls.ts"
import type { FilePath } from "../../FilePath.ts"

/** What is answered where something can't be told to take the place of nothing, or where no name can be taken away. */
const withoutStep = new Set(["ENOTSUP", "EOPNOTSUPP", "EINVAL", "ENOSYS", "EPERM"])

/** What a name that is taken, or on another file system, answers to every step. */
const final = new Set(["EEXIST", "EXDEV"])

/**
 * Renames into a name that is free, and fails with `EEXIST` where it is not. Where nothing does that in one step, a
 * file gets it as one more name before it loses its own; `orBoth` says what comes of one that can't lose that. Links
 * and folders, and files that can have only one name, are renamed once it was looked whether something has the name.
 */
export const renameToFree = (
  calls: Calls,
  folder: number,
  from: FilePath,
  into: number,
  to: FilePath,
  orBoth: (code: Code) => Call<void> = failed
): Call<void> => {
  const taken = andThen(calls.lstat(into, to), () => failed(code("EEXIST")))
  const looked: Call<void> = orElse(
    taken,
    (code) => code.name === "ENOENT" ? calls.rename(folder, from, into, to) : failed(code)
  )
  const linked = andThen(
    orElse(
      map(calls.link(folder, from, into, to), () => true),
      (code) => final.has(code.name) ? failed(code) : map(looked, () => false)
    ),
    (isTwice) => isTwice ? orElse(calls.unlink(folder, from), orBoth) : immediate(() => undefined)
  )
  return orElse(
    calls.renameExclusively(folder, from, into, to),
    (code) =>
      withoutStep.has(code.name)
        ? andThen(calls.lstat(folder, from), ({ kind }) => kind === "file" ? linked : looked)
        : failed(code)
  )
}
