/**
 * Moves files and links of a folder to another one on the same file system, each by another name.
 */
import * as Progress from "@fanout/core/Progress"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { prepare } from "../steps/durability.ts"
import * as SavedCopy from "../steps/savedCopy.ts"
import * as MovedSource from "./movedSource.ts"

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
  const found: Array<{
    readonly index: number
    readonly name: FilePath.FilePath
    readonly kind: Files.FileKind
    readonly saved: { readonly renamed: SavedCopy.Renamed }
  }> = []
  for (const [index, name] of names.entries()) {
    const stat = Option.getOrUndefined(yield* Effect.option(from.lstat(name)))
    if (stat === undefined || stat.device !== device || avoid.some((one) => Files.isSameInode(one, stat))) continue
    const { inode, kind } = stat
    if (kind !== "file" && kind !== "link") continue
    found.push({ index, name, kind, saved: { renamed: { device, inode, target: FilePath.join(to.path, name) } } })
  }
  return found
})

/** Gives files and links their names in another folder, as far as these are free, and tells which have not got them. */
export const renameEach = Effect.fnUntraced(function*(renames: Renames) {
  const { from, mayWork, names, to } = renames
  const flushes = [yield* prepare(to), yield* prepare(from)]
  const found = yield* renamable(renames)
  const records = found.map(({ index, saved }) => ({ index, saved }))
  yield* SavedCopy.record(records)
  const done = new Set<number>()
  for (const { index, kind, name } of found) {
    const [source, target] = [{ folder: from, name }, { folder: to, name }]
    const isRenamed = mayWork() &&
      Exit.isSuccess(yield* Effect.exit(MovedSource.renameExclusively(source, target, kind)))
    if (isRenamed) done.add(index)
  }
  const areFlushed = yield* Effect.isSuccess(Effect.forEach(flushes, ({ names }) => names))
  if (!areFlushed) done.clear()
  yield* Progress.add("renamed", done.size)
  const left = SavedCopy.goingOn(names, records).filter(({ index }) => !done.has(index))
  return { moved: done.size, left }
})
