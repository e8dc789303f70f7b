/**
 * Looks how much there is in and below a folder.
 */
import * as Option from "effect/Option"
import { type Call, type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import * as Filter from "../../Filter.ts"
import type { EntryKind } from "../../FolderListing.ts"
import { followedName } from "./followedName.ts"

/** So many folders may be in one another, the first included: each that is being worked on has descriptors. */
export const mostDeep = 16

/** How many elements that is: each folder has a begin and an end. */
export const countOf = ({ folders, leaves }: Files.FolderSize): number => leaves + 2 * folders

/** How it is looked. */
export interface Measuring {
  /** As many elements may be in it, without the ends of folders. */
  readonly most: number
  /** Whether something counts for nothing, by its path below the folder. */
  readonly isLeftOut?: Filter.Filter
  /** Whether links are taken for what they lead to. Only files beside them are found. */
  readonly isFollowing?: boolean
  /** Takes what is found out of folders in it, by their paths below it, where there is no answer for itself. */
  readonly tell?: (path: FilePath.FilePath, size: Files.FolderSize) => void
}

/** As much as there may be, until there is more. */
class Measure {
  leaves = 0
  folders = 0
  /** What all is known of, but for what is in one of them. */
  readonly known: Array<readonly [path: FilePath.FilePath, size: Files.FolderSize]> = []
  private readonly calls: Calls
  private readonly most: number
  private readonly isLeftOut: Filter.Filter
  private readonly isFollowing: boolean

  constructor(calls: Calls, { isFollowing = false, isLeftOut = Filter.none, most }: Measuring) {
    this.calls = calls
    this.most = most
    this.isLeftOut = isLeftOut
    this.isFollowing = isFollowing
  }

  /** Adds a folder, with all that is in and below it, and tells whether that was possible. */
  add(path: FilePath.FilePath, open: Call<number>, depth: number): boolean {
    const folder = depth > mostDeep ? undefined : open.now()
    if (folder === undefined || isCode(folder)) return false
    const { folders, known, leaves } = this
    const { length } = known
    try {
      this.folders++
      const isAdded = this.list(folder, path)?.every((name) =>
        this.add(FilePath.join(path, name), this.calls.open(folder, name, "list"), depth + 1)
      ) === true
      if (isAdded) {
        known.length = length
        known.push([path, { leaves: this.leaves - leaves, folders: this.folders - folders }])
      }
      return isAdded
    } finally {
      this.calls.closeNow(folder)
    }
  }

  /** Whether a link counts as one: for itself, or for a file that it leads to. */
  private isLeaf(folder: number, name: FilePath.FilePath): boolean {
    if (!this.isFollowing) return true
    const found = followedName(this.calls, folder, name)
    return !isCode(found) && found.stat.kind === "file"
  }

  /** Names of folders in a folder. */
  private list(folder: number, path: FilePath.FilePath): ReadonlyArray<FilePath.FilePath> | undefined {
    const folders: Array<FilePath.FilePath> = []
    const { isLeftOut } = this
    // What is not a folder needs no name, where all is taken for what it is.
    const needsNames = isLeftOut !== Filter.none || this.isFollowing
    let isOrdinary = true
    const skips = (kind: EntryKind): boolean => {
      if (kind === "file" || kind === "link") this.leaves++
      else if (kind !== "folder") isOrdinary = false
      return kind !== "folder"
    }
    const add = (text: string, kind: EntryKind): void => {
      const name = FilePath.fromLatin1(text)
      const isFolder = kind === "folder"
      if (!needsNames) folders.push(name)
      else if (kind !== "unknown" && isLeftOut(FilePath.join(path, name), isFolder)) return
      else if (isFolder) folders.push(name)
      else if (kind === "link" && isOrdinary && !this.isLeaf(folder, name)) isOrdinary = false
      else skips(kind)
    }
    for (;;) {
      const isMore = this.calls.list(folder, add, needsNames ? undefined : skips).now()
      const isTooMuch = this.leaves + this.folders + folders.length > this.most
      if (isCode(isMore) || !isOrdinary || isTooMuch) return undefined
      if (!isMore) return folders
    }
  }
}

/**
 * Gives how much is in what this opens; `None` where it is too much, or anything but files, links and folders. What was
 * found out of folders in it is told then.
 */
export const measure = (
  calls: Calls,
  open: Call<number>,
  measuring: Measuring
): Option.Option<Files.FolderSize> => {
  const { tell } = measuring
  const measured = new Measure(calls, measuring)
  if (measured.add(FilePath.empty, open, 1)) return Option.some({ leaves: measured.leaves, folders: measured.folders })
  if (tell !== undefined) { for (const [path, size] of measured.known) tell(path, size) }
  return Option.none()
}
