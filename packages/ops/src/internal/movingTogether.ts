/**
 * Moves files of a folder together: once their copies are on the device one record tells of all of them, and then each
 * source is removed. What that does not go well with is left to be moved by itself, and goes on from the record.
 */
import * as Progress from "@fanout/core/Progress"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as FilePath from "../FilePath.ts"
import * as Files from "../Files.ts"
import type { Copying, Held } from "./copying.ts"
import { prepare } from "./durability.ts"
import * as HardLinks from "./linkedCopies.ts"
import * as Moving from "./moving.ts"
import * as SavedCopy from "./savedCopy.ts"

/** Those that have had other names, which are moved: theirs are to be names of the same copies. */
export const linked = Effect.fnUntraced(function*({ held, joinsNames }: Copying) {
  const known = yield* HardLinks.known(joinsNames ? held.map(({ linkedAs }) => linkedAs) : [])
  return new Set(held.filter(({ linkedAs }) => known.has(linkedAs)))
})

/** Removes sources whose copies have their names, and are on the device. What dies at one of them is that one's. */
export const removeSources = Effect.fnUntraced(function*(
  { from, to }: { readonly from: Files.Folder; readonly to: Files.Folder },
  copying: Copying,
  placed: ReadonlyArray<Held>
) {
  const { begun, isKeptFirst } = copying
  const copies: Array<{ readonly one: Held; readonly copied: SavedCopy.Copied }> = []
  const records: Array<{ readonly index: number; readonly saved: SavedCopy.Saved }> = []
  for (const one of placed) {
    const { edition, index, name } = one
    const [source, target] = [{ folder: from, name }, { folder: to, name }]
    const copied = yield* Effect.exit(Moving.copiedOf(source, edition, target))
    if (Exit.isSuccess(copied)) {
      copies.push({ one, copied: copied.value })
      records.push({ index, saved: { ...begun, copied: copied.value } })
    } else {
      copying.notPlaced(one, true)
      if (isKeptFirst) records.push({ index, saved: begun })
    }
  }
  // What is recorded is not copied again, nor counted.
  yield* Progress.add("bytes", copying.bytes)
  yield* SavedCopy.record(records)
  for (const { copied, one } of copies) {
    const { index, name } = one
    let last = copied
    const note = (copied: SavedCopy.Copied) =>
      Effect.sync(() => {
        last = copied
      })
    const isRemoved = copying.mayWork() &&
      Exit.isSuccess(yield* Effect.exit(Moving.remove({ folder: from, name }, copied, note)))
    if (isRemoved) copying.placed(one)
    else copying.handOn(index, { ...begun, copied: last })
  }
})

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
    const isRenamed = mayWork() && Exit.isSuccess(yield* Effect.exit(Moving.renameExclusively(source, target, kind)))
    if (isRenamed) done.add(index)
  }
  const areFlushed = yield* Effect.isSuccess(Effect.forEach(flushes, ({ names }) => names))
  if (!areFlushed) done.clear()
  yield* Progress.add("renamed", done.size)
  return { moved: done.size, alone: SavedCopy.goingOn(names, records).filter(({ index }) => !done.has(index)) }
})
