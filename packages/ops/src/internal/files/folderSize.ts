/**
 * Counts the entries in and below a folder.
 */
import * as Option from "effect/Option"
import { type Call, type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import * as Filter from "../../Filter.ts"
import type { EntryKind } from "../../FolderListing.ts"
import { followedName } from "./followedName.ts"
import type { Routine } from "./routine.ts"

/** Most levels of folders, the first included: each level has open descriptors. */
export const mostDeep = 16

/** Number of elements: each folder has a start and an end. */
export const countOf = ({ folders, leaves }: Files.FolderSize): number => leaves + 2 * folders

/** Options of the count. */
export interface Measuring {
  /** Most elements, without the ends of folders. */
  readonly most: number
  /** Leaves entries out, by their paths below the folder. */
  readonly isLeftOut?: Filter.Filter
  /** Whether links are followed. Only targets in the same folder are found. */
  readonly isFollowing?: boolean
  /** Takes the sizes of inner folders, by their paths below the folder, if the folder itself is too large. */
  readonly tell?: (path: FilePath.FilePath, size: Files.FolderSize) => void
}

/**
 * Counts the entries of a folder; `None` if there are too many, or other entries than files, links and folders. Then
 * `tell` gets the sizes of the inner folders that were counted.
 */
export function* measure(
  calls: Calls,
  open: Call<number>,
  { isFollowing = false, isLeftOut = Filter.none, most, tell }: Measuring
): Routine<Option.Option<Files.FolderSize>> {
  let [leaves, folders] = [0, 0]
  /** The counted folders that are in no other counted folder. */
  const known: Array<readonly [path: FilePath.FilePath, size: Files.FolderSize]> = []
  // Files and links need no names, unless rules or followed links ask for them.
  const needsNames = isLeftOut !== Filter.none || isFollowing

  /** Whether a link leads to a file. */
  function* isLeaf(folder: number, name: FilePath.FilePath): Routine<boolean> {
    const found = yield* followedName(calls, folder, name)
    return !isCode(found) && found.stat.kind === "file"
  }

  /** Lists the folders in a folder, and counts its other entries. */
  function* list(folder: number, path: FilePath.FilePath): Routine<ReadonlyArray<FilePath.FilePath> | undefined> {
    const names: Array<FilePath.FilePath> = []
    let isOrdinary = true
    const skips = (kind: EntryKind): boolean => {
      if (kind === "file" || kind === "link") leaves++
      else if (kind !== "folder") isOrdinary = false
      return kind !== "folder"
    }
    const links: Array<FilePath.FilePath> = []
    const addName = (text: string, kind: EntryKind): void => {
      const name = FilePath.fromLatin1(text)
      const isFolder = kind === "folder"
      if (!needsNames) names.push(name)
      else if (kind !== "unknown" && isLeftOut(FilePath.join(path, name), isFolder)) return
      else if (isFolder) names.push(name)
      else {
        if (kind === "link" && isFollowing) links.push(name)
        skips(kind)
      }
    }
    for (;;) {
      const isMore = yield* calls.list(folder, addName, needsNames ? undefined : skips)
      if (isCode(isMore) || !isOrdinary || leaves + folders + names.length > most) return undefined
      if (!isMore) break
    }
    for (const link of links) if (!(yield* isLeaf(folder, link))) return undefined
    return names
  }

  /** Counts a folder with everything in and below it, and tells whether that was possible. */
  function* add(path: FilePath.FilePath, open: Call<number>, depth: number): Routine<boolean> {
    const folder = depth > mostDeep ? undefined : yield* open
    if (folder === undefined || isCode(folder)) return false
    const before = { leaves, folders, known: known.length }
    try {
      folders++
      const names = yield* list(folder, path)
      let isAdded = names !== undefined
      for (const name of names ?? []) {
        isAdded &&= yield* add(FilePath.join(path, name), calls.open(folder, name, "list"), depth + 1)
      }
      if (isAdded) {
        known.length = before.known
        known.push([path, { leaves: leaves - before.leaves, folders: folders - before.folders }])
      }
      return isAdded
    } finally {
      calls.closeNow(folder)
    }
  }

  if (yield* add(FilePath.empty, open, 1)) return Option.some({ leaves, folders })
  if (tell !== undefined) { for (const [path, size] of known) tell(path, size) }
  return Option.none()
}

/** Counts the elements of some folders in a folder; 0 for a folder that can't be counted. */
export function* sizesOf(
  calls: Calls,
  folder: number,
  names: ReadonlyArray<FilePath.FilePath>,
  { isLeftOut = Filter.none, ...measuring }: Measuring
): Routine<ReadonlyArray<number>> {
  const sizes: Array<number> = []
  for (const name of names) {
    const inside = { ...measuring, isLeftOut: Filter.within(isLeftOut, name) }
    const size = yield* measure(calls, calls.open(folder, name, "list"), inside)
    sizes.push(Option.match(size, { onNone: () => 0, onSome: countOf }))
  }
  return sizes
}
