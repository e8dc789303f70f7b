/**
 * Moves files and links of a folder to another one on the same file system, each by another name.
 */
import * as Progress from "@fanout/core/Progress"
import * as Effect from "effect/Effect"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { prepare } from "../steps/durability.ts"
import * as SavedCopy from "../steps/savedCopy.ts"

/** Files and links that are about to be renamed. */
interface Renames {
  readonly from: Files.Folder
  readonly to: Files.Folder
  readonly names: ReadonlyArray<FilePath.FilePath>
  /** Files that are left alone, whatever they are called. */
  readonly avoid: ReadonlyArray<Pick<Files.FileStat, "device" | "inode">>
  readonly mayWork: () => boolean
}

/** What can be renamed, and what that is known by. */
const renamable = Effect.fnUntraced(function*({ avoid, from, names, to }: Renames) {
  const { device } = yield* to.stat
  const look = (name: FilePath.FilePath, index: number) =>
    Effect.match(from.lstat(name), {
      onFailure: () => [],
      onSuccess: (stat) => {
        const { inode, kind } = stat
        const isLeft = stat.device !== device || avoid.some((one) => Files.isSameInode(one, stat))
        if (isLeft || (kind !== "file" && kind !== "link")) return []
        return [{ index, name, saved: { renamed: { device, inode, target: FilePath.join(to.path, name) } } }]
      }
    })
  return (yield* Effect.forEach(names, look)).flat()
})

/** Gives files and links their names in another folder, as far as these are free, and tells which have not got them. */
export const renameEach = Effect.fnUntraced(function*(renames: Renames) {
  const { from, mayWork, names, to } = renames
  const flushes = [yield* prepare(to), yield* prepare(from)]
  const found = yield* renamable(renames)
  const records = found.map(({ index, saved }) => ({ index, saved }))
  if (records.length > 0) yield* SavedCopy.together.commit(records)
  const done = new Set<number>()
  for (const { index, name } of found) {
    if (mayWork() && (yield* Effect.isSuccess(from.renameExclusively(name, name, to)))) done.add(index)
  }
  const areFlushed = yield* Effect.isSuccess(Effect.forEach(flushes, ({ names }) => names))
  if (!areFlushed) done.clear()
  yield* Progress.add("renamed", done.size)
  const left = SavedCopy.goingOn(names, records).filter(({ index }) => !done.has(index))
  return { moved: done.size, left }
})
