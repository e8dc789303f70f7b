/**
 * Looks how much there is in and below a folder, where calls are made at once.
 */
import * as Option from "effect/Option"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import * as Filter from "../../Filter.ts"
import type { EntryKind } from "../../FolderListing.ts"
import { ask } from "./answered.ts"
import type { Done, SystemCalls } from "./systemCalls.ts"

/** So many folders may be in one another, the first included: each that is being worked on has descriptors. */
export const mostDeep = 16

/** How many elements that is: each folder has a begin and an end. */
export const countOf = ({ folders, leaves }: Files.FolderSize): number => leaves + 2 * folders

/** As much as there may be, until there is more. */
class Measure {
  leaves = 0
  folders = 0
  /** What all is known of, but for what is in one of them. */
  readonly known: Array<readonly [path: FilePath.FilePath, size: Files.FolderSize]> = []
  private readonly calls: SystemCalls
  private readonly most: number
  private readonly isLeftOut: Filter.Filter

  constructor(calls: SystemCalls, { isLeftOut = Filter.none, most }: Files.Measuring) {
    this.calls = calls
    this.most = most
    this.isLeftOut = isLeftOut
  }

  /** Adds a folder, with all that is in and below it, and tells whether that was possible. */
  add(path: FilePath.FilePath, open: (done: Done<number>) => void, depth: number): boolean {
    const opened = depth > mostDeep ? undefined : ask<number>(open)
    if (opened?.code !== undefined || opened === undefined) return false
    const { folders, known, leaves } = this
    const { length } = known
    try {
      this.folders++
      const isAdded = this.list(opened.value, path)?.every((name) =>
        this.add(FilePath.join(path, name), (done) =>
          this.calls.open(opened.value, name, "list", done), depth + 1)
      ) === true
      if (isAdded) {
        known.length = length
        known.push([path, { leaves: this.leaves - leaves, folders: this.folders - folders }])
      }
      return isAdded
    } finally {
      this.calls.closeFolder(opened.value)
    }
  }

  /** Names of folders in a folder. */
  private list(folder: number, path: FilePath.FilePath): ReadonlyArray<FilePath.FilePath> | undefined {
    const folders: Array<FilePath.FilePath> = []
    const { isLeftOut } = this
    const isAll = isLeftOut === Filter.none
    let isOrdinary = true
    const count = (kind: EntryKind): void => {
      if (kind === "file" || kind === "link") this.leaves++
      else if (kind !== "folder") isOrdinary = false
    }
    const add = (text: string, kind: EntryKind): void => {
      const name = FilePath.fromLatin1(text)
      const isFolder = kind === "folder"
      if (!isAll) {
        if (kind !== "unknown" && isLeftOut(FilePath.join(path, name), isFolder)) return
        count(kind)
      }
      if (isFolder) folders.push(name)
    }
    // What is not a folder needs no name, where all is taken.
    const skips = (kind: EntryKind): boolean => {
      count(kind)
      return kind !== "folder"
    }
    for (;;) {
      const more = ask<boolean>((done) => this.calls.list(folder, add, done, isAll ? skips : undefined))
      const isTooMuch = this.leaves + this.folders + folders.length > this.most
      if (more.code !== undefined || !isOrdinary || isTooMuch) return undefined
      if (!more.value) return folders
    }
  }
}

/**
 * Gives how much it is; `None` where it is too much, or anything but files, links and folders. What was found out of
 * folders in it is told then.
 */
export const measure = (
  calls: SystemCalls,
  path: FilePath.FilePath,
  measuring: Files.Measuring
): Option.Option<Files.FolderSize> => measureOpened(calls, (done) => calls.openPath(path, "list", done), measuring)

/** The same, of what this opens. */
export const measureOpened = (
  calls: SystemCalls,
  open: (done: Done<number>) => void,
  measuring: Files.Measuring
): Option.Option<Files.FolderSize> => {
  const { tell } = measuring
  const measured = new Measure(calls, measuring)
  if (measured.add(FilePath.empty, open, 1)) return Option.some({ leaves: measured.leaves, folders: measured.folders })
  if (tell !== undefined) { for (const [path, size] of measured.known) tell(path, size) }
  return Option.none()
}
